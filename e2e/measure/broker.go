package measure

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/backlog-scaler/backlog-scaler/bench/measurement"
	"github.com/backlog-scaler/backlog-scaler/e2e/workload"
)

const (
	// brokerObjects is how many ScaledObjects each side has, brokerActive how many of their queues hold work in the end.
	brokerObjects = 1000
	brokerActive  = brokerObjects / 10
	// brokerWindows is how often both sides are looked at, idle and active, and brokerWindow for how long. Together they are
	// whole polling intervals of either side.
	brokerWindows = 6
	brokerWindow  = 20 * time.Second
	// polling is KEDA's default, which the built-in trigger needs to notice anything. pushedPolling is what the README
	// advises where a push wakes the workload.
	polling       = 30 * time.Second
	pushedPolling = 120 * time.Second
	// patience bounds the making of all ScaledObjects, and the wait for the replicas.
	patience = 5 * time.Minute
)

// A fleet is a side with many workloads.
type fleet struct {
	*Side
	workloads []*workload.Workload
	lists     []string
}

// Broker has a thousand ScaledObjects with each trigger, either on a control plane of its own with a Redis of its own, both at
// the same time, and looks at what they cost Redis and KEDA: all idle, and with a tenth of the queues holding work.
func Broker(ctx context.Context, programs Programs) (measurements []measurement.Measurement, err error) {
	ours, ctx, err := start(ctx, programs, "broker-ours", true)
	defer func() { err = errors.Join(because(ctx, err), ours.Close()) }()
	if err != nil {
		return nil, err
	}
	theirs, ctx, err := start(ctx, programs, "broker-builtin", false)
	defer func() { err = errors.Join(because(ctx, err), theirs.Close()) }()
	if err != nil {
		return nil, err
	}
	fleets := []*fleet{{Side: ours}, {Side: theirs}}
	began := time.Now()
	if err := each(ctx, fleets, (*fleet).fill); err != nil {
		return nil, err
	}
	fmt.Fprintf(programs.Progress, "broker: %d ScaledObjects on each side are ready after %s\n", brokerObjects, time.Since(began).Round(time.Second))
	if err := each(ctx, fleets, (*fleet).settle); err != nil {
		return nil, err
	}
	fmt.Fprintf(programs.Progress, "broker: and settled after %s\n", time.Since(began).Round(time.Second))
	if measurements, err = windows(ctx, fleets, "idle"); err != nil {
		return nil, err
	}
	began = time.Now()
	if err := each(ctx, fleets, (*fleet).wake); err != nil {
		return nil, err
	}
	fmt.Fprintf(programs.Progress, "broker: a tenth runs on each side after %s\n", time.Since(began).Round(time.Second))
	// The HPA's first looks at those that run now.
	if err := pause(ctx, polling/2); err != nil {
		return nil, err
	}
	active, err := windows(ctx, fleets, "active")
	return append(measurements, active...), err
}

// each does the same on both sides at the same time.
func each(ctx context.Context, fleets []*fleet, do func(*fleet, context.Context) error) error {
	group, ctx := errgroup.WithContext(ctx)
	for _, f := range fleets {
		group.Go(func() error { return do(f, ctx) })
	}
	return group.Wait()
}

// fill makes the ScaledObjects, whose queues are empty.
func (f *fleet) fill(ctx context.Context) error {
	const namespace = "broker"
	if err := f.Stage.Cluster.CreateNamespace(ctx, namespace); err != nil {
		return err
	}
	interval := polling
	if f.Scaler != nil {
		interval = pushedPolling
	}
	options := make([]workload.Options, brokerObjects)
	for i := range options {
		name := list(namespace, i)
		f.lists = append(f.lists, name)
		options[i] = workload.Options{Namespace: namespace, Name: name, Triggers: []workload.Trigger{f.Trigger(name)}, PollingInterval: interval}
	}
	var err error
	f.workloads, err = workload.NewFleet(ctx, f.Stage.Clients, patience, options)
	return err
}

// settle waits until the set-up is over.
func (f *fleet) settle(ctx context.Context) error {
	if err := f.Stage.Cluster.WaitSettled(ctx, patience); err != nil {
		return err
	}
	return pause(ctx, polling/3) // for the first polls of the last ones and the collection of garbage
}

// wake writes a message to some of the queues, which is work for one replica, and waits until KEDA has seen to each.
func (f *fleet) wake(ctx context.Context) error {
	for _, name := range f.lists[:brokerActive] {
		if err := f.Redis.Push(ctx, name, 1); err != nil {
			return err
		}
	}
	written := time.Now()
	for _, w := range f.workloads[:brokerActive] {
		if _, err := w.WaitReplicas(ctx, written, patience, func(n int32) bool { return n == 1 }); err != nil {
			return err
		}
	}
	return nil
}

// windows looks at both sides at the same time, again and again.
func windows(ctx context.Context, fleets []*fleet, kind string) ([]measurement.Measurement, error) {
	var rounds []measurement.Rounds
	var scalerCPU, scalerMemory []float64
	for range brokerWindows {
		var before, after [2]cost
		for i, f := range fleets {
			if err := f.cost(ctx, &before[i]); err != nil {
				return nil, err
			}
		}
		if err := pause(ctx, brokerWindow); err != nil {
			return nil, err
		}
		for i, f := range fleets {
			if err := f.cost(ctx, &after[i]); err != nil {
				return nil, err
			}
		}
		var values [2][]float64
		for i, f := range fleets {
			connections, err := f.Redis.Connections(ctx)
			if err != nil {
				return nil, err
			}
			values[i] = append([]float64{float64(connections)}, after[i].since(before[i])...)
		}
		if rounds == nil {
			rounds = make([]measurement.Rounds, len(values[0]))
		}
		for i := range rounds {
			rounds[i].Add(values[0][i], values[1][i])
		}
		seconds := after[0].at.Sub(before[0].at).Seconds()
		scalerCPU = append(scalerCPU, milliseconds(after[0].scaler-before[0].scaler)/seconds)
		scalerMemory = append(scalerMemory, after[0].scalerMemory/1e6)
	}
	unbound, notWorse := measurement.Bound{}, measurement.RatioAtMost(1)
	var measurements []measurement.Measurement
	for i, f := range []struct {
		name, unit string
		bound      measurement.Bound
	}{ // in the order of the values
		{"broker_connections", "connections", measurement.AtMost(3)},
		{"broker_commands", "1/s", unbound},
		{"broker_cpu", "ms/s", notWorse},
		{"keda_cpu", "ms/s", notWorse},
		{"keda_memory", "MB", notWorse},
		{"keda_adapter_cpu", "ms/s", unbound},
		{"kubernetes_cpu", "ms/s", unbound},
	} {
		measurements = append(measurements, rounds[i].Measurement(f.name+"_"+kind, f.unit, f.bound))
	}
	return append(measurements,
		measurement.Alone("scaler_cpu_"+kind, "ms/s", unbound, scalerCPU...),
		measurement.Alone("scaler_memory_"+kind, "MB", unbound, scalerMemory...),
	), nil
}
