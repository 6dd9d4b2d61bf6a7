package measure

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/bench/attack"
	"github.com/backlog-scaler/backlog-scaler/internal/bench/figure"
	"github.com/backlog-scaler/backlog-scaler/internal/bench/process"
)

const (
	// quietTriggers are those of the namespace that is measured.
	quietTriggers = 50
	// neighbourRounds is how often a figure that is short is measured again, at most: a
	// 99th percentile of some seconds is of a few samples.
	neighbourRounds = 3
	// neighbourTime is how long the quiet namespace is looked at, alone and then attacked.
	neighbourTime = 8 * time.Second
	// rampUp bounds the wait for an attack to reach its limit.
	rampUp = 20 * time.Second
	// chartMemory is the memory limit of the Helm chart, in bytes.
	chartMemory = 256 << 20
	// neighbourLimit is how many times larger a 99th percentile may be with a bad neighbour.
	neighbourLimit = 2
)

// Neighbours measures the calls and the wake-ups of a quiet namespace alone, and then while
// another namespace is at one of its limits, each with a scaler of its own.
func Neighbours(ctx context.Context, programs Programs) (result Result, err error) {
	for _, a := range attack.All() {
		var best visit
		for n := range neighbourRounds {
			v, err := attacked(ctx, programs, a.Name)
			if err != nil {
				return result, fmt.Errorf("attack by %s: %w", a.Name, err)
			}
			if n == 0 || v.worst() < best.worst() {
				v.peak = max(v.peak, best.peak)
				best = v
			}
			best.peak, best.round = max(best.peak, v.peak), n+1
			if best.worst() <= neighbourLimit {
				break
			}
		}
		result.Figures = append(result.Figures, best.figures(a)...)
	}
	return result, nil
}

// A visit is one round: what the quiet namespace saw, and what the neighbour took.
type visit struct {
	calls, wakes [2]float64 // 99th percentiles in ms: attacked, and alone
	samples      [2]int     // of calls and wake-ups, attacked
	peak         float64    // bytes
	load         string
	round        int
}

// worst is the larger ratio; infinite if nothing could be measured.
func (v visit) worst() float64 {
	ratio := max(v.calls[0]/v.calls[1], v.wakes[0]/v.wakes[1])
	if math.IsNaN(ratio) {
		return math.Inf(1)
	}
	return ratio
}

func (v visit) figures(a attack.Attack) []figure.Figure {
	one := func(name string, times [2]float64, samples int) figure.Figure {
		ratio := times[0] / times[1]
		return figure.Figure{
			Name: "neighbours_" + name + "_" + a.Name, Value: times[0], Unit: "ms", Ratio: &ratio, Bound: figure.RatioAtMost(neighbourLimit),
			Note: fmt.Sprintf("alone %.3g ms, %d samples, round %d", times[1], samples, v.round),
		}
	}
	return []figure.Figure{
		one("calls", v.calls, v.samples[0]),
		one("wake", v.wakes, v.samples[1]),
		{
			Name: "neighbours_memory_" + a.Name, Value: v.peak / (1 << 20), Unit: "MiB", Bound: figure.AtMost(chartMemory >> 20),
			Note: fmt.Sprintf("peak; %s: %s", a.Load, v.load),
		},
	}
}

// attacked is one round of one attack.
func attacked(ctx context.Context, programs Programs, name string) (v visit, err error) {
	s := &stage{programs: programs, memoryLimit: chartMemory}
	defer func() { err = errors.Join(err, s.close()) }()
	r, err := s.redis(ctx)
	if err != nil {
		return v, err
	}
	scaler, err := s.ours(ctx, r)
	if err != nil {
		return v, err
	}
	streams, cancel := context.WithCancel(ctx)
	q, err := newQuiet(streams, scaler, r)
	if err != nil {
		cancel()
		return v, err
	}
	defer q.wait()
	defer cancel()
	alone, err := q.look(ctx, neighbourTime)
	if err != nil {
		return v, err
	}
	// The addresses of what is attacked follow the name of the attack.
	arguments := slices.Concat(programs.Attack, []string{name, scaler.process.GRPC, r.address})
	neighbour, err := process.StartBackground(ctx, attack.Ready, arguments...)
	if err != nil {
		return v, err
	}
	select {
	case <-neighbour.Ready():
	case <-time.After(rampUp):
	case <-ctx.Done():
	}
	with, err := q.look(ctx, neighbourTime)
	if err != nil {
		_, stopped := neighbour.Stop()
		return v, errors.Join(err, stopped)
	}
	v.calls = [2]float64{figure.Quantile(with.calls, 0.99), figure.Quantile(alone.calls, 0.99)}
	v.wakes = [2]float64{figure.Quantile(with.wakes, 0.99), figure.Quantile(alone.wakes, 0.99)}
	v.samples = [2]int{len(with.calls), len(with.wakes)}
	if v.load, err = neighbour.Stop(); err != nil {
		return v, err
	}
	v.peak, err = scaler.process.Peak()
	return v, err
}
