package measure

import (
	"context"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/backlog-scaler/backlog-scaler/bench/measurement"
	"github.com/backlog-scaler/backlog-scaler/e2e/workload"
)

const (
	// outRounds is how many workloads each side has; a round is one of each.
	outRounds = 5
	// outMessages are work for ten replicas.
	outMessages, outReplicas = 50, 10
	outCooldown              = 5 * time.Second
	// The bounds of the way out and in, in seconds. From one replica on the HPA scales, every 15 s.
	outFirst, outTen, inZero = 5.0, 120.0, 20.0
	// outWithin bounds each step.
	outWithin = 3 * time.Minute
)

// A journey is one workload on its way from zero to ten replicas and back, in seconds: from the write to the first replica and
// to the tenth, and from the moment at which the queue is empty to none.
type journey struct {
	first, ten, zero float64
}

// OutAndIn brings workloads from zero to ten replicas and, when the queue is empty, back to zero, with both triggers side by
// side, both polled every second.
func OutAndIn(ctx context.Context, ours, theirs *Side) ([]measurement.Measurement, error) {
	const namespace = "out-and-in"
	if err := ours.Stage.Cluster.CreateNamespace(ctx, namespace); err != nil {
		return nil, err
	}
	var journeys [2][outRounds]journey
	var workloads [2][]*workload.Workload
	for i, side := range []*Side{ours, theirs} {
		options := make([]workload.Options, outRounds)
		for j := range options {
			name := list(namespace+"-"+side.name(), j)
			options[j] = workload.Options{
				Namespace: namespace, Name: name, Triggers: []workload.Trigger{side.Trigger(name)}, PollingInterval: time.Second, Cooldown: outCooldown,
			}
		}
		var err error
		if workloads[i], err = workload.NewFleet(ctx, side.Stage.Clients, time.Minute, options); err != nil {
			return nil, err
		}
	}
	group, travelling := errgroup.WithContext(ctx)
	for i, side := range []*Side{ours, theirs} {
		for j, w := range workloads[i] {
			group.Go(func() (err error) {
				journeys[i][j], err = side.travel(travelling, w)
				return err
			})
		}
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	var first, ten, zero measurement.Rounds
	for j := range outRounds {
		own, builtin := journeys[0][j], journeys[1][j]
		first.Add(own.first, builtin.first)
		ten.Add(own.ten, builtin.ten)
		zero.Add(own.zero, builtin.zero)
	}
	return []measurement.Measurement{
		first.Measurement("out_first", "s", measurement.AtMost(outFirst)),
		ten.Measurement("out_ten", "s", measurement.AtMost(outTen)),
		zero.Measurement("in_zero", "s", measurement.AtMost(inZero)),
	}, nil
}

// travel goes out and in.
func (s *Side) travel(ctx context.Context, w *workload.Workload) (j journey, err error) {
	queue := w.Key().Name
	written := time.Now()
	if err := s.Redis.Push(ctx, queue, outMessages); err != nil {
		return j, err
	}
	reach := func(since time.Time, seconds *float64, accept func(int32) bool) {
		if err != nil {
			return
		}
		var at time.Time
		at, err = w.WaitReplicas(ctx, since, outWithin, accept)
		*seconds = at.Sub(since).Seconds()
	}
	reach(written, &j.first, some)
	reach(written, &j.ten, func(n int32) bool { return n == outReplicas })
	if err != nil {
		return j, err
	}
	drained := time.Now()
	if err := s.Redis.Drain(ctx, queue); err != nil {
		return j, err
	}
	reach(drained, &j.zero, none)
	return j, err
}
