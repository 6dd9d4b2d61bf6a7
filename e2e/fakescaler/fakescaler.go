// Package fakescaler is an external scaler whose values a test sets. It counts how often each was read, so that a test knows
// when the HPA has looked.
package fakescaler

import (
	"context"
	"fmt"
	"net"
	"sync"

	pb "github.com/kedacore/keda/v2/pkg/scalers/externalscaler"
	"google.golang.org/grpc"
)

// A Scaler reports one value for each ScaledObject, with target 1. It is safe for concurrent use.
type Scaler struct {
	pb.UnimplementedExternalScalerServer

	address string
	server  *grpc.Server
	serving sync.WaitGroup

	mu     sync.Mutex // guards both: KEDA's calls read and count, tests set
	values map[string]float64
	reads  map[string]int
}

// Start starts a scaler on a free port. Close must be called.
func Start(ctx context.Context) (*Scaler, error) {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("listen for KEDA: %w", err)
	}
	s := &Scaler{address: listener.Addr().String(), server: grpc.NewServer(), values: map[string]float64{}, reads: map[string]int{}}
	pb.RegisterExternalScalerServer(s.server, s)
	s.serving.Go(func() { _ = s.server.Serve(listener) }) // ends with Close
	return s, nil
}

// Close ends all calls and waits for them.
func (s *Scaler) Close() {
	s.server.Stop()
	s.serving.Wait()
}

// Address is where KEDA finds it.
func (s *Scaler) Address() string { return s.address }

// Set sets the value of a ScaledObject.
func (s *Scaler) Set(name string, value float64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.values[name] = value
}

// Reads is how often the value of a ScaledObject was read.
func (s *Scaler) Reads(name string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.reads[name]
}

// IsActive reports every ScaledObject as active.
func (*Scaler) IsActive(context.Context, *pb.ScaledObjectRef) (*pb.IsActiveResponse, error) {
	return &pb.IsActiveResponse{Result: true}, nil
}

// GetMetricSpec returns the target 1.
func (*Scaler) GetMetricSpec(context.Context, *pb.ScaledObjectRef) (*pb.GetMetricSpecResponse, error) {
	return &pb.GetMetricSpecResponse{MetricSpecs: []*pb.MetricSpec{{MetricName: "value", TargetSizeFloat: 1}}}, nil
}

// GetMetrics returns the value that was set.
func (s *Scaler) GetMetrics(_ context.Context, request *pb.GetMetricsRequest) (*pb.GetMetricsResponse, error) {
	name := request.GetScaledObjectRef().GetName()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.reads[name]++
	return &pb.GetMetricsResponse{MetricValues: []*pb.MetricValue{{MetricName: request.GetMetricName(), MetricValueFloat: s.values[name]}}}, nil
}
