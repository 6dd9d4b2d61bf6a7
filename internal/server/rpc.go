package server

import (
	"context"
	"math"
	"time"

	pb "github.com/kedacore/keda/v2/pkg/scalers/externalscaler"
)

// IsActive reports whether the workload should have any replica.
func (s *Server) IsActive(ctx context.Context, ref *pb.ScaledObjectRef) (*pb.IsActiveResponse, error) {
	_, d, err := s.decide(ctx, ref, methodIsActive)
	if err != nil {
		return nil, err
	}
	if d.Active {
		return s.active, nil
	}
	return s.inactive, nil
}

// GetMetricSpec returns the HPA's target. It does no I/O, so it also works in an outage:
// KEDA builds the HPA from it. Even a rejected trigger gets a spec here. Without one KEDA
// reports only "no metric specs returned from scalers" and makes no further call. With one it
// calls GetMetrics, whose error reaches the events of the ScaledObject:
// https://github.com/kedacore/keda/blob/v2.21.0/pkg/scaling/scale_handler.go#L1198
func (s *Server) GetMetricSpec(_ context.Context, ref *pb.ScaledObjectRef) (*pb.GetMetricSpecResponse, error) {
	live, err := s.resolve(ref, methodGetMetricSpec)
	if err != nil {
		return rejectedSpec(), nil //nolint:nilerr // GetMetrics returns it where it is read
	}
	live.calls.record(methodGetMetricSpec, response{target: live.trigger.Policy.Target}, time.Now())
	return live.metricSpec(), nil
}

// rejectedSpec is the spec of a rejected trigger. No value is ever reported under its name.
func rejectedSpec() *pb.GetMetricSpecResponse {
	return &pb.GetMetricSpecResponse{MetricSpecs: []*pb.MetricSpec{{
		MetricName: "backlog-scaler-rejected", TargetSize: 1, TargetSizeFloat: 1,
	}}}
}

// GetMetrics returns the current value. KEDA ignores the metric name in the reply and calls
// with the name of an earlier GetMetricSpec, so an outdated name is no error:
// https://github.com/kedacore/keda/blob/v2.21.0/pkg/scalers/external_scaler.go#L243
func (s *Server) GetMetrics(ctx context.Context, request *pb.GetMetricsRequest) (*pb.GetMetricsResponse, error) {
	live, d, err := s.decide(ctx, request.GetScaledObjectRef(), methodGetMetrics)
	if err != nil {
		return nil, err
	}
	return live.metrics(request.GetMetricName(), d.Value), nil
}

// metrics returns the reply to GetMetrics. It is shared while it stays the same, so callers
// must not change it.
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

// metricSpec returns the trigger's target, in both of KEDA's fields. It is shared, so callers
// must not change it.
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

// roundUp returns a value for KEDA's integer fields, which older versions read. A fractional
// value rounds up, so that it is never zero there.
func roundUp(value float64) int64 {
	if value >= math.MaxInt64 {
		return math.MaxInt64
	}
	return int64(math.Ceil(value))
}
