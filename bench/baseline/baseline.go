// Package baseline is the least that a server of KEDA's protocol can do: grpc-go with handlers that look up which
// reference a call is about, and return a message made beforehand. What the scaler needs beyond it is its own cost.
package baseline

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/pprof"
	"sync"
	"time"

	pb "github.com/kedacore/keda/v2/pkg/scalers/externalscaler"
	"google.golang.org/grpc"
)

// maxStreams is the limit of the scaler.
const maxStreams = 200_000

// A server answers every call about a reference with the same messages, made beforehand and as large as the
// scaler's.
type server struct {
	pb.UnimplementedExternalScalerServer

	// mu guards answers: calls look them up and add to them.
	mu      sync.RWMutex
	answers map[object]*answers
}

// An object is a ScaledObject.
type object struct{ namespace, name string }

// answers are what is answered about a reference.
type answers struct {
	metadata map[string]string
	active   *pb.IsActiveResponse
	spec     *pb.GetMetricSpecResponse
	metrics  *pb.GetMetricsResponse
}

func newAnswers(r *pb.ScaledObjectRef) *answers {
	return &answers{
		metadata: r.GetScalerMetadata(),
		active:   &pb.IsActiveResponse{Result: true},
		spec:     &pb.GetMetricSpecResponse{MetricSpecs: []*pb.MetricSpec{{MetricName: "list-team-orders-1", TargetSize: 10, TargetSizeFloat: 10}}},
		metrics:  &pb.GetMetricsResponse{MetricValues: []*pb.MetricValue{{MetricName: "list-team-orders-1", MetricValue: 7, MetricValueFloat: 7}}},
	}
}

// about returns the answers about a reference: those that it had before, unless its metadata has changed. A server
// that knew less would answer for another queue after an edit.
func (s *server) about(r *pb.ScaledObjectRef) *answers {
	o := object{r.GetNamespace(), r.GetName()}
	s.mu.RLock()
	known := s.answers[o]
	s.mu.RUnlock()
	if known != nil && maps.Equal(known.metadata, r.GetScalerMetadata()) {
		return known
	}
	known = newAnswers(r)
	s.mu.Lock()
	s.answers[o] = known
	s.mu.Unlock()
	return known
}

// IsActive answers.
func (s *server) IsActive(_ context.Context, r *pb.ScaledObjectRef) (*pb.IsActiveResponse, error) {
	return s.about(r).active, nil
}

// GetMetricSpec answers.
func (s *server) GetMetricSpec(_ context.Context, r *pb.ScaledObjectRef) (*pb.GetMetricSpecResponse, error) {
	return s.about(r).spec, nil
}

// GetMetrics answers.
func (s *server) GetMetrics(_ context.Context, r *pb.GetMetricsRequest) (*pb.GetMetricsResponse, error) {
	return s.about(r.GetScaledObjectRef()).metrics, nil
}

// StreamIsActive answers once and holds the stream.
func (*server) StreamIsActive(_ *pb.ScaledObjectRef, stream grpc.ServerStreamingServer[pb.IsActiveResponse]) error {
	if err := stream.Send(&pb.IsActiveResponse{Result: true}); err != nil {
		return err
	}
	<-stream.Context().Done()
	return nil
}

// StreamMetricSpec answers once and holds the stream.
func (*server) StreamMetricSpec(r *pb.ScaledObjectRef, stream grpc.ServerStreamingServer[pb.GetMetricSpecResponse]) error {
	if err := stream.Send(newAnswers(r).spec); err != nil {
		return err
	}
	<-stream.Context().Done()
	return nil
}

// Serve serves on free ports until ctx ends, and says on log where.
func Serve(ctx context.Context, log io.Writer) error {
	var lc net.ListenConfig
	grpcPort, err := lc.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("listen for gRPC: %w", err)
	}
	httpPort, err := lc.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return errors.Join(fmt.Errorf("listen for HTTP: %w", err), grpcPort.Close())
	}
	g := grpc.NewServer(grpc.MaxConcurrentStreams(maxStreams))
	pb.RegisterExternalScalerServer(g, &server{answers: make(map[object]*answers)})
	mux := http.NewServeMux()
	mux.HandleFunc("GET /readyz", func(http.ResponseWriter, *http.Request) {})
	mux.HandleFunc("GET /debug/pprof/", pprof.Index)
	h := &http.Server{Handler: mux, ReadHeaderTimeout: time.Second}
	failed := make(chan error, 2)
	go func() { failed <- g.Serve(grpcPort) }()
	go func() { failed <- h.Serve(httpPort) }()
	fmt.Fprintf(log, "serving grpc=%s http=%s\n", grpcPort.Addr(), httpPort.Addr())
	select {
	case err = <-failed:
	case <-ctx.Done():
	}
	g.Stop()
	return errors.Join(err, h.Close())
}
