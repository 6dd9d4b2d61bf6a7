package subject

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/backlog-scaler/backlog-scaler/bench/attack"
	"github.com/backlog-scaler/backlog-scaler/bench/measurement"
	"github.com/backlog-scaler/backlog-scaler/bench/program"
)

const (
	// quietTriggers are those of the namespace that is measured.
	quietTriggers = 50
	// neighbourRounds is how often each attack is made, each time with a scaler of its own. The samples of all rounds count.
	neighbourRounds = 3
	// neighbourTime is how long the quiet namespace is looked at, alone and then attacked.
	neighbourTime = 6 * time.Second
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
		if programs.Attacks != nil && !programs.Attacks.MatchString(a.Name) {
			continue
		}
		var all visit
		for range neighbourRounds {
			v, err := attacked(ctx, programs, a.Name)
			if err != nil {
				return result, fmt.Errorf("attack by %s: %w", a.Name, err)
			}
			all.add(v)
		}
		result.Measurements = append(result.Measurements, all.measurements(a)...)
	}
	return result, nil
}

// A visit is what the quiet namespace saw, alone and attacked, and what the neighbour took.
type visit struct {
	alone, with measurement.Outlook
	peak        float64 // bytes
	load        string
}

// add takes in another round.
func (v *visit) add(other visit) {
	v.alone.Add(other.alone)
	v.with.Add(other.with)
	v.peak, v.load = max(v.peak, other.peak), other.load
}

func (v *visit) measurements(a attack.Attack) []measurement.Measurement {
	one := func(name string, with, alone [][]float64) measurement.Measurement {
		value, baseline := measurement.Tail(with), measurement.Tail(alone)
		all, before := slices.Concat(with...), slices.Concat(alone...)
		return measurement.Measurement{
			Name: "neighbours_" + name + "_" + a.Name, Value: value, Unit: "ms", Ratio: new(value / baseline), Bound: measurement.RatioAtMost(neighbourLimit),
			Note: fmt.Sprintf("alone %.3g ms, %d samples, of all of them p50 %.3g and %.3g ms, p99 %.3g and %.3g ms",
				baseline, len(all), measurement.Median(all), measurement.Median(before), measurement.Quantile(all, 0.99), measurement.Quantile(before, 0.99)),
		}
	}
	return []measurement.Measurement{
		one("calls", v.with.Calls, v.alone.Calls),
		one("wake", v.with.Wakes, v.alone.Wakes),
		{
			Name: "neighbours_memory_" + a.Name, Value: v.peak / (1 << 20), Unit: "MiB", Bound: measurement.AtMost(chartMemory >> 20),
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
	if v.alone, err = q.look(ctx, neighbourTime); err != nil {
		return v, err
	}
	// The addresses of what is attacked follow the name of the attack.
	arguments := slices.Concat(programs.Attack, []string{name, scaler.process.GRPC, r.Address})
	neighbour, err := program.StartBackground(attack.Ready, arguments...)
	if err != nil {
		return v, err
	}
	select {
	case <-neighbour.Ready():
	case <-time.After(rampUp):
	case <-ctx.Done():
	}
	if v.with, err = q.look(ctx, neighbourTime); err != nil {
		_, stopped := neighbour.Stop()
		return v, errors.Join(err, stopped)
	}
	if v.load, err = neighbour.Stop(); err != nil {
		return v, err
	}
	v.peak, err = scaler.process.Peak()
	return v, err
}
