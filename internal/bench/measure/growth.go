package measure

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/bench/figure"
)

const (
	// beat is how long a scaler is looked at: the interval in which it reads every idle
	// queue once, and ten times those that have work.
	beat = 10 * time.Second
	// growthWakes is how many wake-ups are timed.
	growthWakes = 200
	// growthLimit is how much dearer each further trigger may be among many than among
	// few: linear is 1, and what is above it is the error of the measurement.
	growthLimit = 1.25
)

// sizes are the numbers of triggers.
func sizes() []int { return []int{100, 1_000, 10_000, 50_000} }

// Growth holds both streams of more and more ScaledObjects.
func Growth(ctx context.Context, programs Programs) (result Result, err error) {
	s := &stage{programs: programs}
	defer func() { err = errors.Join(err, s.close()) }()
	curves := []Curve{
		{Name: "memory", Unit: "MB"},
		{Name: "cpu_idle", Unit: "ms/s"},
		{Name: "cpu_active", Unit: "ms/s"},
		{Name: "redis_cpu_idle", Unit: "ms/s"},
		{Name: "redis_cpu_active", Unit: "ms/s"},
		{Name: "redis_commands_idle", Unit: "1/s"},
		{Name: "redis_commands_active", Unit: "1/s"},
		{Name: "wake_p50", Unit: "ms"},
		{Name: "getmetrics_p99", Unit: "ms"},
		{Name: "getmetrics_cpu", Unit: "us"},
	}
	for _, n := range sizes() {
		values, err := s.grow(ctx, n)
		if err != nil {
			return result, fmt.Errorf("with %d triggers: %w", n, err)
		}
		for i := range curves {
			curves[i].Points = append(curves[i].Points, Point{n, values[curves[i].Name]})
		}
	}
	result.Curves = curves
	for _, curve := range curves {
		bound := figure.Bound{}
		if slices.Contains([]string{"memory", "cpu_idle", "cpu_active"}, curve.Name) {
			bound = figure.RatioAtMost(growthLimit)
		}
		result.Figures = append(result.Figures, curve.figure(bound))
	}
	return result, nil
}

// figure is the end of a curve. Its ratio is what a further trigger adds there by
// what it added before: 1 where growth is linear.
//
// Worked example: 12 MB at 100, 48 MB at 1,000 and 408 MB at 10,000 triggers are 40 kB
// for each further trigger twice, ratio 1.
func (c Curve) figure(bound figure.Bound) figure.Figure {
	slope := func(from, to Point) float64 {
		return (to.Value - from.Value) / float64(to.Triggers-from.Triggers)
	}
	p := c.Points[len(c.Points)-3:]
	f := figure.Figure{Name: "growth_" + c.Name, Value: p[2].Value, Unit: c.Unit, Bound: bound}
	if bound.Of == figure.OfRatio {
		ratio := slope(p[1], p[2]) / slope(p[0], p[1])
		f.Ratio = &ratio
	}
	for _, point := range c.Points {
		f.Note += fmt.Sprintf("%d: %.3g ", point.Triggers, point.Value)
	}
	return f
}

// grow measures at one number of triggers.
func (s *stage) grow(ctx context.Context, n int) (values map[string]float64, err error) {
	own := &stage{programs: s.programs}
	defer func() { err = errors.Join(err, own.close()) }()
	r, err := own.redis(ctx)
	if err != nil {
		return nil, err
	}
	ours, err := own.ours(ctx, r)
	if err != nil {
		return nil, err
	}
	streams, cancel := context.WithCancel(ctx)
	defer cancel()
	all := newObjects(n)
	activities, err := hold(streams, ours, all)
	if err != nil {
		return nil, err
	}
	values = make(map[string]float64)
	memory, err := ours.settled(ctx)
	if err != nil {
		return nil, err
	}
	values["memory"] = memory / 1e6
	if err := bills(ctx, r, ours, "idle", values); err != nil {
		return nil, err
	}
	var wakes []float64
	for i := range growthWakes {
		at := i * 97 % n
		if i >= n {
			break
		}
		took, err := wakeUp(ctx, r, all.lists[at], activities[at])
		if err != nil {
			return nil, err
		}
		wakes = append(wakes, milliseconds(took))
	}
	values["wake_p50"] = figure.Quantile(wakes, 0.5)
	if err := r.pop(ctx, all.lists); err != nil {
		return nil, err
	}
	if err := r.push(ctx, all.lists[:n/10]); err != nil {
		return nil, err
	}
	if err := pause(ctx, 2*time.Second); err != nil {
		return nil, err
	}
	if err := bills(ctx, r, ours, "active", values); err != nil {
		return nil, err
	}
	score, err := burst(ctx, calls()[0], all, ours)
	if err != nil {
		return nil, err
	}
	values["getmetrics_p99"], values["getmetrics_cpu"] = score.p99, score.cpu
	return values, nil
}

// bills notes what the scaler and Redis spend a second, over one beat.
func bills(ctx context.Context, r *redis, ours *side, kind string, values map[string]float64) error {
	before, err := r.bill(ctx)
	if err != nil {
		return err
	}
	cpu, err := ours.process.CPU()
	if err != nil {
		return err
	}
	began := time.Now()
	if err := pause(ctx, beat); err != nil {
		return err
	}
	after, err := ours.process.CPU()
	if err != nil {
		return err
	}
	seconds := time.Since(began).Seconds()
	last, err := r.bill(ctx)
	if err != nil {
		return err
	}
	spent := last.minus(before)
	values["cpu_"+kind] = milliseconds(after-cpu) / seconds
	values["redis_cpu_"+kind] = spent.cpu * 1000 / seconds
	values["redis_commands_"+kind] = spent.commands / seconds
	return nil
}

// settled is the memory that the server occupies, in bytes, once it has collected its
// garbage.
func (s *side) settled(ctx context.Context) (float64, error) {
	if err := s.process.Collect(ctx); err != nil {
		return 0, err
	}
	return s.process.Resident()
}
