package server_test

import (
	"context"
	"fmt"
	"net"
	"testing"
	"time"

	pb "github.com/kedacore/keda/v2/pkg/scalers/externalscaler"
	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/backlogtest"
	"github.com/backlog-scaler/backlog-scaler/internal/sampler"
	"github.com/backlog-scaler/backlog-scaler/internal/server"
	"github.com/backlog-scaler/backlog-scaler/internal/trigger"
)

// liveTriggers is how many triggers the benchmarks ask about in turn.
const liveTriggers = 10_000

// An empty server answers at once: what it costs is what gRPC costs.
type emptyServer struct {
	pb.UnimplementedExternalScalerServer
}

func (emptyServer) IsActive(context.Context, *pb.ScaledObjectRef) (*pb.IsActiveResponse, error) {
	return &pb.IsActiveResponse{Result: true}, nil
}

func (emptyServer) GetMetrics(_ context.Context, r *pb.GetMetricsRequest) (*pb.GetMetricsResponse, error) {
	return &pb.GetMetricsResponse{MetricValues: []*pb.MetricValue{{MetricName: r.GetMetricName(), MetricValueFloat: 1}}}, nil
}

func (emptyServer) GetMetricSpec(context.Context, *pb.ScaledObjectRef) (*pb.GetMetricSpecResponse, error) {
	return &pb.GetMetricSpecResponse{MetricSpecs: []*pb.MetricSpec{{MetricName: "m", TargetSizeFloat: 5}}}, nil
}

// newBenchServer returns a server that knows all live triggers, without gRPC.
func newBenchServer(b *testing.B) (*server.Server, []*pb.ScaledObjectRef) {
	b.Helper()
	fake := backlogtest.NewFake()
	engines := []backlog.Engine{fake.Engine()}
	s := sampler.New(engines, sampler.Options{SafetyInterval: time.Hour, ActiveInterval: time.Hour})
	b.Cleanup(s.Close)
	if err := s.Apply(b.Context(), connections()); err != nil {
		b.Fatal(err)
	}
	srv := server.New(observer{s}, trigger.NewCatalog(connections(), engines), server.Options{})
	refs := make([]*pb.ScaledObjectRef, liveTriggers)
	for i := range refs {
		queue := fmt.Sprint("team-orders-", i)
		fake.SetReady(queue, int64(i%100))
		refs[i] = ref(queue, "target", "10", "activation", "2", "maxStaleness", "1m", "consumerGroup", "billing")
		refs[i].Name = fmt.Sprint("worker-", i)
		if _, err := srv.IsActive(b.Context(), refs[i]); err != nil {
			b.Fatal(err)
		}
	}
	return srv, refs
}

// The benchmarks of calls measure our own part, without gRPC.

func BenchmarkIsActive(b *testing.B) {
	srv, refs := newBenchServer(b)
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		i++
		if _, err := srv.IsActive(b.Context(), refs[i%len(refs)]); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkGetMetrics(b *testing.B) {
	srv, refs := newBenchServer(b)
	requests := make([]*pb.GetMetricsRequest, len(refs))
	for i, r := range refs {
		requests[i] = &pb.GetMetricsRequest{ScaledObjectRef: r, MetricName: "m"}
	}
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		i++
		if _, err := srv.GetMetrics(b.Context(), requests[i%len(requests)]); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkGetMetricSpec(b *testing.B) {
	srv, refs := newBenchServer(b)
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		i++
		if _, err := srv.GetMetricSpec(b.Context(), refs[i%len(refs)]); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkCallOverGRPC compares a whole call, with interceptors, to one of a
// server whose handlers are empty: their rounds alternate in one run, and the
// ratio of their throughputs is reported.
func BenchmarkCallOverGRPC(b *testing.B) {
	srv, refs := newBenchServer(b)
	bare := grpc.NewServer()
	pb.RegisterExternalScalerServer(bare, emptyServer{})
	whole := server.NewGRPC(srv, server.NewHealth(func() error { return nil }), nil, prometheus.NewRegistry())
	ours, floor := serveLoopback(b, whole), serveLoopback(b, bare)
	round := func(client pb.ExternalScalerClient) time.Duration {
		const calls, callers = 4000, 64
		done := make(chan error, callers)
		began := time.Now()
		for c := range callers {
			go func() {
				for i := range calls / callers {
					r := refs[(c*calls/callers+i*61)%len(refs)]
					if _, err := client.GetMetrics(b.Context(), &pb.GetMetricsRequest{ScaledObjectRef: r, MetricName: "m"}); err != nil {
						done <- err
						return
					}
				}
				done <- nil
			}()
		}
		for range callers {
			if err := <-done; err != nil {
				b.Fatal(err)
			}
		}
		return time.Since(began) / calls
	}
	round(ours)
	round(floor)
	var own, least time.Duration
	for b.Loop() {
		own += round(ours)
		least += round(floor)
	}
	b.ReportMetric(float64(own.Nanoseconds())/float64(b.N), "ns/call")
	b.ReportMetric(float64(least)/float64(own), "of-bare-throughput")
}

func serveLoopback(b *testing.B, g *grpc.Server) pb.ExternalScalerClient {
	b.Helper()
	var lc net.ListenConfig
	listener, err := lc.Listen(b.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- g.Serve(listener) }()
	conn, err := grpc.NewClient(listener.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := conn.Close(); err != nil {
			b.Error(err)
		}
		g.Stop()
		if err := <-served; err != nil {
			b.Error(err)
		}
	})
	return pb.NewExternalScalerClient(conn)
}
