package scaler

import (
	"context"
	"fmt"

	pb "github.com/kedacore/keda/v2/pkg/scalers/externalscaler"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
)

// Report asks the scaler for the value of a trigger and whether it is active, as KEDA does.
func (s *Scaler) Report(ctx context.Context, namespace, name string, metadata map[string]string) (value float64, active bool, err error) {
	connection, err := grpc.NewClient(s.Address(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return 0, false, fmt.Errorf("connect to %s: %w", s.options.Name, err)
	}
	defer connection.Close() //nolint:errcheck // every call has ended
	client := pb.NewExternalScalerClient(connection)
	ref := &pb.ScaledObjectRef{Namespace: namespace, Name: name, ScalerMetadata: metadata}
	spec, err := client.GetMetricSpec(ctx, ref)
	if err != nil {
		return 0, false, fmt.Errorf("ask %s for the name of the metric: %w", s.options.Name, err)
	}
	metrics, err := client.GetMetrics(ctx, &pb.GetMetricsRequest{ScaledObjectRef: ref, MetricName: spec.GetMetricSpecs()[0].GetMetricName()})
	if err != nil {
		return 0, false, fmt.Errorf("ask %s for the value: %w", s.options.Name, err)
	}
	state, err := client.IsActive(ctx, ref)
	if err != nil {
		return 0, false, fmt.Errorf("ask %s for the activity: %w", s.options.Name, err)
	}
	return metrics.GetMetricValues()[0].GetMetricValueFloat(), state.GetResult(), nil
}
