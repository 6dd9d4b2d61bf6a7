package subject

import (
	"context"
	"errors"
	"fmt"
	"time"

	pb "github.com/kedacore/keda/v2/pkg/scalers/externalscaler"

	"github.com/backlog-scaler/backlog-scaler/bench/measurement"
	"github.com/backlog-scaler/backlog-scaler/bench/redisserver"
)

const (
	// triggers is how many ScaledObjects there are where nothing else is said.
	triggers = 10_000
	// rpcRounds and rpcCalls are the rounds of each method and the calls of each. Many
	// short rounds say more than a few long ones: what disturbs one disturbs the next.
	rpcRounds, rpcCalls = 31, 2_500
)

// A call is one of the calls that KEDA polls with.
type call struct {
	name string
	do   func(ctx context.Context, s *side, r *pb.ScaledObjectRef) error
}

func calls() []call {
	return []call{
		{"getmetrics", func(ctx context.Context, s *side, r *pb.ScaledObjectRef) error {
			_, err := s.GetMetrics(ctx, &pb.GetMetricsRequest{ScaledObjectRef: r, MetricName: "list-team-orders-1"})
			return err
		}},
		{"isactive", func(ctx context.Context, s *side, r *pb.ScaledObjectRef) error {
			_, err := s.IsActive(ctx, r)
			return err
		}},
		{"getmetricspec", func(ctx context.Context, s *side, r *pb.ScaledObjectRef) error {
			_, err := s.GetMetricSpec(ctx, r)
			return err
		}},
	}
}

// RPC measures the calls that KEDA polls with, of as many live triggers, a tenth of
// them with work, against a server that only looks its replies up.
func RPC(ctx context.Context, programs Programs) (result Result, err error) {
	s := &stage{programs: programs}
	defer func() { err = errors.Join(err, s.close()) }()
	r, err := s.redis(ctx)
	if err != nil {
		return result, err
	}
	all := newObjects(triggers)
	if err := r.Push(ctx, all.lists[:triggers/10]); err != nil {
		return result, err
	}
	ours, err := s.ours(ctx, r)
	if err != nil {
		return result, err
	}
	baseline, err := s.baseline(ctx)
	if err != nil {
		return result, err
	}
	for _, c := range calls() {
		measurements, err := compareCalls(ctx, c, all, ours, baseline)
		if err != nil {
			return result, fmt.Errorf("call %s: %w", c.name, err)
		}
		result.Measurements = append(result.Measurements, measurements...)
	}
	allocations, err := s.allocations(ctx, r, all)
	result.Measurements = append(result.Measurements, allocations...)
	return result, err
}

// compareCalls lets both sides answer in turns.
func compareCalls(ctx context.Context, c call, all objects, ours, baseline *side) ([]measurement.Measurement, error) {
	var throughput, p99, cpu measurement.Rounds
	if err := errors.Join(warmUp(ctx, c, all, ours), warmUp(ctx, c, all, baseline)); err != nil {
		return nil, err
	}
	for n := range rpcRounds {
		var own, least score
		err := measurement.InTurns(n,
			func() (err error) { own, err = burst(ctx, c, all, ours); return err },
			func() (err error) { least, err = burst(ctx, c, all, baseline); return err },
		)
		if err != nil {
			return nil, err
		}
		throughput.Add(own.throughput, least.throughput)
		p99.Add(own.p99, least.p99)
		cpu.Add(own.cpu, least.cpu)
	}
	name := "rpc_" + c.name
	return []measurement.Measurement{
		throughput.Measurement(name+"_throughput", "calls/s", measurement.RatioAtLeast(0.9)),
		p99.Measurement(name+"_p99", "ms", measurement.RatioAtMost(1.2)),
		cpu.Measurement(name+"_cpu", "us/call", measurement.Bound{}),
	}, nil
}

// warmUp asks about every trigger: before, they are unknown and connections cold.
func warmUp(ctx context.Context, c call, all objects, s *side) error {
	for range len(all.refs) / rpcCalls {
		if _, err := burst(ctx, c, all, s); err != nil {
			return err
		}
	}
	return nil
}

// A score is what one side did in one round.
type score struct {
	throughput float64 // calls a second
	p99        float64 // milliseconds, as the caller sees it
	cpu        float64 // microseconds of the server's processor time a call
}

// burst makes as many calls as a round has, of ever other triggers.
func burst(ctx context.Context, c call, all objects, s *side) (score, error) {
	took := make([]float64, rpcCalls)
	from := s.calls
	s.calls += rpcCalls
	before, err := s.process.CPU()
	if err != nil {
		return score{}, err
	}
	began := time.Now()
	err = each(rpcCalls, callers, func(i int) error {
		start := time.Now()
		err := c.do(ctx, s, all.refs[(from+i)*61%len(all.refs)])
		took[i] = milliseconds(time.Since(start))
		return err
	})
	elapsed := time.Since(began)
	if err != nil {
		return score{}, err
	}
	after, err := s.process.CPU()
	if err != nil {
		return score{}, err
	}
	return score{
		throughput: rpcCalls / elapsed.Seconds(),
		p99:        measurement.Quantile(took, 0.99),
		cpu:        (after - before).Seconds() * 1e6 / rpcCalls,
	}, nil
}

// allocations counts what the scaler allocates for a call beyond gRPC: beyond a
// server that only looks its replies up. Meanwhile it reads no queues.
func (s *stage) allocations(ctx context.Context, r *redisserver.Server, all objects) ([]measurement.Measurement, error) {
	ours, err := s.ours(ctx, r, "--safety-interval=1h", "--active-interval=1h")
	if err != nil {
		return nil, err
	}
	baseline, err := s.baseline(ctx)
	if err != nil {
		return nil, err
	}
	var measurements []measurement.Measurement
	for _, c := range calls() {
		if err := errors.Join(warmUp(ctx, c, all, ours), warmUp(ctx, c, all, baseline)); err != nil {
			return nil, err
		}
		var own []float64
		for range 3 {
			o, err := allocated(ctx, c, all, ours)
			if err != nil {
				return nil, err
			}
			f, err := allocated(ctx, c, all, baseline)
			if err != nil {
				return nil, err
			}
			own = append(own, o-f)
		}
		measurements = append(measurements, measurement.Alone("rpc_"+c.name+"_allocations", "objects/call", measurement.AtMost(3), own...))
	}
	return measurements, nil
}

// allocated is how many objects the server of a side allocates for a call.
func allocated(ctx context.Context, c call, all objects, s *side) (float64, error) {
	// The first count takes what counting takes out of the difference of the others.
	var counts [3]float64
	for i := range counts {
		if i == 2 {
			if _, err := burst(ctx, c, all, s); err != nil {
				return 0, err
			}
		}
		count, err := s.process.Allocations(ctx)
		if err != nil {
			return 0, err
		}
		counts[i] = count
	}
	return (counts[2] - counts[1] - (counts[1] - counts[0])) / rpcCalls, nil
}

func milliseconds(d time.Duration) float64 { return d.Seconds() * 1000 }
