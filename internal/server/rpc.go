package server

import (
	"context"
	"math"
	"time"

	pb "github.com/kedacore/keda/v2/pkg/scalers/externalscaler"
)

// IsActive tells whether the workload should run at all.
func (s *Server) IsActive(ctx context.Context, ref *pb.ScaledObjectRef) (*pb.IsActiveResponse, error) {
	_, decision, err := s.decide(ctx, ref, methodIsActive)
	if err != nil {
		return nil, err
	}
	if decision.Active {
		return s.active, nil
	}
	return s.inactive, nil
}

// GetMetricSpec tells the HPA's target. It does no I/O, so it answers in an
// outage too: KEDA builds the HPA from it. Even a trigger that is refused gets an
// answer here: without one KEDA says only "no metric specs returned from scalers"
// and never asks further; with one it asks GetMetrics, whose error reaches the
// events of the ScaledObject:
// https://github.com/kedacore/keda/blob/v2.21.0/pkg/scaling/scale_handler.go#L1198
func (s *Server) GetMetricSpec(_ context.Context, ref *pb.ScaledObjectRef) (*pb.GetMetricSpecResponse, error) {
	live, err := s.resolve(ref, methodGetMetricSpec)
	if err != nil {
		return refusedSpec(), nil //nolint:nilerr // GetMetrics tells it where it is read
	}
	live.calls.note(methodGetMetricSpec, answer{target: live.trigger.Policy.Target}, time.Now())
	return live.metricSpec(), nil
}

// refusedSpec stands in for the spec of a trigger that is refused. No value is
// ever told under its name.
func refusedSpec() *pb.GetMetricSpecResponse {
	return &pb.GetMetricSpecResponse{MetricSpecs: []*pb.MetricSpec{{
		MetricName: "backlog-scaler-refused", TargetSize: 1, TargetSizeFloat: 1,
	}}}
}

// GetMetrics tells the current value. KEDA ignores the metric name in the reply
// and asks with the name of an earlier GetMetricSpec, so a name that is not
// current is no error:
// https://github.com/kedacore/keda/blob/v2.21.0/pkg/scalers/external_scaler.go#L243
func (s *Server) GetMetrics(ctx context.Context, request *pb.GetMetricsRequest) (*pb.GetMetricsResponse, error) {
	live, decision, err := s.decide(ctx, request.GetScaledObjectRef(), methodGetMetrics)
	if err != nil {
		return nil, err
	}
	return live.metrics(request.GetMetricName(), decision.Value), nil
}

// metrics is the reply to GetMetrics. As long as it stays the same, it is made once;
// whoever gets it must not change it.
func (t *liveTrigger) metrics(name string, value float64) *pb.GetMetricsResponse {
	if reply := t.reply.Load(); reply != nil && reply.MetricValues[0].MetricValueFloat == value && reply.MetricValues[0].MetricName == name {
		return reply
	}
	reply := &pb.GetMetricsResponse{MetricValues: []*pb.MetricValue{{
		MetricName:       name,
		MetricValue:      roundUp(value),
		MetricValueFloat: value,
	}}}
	t.reply.Store(reply)
	return reply
}

// metricSpec is the trigger's target, in both of KEDA's fields. It is made once;
// whoever gets it must not change it.
func (t *liveTrigger) metricSpec() *pb.GetMetricSpecResponse {
	if spec := t.spec.Load(); spec != nil {
		return spec
	}
	spec := &pb.GetMetricSpecResponse{MetricSpecs: []*pb.MetricSpec{{
		MetricName:      t.trigger.MetricName,
		TargetSize:      max(1, roundUp(t.trigger.Policy.Target)),
		TargetSizeFloat: t.trigger.Policy.Target,
	}}}
	t.spec.Store(spec)
	return spec
}

// roundUp is for KEDA's integer fields, which older versions read: what is more
// than nothing is at least one there.
func roundUp(value float64) int64 {
	if value >= math.MaxInt64 {
		return math.MaxInt64
	}
	return int64(math.Ceil(value))
}
