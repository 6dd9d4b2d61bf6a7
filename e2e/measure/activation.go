package measure

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/backlog-scaler/backlog-scaler/bench/measurement"
	"github.com/backlog-scaler/backlog-scaler/e2e/workload"
)

const (
	// activationRounds is how many writes are timed of each side, each to a workload of its own: KEDA takes up to a polling
	// interval to scale one back to zero.
	activationRounds             = 30
	activationP50, activationP99 = 20.0, 60.0 // milliseconds
	// activationRatio is a twentieth of what the built-in trigger needs that polls every second.
	activationRatio = 0.05
	// activationSets is how often a set of rounds that a stall of the machine has spoilt is measured again.
	activationSets = 3
	// activationWithin bounds each step.
	activationWithin = 90 * time.Second
)

// A contender is one way to scale the same kind of workload.
type contender struct {
	*Side
	workloads []*workload.Workload
	// samples are milliseconds.
	samples []float64
}

// Activation measures both sides' activations in sets of rounds, until one is within its bounds. It says on progress what
// each set was.
func Activation(ctx context.Context, ours, theirs *Side, progress func(format string, arguments ...any)) ([]measurement.Measurement, error) {
	a, err := NewActivations(ctx, ours, theirs, activationRounds)
	if err != nil {
		return nil, err
	}
	set := 0
	for {
		set++
		if err := a.Measure(ctx); err != nil {
			return nil, err
		}
		progress("activation, set %d: ours %.1f ms, built-in %.1f ms", set, a.Ours(), a.Theirs())
		if set == activationSets || measurement.Quantile(a.Ours(), 0.5) <= activationP50 && measurement.Quantile(a.Ours(), 0.99) <= activationP99 {
			break
		}
	}
	quantile := func(name string, q float64, bound measurement.Bound) measurement.Measurement {
		value, baseline := measurement.Quantile(a.Ours(), q), measurement.Quantile(a.Theirs(), q)
		return measurement.Measurement{
			Name: name, Value: value, Unit: "ms", Ratio: new(value / baseline), Bound: bound,
			Note: fmt.Sprintf("baseline %.0f, %d samples, %.1f to %.1f, set %d", baseline, len(a.Ours()), slices.Min(a.Ours()), slices.Max(a.Ours()), set),
		}
	}
	return []measurement.Measurement{
		quantile("activation_p50", 0.5, measurement.AtMost(activationP50)),
		quantile("activation_p99", 0.99, measurement.AtMost(activationP99)),
		quantile("activation_by_builtin", 0.5, measurement.RatioAtMost(activationRatio)),
	}, nil
}

// Activations are workloads of both sides on the same control plane and the same Redis, all at zero. The built-in trigger is
// polled every second, ours every 30 s.
type Activations struct {
	contenders [2]contender // ours, theirs
}

// NewActivations makes a workload of each side for each round.
func NewActivations(ctx context.Context, ours, theirs *Side, rounds int) (*Activations, error) {
	const namespace = "activation"
	if err := ours.Stage.Cluster.CreateNamespace(ctx, namespace); err != nil {
		return nil, err
	}
	a := &Activations{contenders: [2]contender{{Side: ours}, {Side: theirs}}}
	for i, interval := range []time.Duration{polling, time.Second} {
		c := &a.contenders[i]
		options := make([]workload.Options, rounds)
		for j := range options {
			name := list(c.name(), j)
			options[j] = workload.Options{
				Namespace: namespace, Name: name, Triggers: []workload.Trigger{c.Trigger(name)}, PollingInterval: interval, Cooldown: time.Second,
			}
		}
		var err error
		if c.workloads, err = workload.NewFleet(ctx, ours.Stage.Clients, time.Minute, options); err != nil {
			return nil, err
		}
	}
	return a, ours.Stage.Cluster.WaitSettled(ctx, activationWithin)
}

