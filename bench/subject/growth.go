package subject

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/backlog-scaler/backlog-scaler/bench/measurement"
	"github.com/backlog-scaler/backlog-scaler/bench/redisserver"
)

const (
	// interval is how long each measurement takes: the time in which a scaler confirms its idle queues, reads a sixth
	// of them, and reads those with work ten times. In all intervals together it reads every idle queue once. As much
	// time passes before the first, in which the idle queues are still read each time.
	interval  = 10 * time.Second
	intervals = 6
	// growthWakes is how many wake-ups are timed.
	growthWakes = 200
	// growthLimit is how much more a trigger may cost among the most of them than among a fifth of that. Linear growth
	// is 1; the rest is the error of the measurement.
	growthLimit = 1.15
)

// sizes are the numbers of triggers.
func sizes() []int { return []int{100, 1_000, 10_000, 50_000} }

// A crowd is a scaler with a Redis of its own, and the ScaledObjects that it has.
type crowd struct {
	all        objects
	redis      *redisserver.Server
	scaler     *side
	activities []activity
	// values are those of each curve, one or one for each interval.
	values map[string][]float64
}

// Growth holds both streams of more and more ScaledObjects: each number with a scaler of
// its own, and all at the same time, so that all are measured in the same moments.
func Growth(ctx context.Context, programs Programs) (result Result, err error) {
	s := &stage{programs: programs}
	defer func() { err = errors.Join(err, s.close()) }()
	streams, cancel := context.WithCancel(ctx)
	defer cancel()
	var crowds []*crowd
	for _, n := range sizes() {
		c, err := s.gather(streams, n)
		if err != nil {
			return result, fmt.Errorf("gather %d triggers: %w", n, err)
		}
		crowds = append(crowds, c)
	}
	if err := pause(ctx, (intervals+1)*interval); err != nil {
		return result, err
	}
	if err := costs(ctx, crowds, "idle"); err != nil {
		return result, err
	}
	for _, c := range crowds {
		if err := c.wake(ctx); err != nil {
			return result, err
		}
	}
	if err := costs(ctx, crowds, "active"); err != nil {
		return result, err
	}
	for _, c := range crowds {
		score, err := burst(ctx, calls()[0], c.all, c.scaler)
		if err != nil {
			return result, err
		}
		c.values["getmetrics_p99"], c.values["getmetrics_cpu"] = []float64{score.p99}, []float64{score.cpu}
	}
	for _, curve := range []Curve{
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
	} {
		bound := measurement.Bound{}
		if slices.Contains([]string{"memory", "cpu_idle", "cpu_active"}, curve.Name) {
			bound = measurement.RatioAtMost(growthLimit)
		}
		for _, c := range crowds {
			curve.Points = append(curve.Points, Point{len(c.all.refs), measurement.Median(c.values[curve.Name])})
		}
		result.Curves = append(result.Curves, curve)
		result.Measurements = append(result.Measurements, curve.measurement(bound))
	}
	return result, nil
}

// measurement is the end of a curve. Its ratio is what a trigger costs there by what it costs
// at the point before: 1 where growth is linear, and less where a part of the cost does
// not grow. The note has the same of what each further trigger adds.
//
// Worked example: 12 MB at 100, 48 MB at 1,000 and 408 MB at 10,000 triggers are 48 kB
// a trigger and then 41 kB, ratio 0.85; each further one adds 40 kB twice, ratio 1.
func (c Curve) measurement(bound measurement.Bound) measurement.Measurement {
	each := func(p Point) float64 { return p.Value / float64(p.Triggers) }
	further := func(from, to Point) float64 {
		return (to.Value - from.Value) / float64(to.Triggers-from.Triggers)
	}
	p := c.Points[len(c.Points)-3:]
	f := measurement.Measurement{Name: "growth_" + c.Name, Value: p[2].Value, Unit: c.Unit, Bound: bound}
	var notes []string
	for _, point := range c.Points {
		notes = append(notes, fmt.Sprintf("%d: %.3g", point.Triggers, point.Value))
	}
	if bound.Of == measurement.OfRatio {
		f.Ratio = new(each(p[2]) / each(p[1]))
		notes = append(notes, fmt.Sprintf("each further %.3g", further(p[1], p[2])/further(p[0], p[1])))
	}
	f.Note = strings.Join(notes, ", ")
	return f
}

// gather starts a scaler with n triggers, and measures its memory.
func (s *stage) gather(ctx context.Context, n int) (*crowd, error) {
	r, err := s.redis(ctx)
	if err != nil {
		return nil, err
	}
	// KEDA holds both streams of all triggers on one connection.
	scaler, err := s.ours(ctx, r, fmt.Sprintf("--max-streams-per-connection=%d", 2*n+1000))
	if err != nil {
		return nil, err
	}
	c := &crowd{all: newObjects(n), redis: r, scaler: scaler, values: make(map[string][]float64)}
	if c.activities, err = hold(ctx, scaler, c.all); err != nil {
		return nil, err
	}
	memory, err := scaler.settled(ctx)
	c.values["memory"] = []float64{memory / 1e6}
	return c, err
}

// wake times wake-ups, and leaves a tenth of the queues with work.
func (c *crowd) wake(ctx context.Context) error {
	var wakes []float64
	for i := range min(growthWakes, len(c.all.lists)) {
		at := i * 97 % len(c.all.lists)
		took, err := wakeUp(ctx, c.redis, c.all.lists[at], c.activities[at])
		if err != nil {
			return err
		}
		wakes = append(wakes, milliseconds(took))
	}
	c.values["wake_p50"] = []float64{measurement.Quantile(wakes, 0.5)}
	if err := c.redis.Pop(ctx, c.all.lists); err != nil {
		return err
	}
	if err := c.redis.Push(ctx, c.all.lists[:len(c.all.lists)/10]); err != nil {
		return err
	}
	return pause(ctx, 2*time.Second)
}

// costs notes what each scaler and its Redis spend a second, in some intervals.
func costs(ctx context.Context, crowds []*crowd, kind string) error {
	before := make([]spent, len(crowds))
	after := make([]spent, len(crowds))
	for range intervals {
		if err := look(ctx, crowds, before); err != nil {
			return err
		}
		if err := pause(ctx, interval); err != nil {
			return err
		}
		if err := look(ctx, crowds, after); err != nil {
			return err
		}
		for i, c := range crowds {
			seconds := after[i].at.Sub(before[i].at).Seconds()
			redis := after[i].redis.Minus(before[i].redis)
			for name, value := range map[string]float64{
				"cpu_":            milliseconds(after[i].cpu - before[i].cpu),
				"redis_cpu_":      redis.CPU * 1000,
				"redis_commands_": redis.Commands,
			} {
				c.values[name+kind] = append(c.values[name+kind], value/seconds)
			}
		}
	}
	return nil
}

// spent is what a scaler and its Redis have spent until a moment.
type spent struct {
	at    time.Time
	cpu   time.Duration
	redis redisserver.Cost
}

// look notes what each has spent.
func look(ctx context.Context, crowds []*crowd, now []spent) (err error) {
	for i, c := range crowds {
		if now[i].redis, err = c.redis.Cost(ctx); err != nil {
			return err
		}
		if now[i].cpu, err = c.scaler.process.CPU(); err != nil {
			return err
		}
		now[i].at = time.Now()
	}
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
