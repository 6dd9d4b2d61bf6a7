// Package baseline is the least that a server of KEDA's protocol can do: grpc-go with handlers that return messages
// made beforehand. What the scaler needs beyond it is its own cost.
package baseline

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/pprof"
	"time"

	pb "github.com/kedacore/keda/v2/pkg/scalers/externalscaler"
	"google.golang.org/grpc"
)

// maxStreams is the limit of the scaler.
const maxStreams = 200_000

// A server answers every call with the same messages, made beforehand and as large as
// the scaler's.
type server struct {
	pb.UnimplementedExternalScalerServer

	active  *pb.IsActiveResponse
	spec    *pb.GetMetricSpecResponse
	metrics *pb.GetMetricsResponse
}

// IsActive answers.
func (s server) IsActive(context.Context, *pb.ScaledObjectRef) (*pb.IsActiveResponse, error) {
	return s.active, nil
}

// GetMetricSpec answers.
func (s server) GetMetricSpec(context.Context, *pb.ScaledObjectRef) (*pb.GetMetricSpecResponse, error) {
	return s.spec, nil
}

// GetMetrics answers.
func (s server) GetMetrics(context.Context, *pb.GetMetricsRequest) (*pb.GetMetricsResponse, error) {
	return s.metrics, nil
}

// StreamIsActive answers once and holds the stream.
func (s server) StreamIsActive(_ *pb.ScaledObjectRef, stream grpc.ServerStreamingServer[pb.IsActiveResponse]) error {
	if err := stream.Send(s.active); err != nil {
		return err
	}
	<-stream.Context().Done()
	return nil
}

// StreamMetricSpec answers once and holds the stream.
func (s server) StreamMetricSpec(_ *pb.ScaledObjectRef, stream grpc.ServerStreamingServer[pb.GetMetricSpecResponse]) error {
	if err := stream.Send(s.spec); err != nil {
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
	pb.RegisterExternalScalerServer(g, server{
		active:  &pb.IsActiveResponse{Result: true},
		spec:    &pb.GetMetricSpecResponse{MetricSpecs: []*pb.MetricSpec{{MetricName: "list-team-orders-1", TargetSize: 10, TargetSizeFloat: 10}}},
		metrics: &pb.GetMetricsResponse{MetricValues: []*pb.MetricValue{{MetricName: "list-team-orders-1", MetricValue: 7, MetricValueFloat: 7}}},
	})
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