// Measure times one activation of each workload, in milliseconds from just before the write to the moment a watch shows
// spec.replicas at one or more. The sides take turns, each at a random moment of the polling of the built-in trigger.
func (a *Activations) Measure(ctx context.Context) error {
	for i := range a.contenders {
		a.contenders[i].samples = nil
	}
	for round := range a.contenders[0].workloads {
		for _, c := range a.contenders {
			if _, err := c.workloads[round].WaitReplicas(ctx, time.Now(), activationWithin, none); err != nil {
				return err
			}
		}
		// Anywhere in the polling interval. A write in the very moment in which KEDA scales to zero meets a conflict there.
		if err := pause(ctx, time.Second/2+rand.N(time.Second)); err != nil {
			return err
		}
		for i := range a.contenders {
			c := &a.contenders[i]
			took, err := c.first(ctx, c.workloads[round])
			if err != nil {
				return err
			}
			c.samples = append(c.samples, took)
		}
	}
	return nil
}

// Ours returns what the last Measure timed of our workloads, in milliseconds.
func (a *Activations) Ours() []float64 { return a.contenders[0].samples }

// Theirs returns what the last Measure timed of the workloads of the built-in trigger, in milliseconds.
func (a *Activations) Theirs() []float64 { return a.contenders[1].samples }

// name is that of the side's workloads.
func (s *Side) name() string {
	if s.Scaler == nil {
		return "builtin"
	}
	return "ours"
}

// first writes one message to the empty list of a workload, waits for the first replica, empties the list and returns how
// many milliseconds it took.
func (s *Side) first(ctx context.Context, w *workload.Workload) (float64, error) {
	queue := w.Key().Name
	written := time.Now()
	if err := s.Redis.Push(ctx, queue, 1); err != nil {
		return 0, err
	}
	at, err := w.WaitReplicas(ctx, written, activationWithin, some)
	if err != nil {
		return 0, err
	}
	return milliseconds(at.Sub(written)), s.Redis.Drain(ctx, queue)
}

// none and some are numbers of replicas.
func none(n int32) bool { return n == 0 }
func some(n int32) bool { return n >= 1 }

// defaultSamples is how many writes are timed with the built-in trigger at KEDA's default interval.
const defaultSamples = 10

// AtDefault compares our median, in milliseconds, with that of the built-in trigger when it polls as often as ours does, every
// 30 s. Each of its workloads is written to once, at a random moment of the interval.
func AtDefault(ctx context.Context, theirs *Side, ours measurement.Measurement) (measurement.Measurement, error) {
	const namespace = "at-default"
	if err := theirs.Stage.Cluster.CreateNamespace(ctx, namespace); err != nil {
		return measurement.Measurement{}, err
	}
	options := make([]workload.Options, defaultSamples)
	for i := range options {
		name := list(namespace, i)
		options[i] = workload.Options{Namespace: namespace, Name: name, Triggers: []workload.Trigger{theirs.Trigger(name)}, PollingInterval: polling}
	}
	workloads, err := workload.NewFleet(ctx, theirs.Stage.Clients, time.Minute, options)
	if err != nil {
		return measurement.Measurement{}, err
	}
	samples := make([]float64, len(workloads))
	group, writing := errgroup.WithContext(ctx)
	for i, w := range workloads {
		group.Go(func() error {
			err := pause(writing, rand.N(polling))
			if err != nil {
				return err
			}
			samples[i], err = theirs.first(writing, w)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return measurement.Measurement{}, err
	}
	baseline := measurement.Median(samples)
	return measurement.Measurement{
		Name: "activation_default", Value: ours.Value, Unit: "ms", Ratio: new(ours.Value / baseline), Bound: measurement.RatioAtMost(activationRatio),
		Note: fmt.Sprintf("baseline %.0f, %d samples, %.0f to %.0f", baseline, len(samples), slices.Min(samples), slices.Max(samples)),
	}, nil
}
