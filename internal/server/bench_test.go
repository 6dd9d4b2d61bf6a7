package server_test

import (
	"fmt"
	"testing"
	"time"

	pb "github.com/kedacore/keda/v2/pkg/scalers/externalscaler"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/backlogtest"
	"github.com/backlog-scaler/backlog-scaler/internal/sampler"
	"github.com/backlog-scaler/backlog-scaler/internal/server"
	"github.com/backlog-scaler/backlog-scaler/internal/trigger"
)

// liveTriggers is how many triggers the benchmarks ask about in turn.
const liveTriggers = 10_000

// newBenchServer returns a server that knows all live triggers, without gRPC.
func newBenchServer(b testing.TB) (*server.Server, []*pb.ScaledObjectRef) {
	b.Helper()
	fake := backlogtest.NewFake()
	engines := []backlog.Engine{fake.Engine()}
	s := sampler.New(engines, sampler.Options{SafetyInterval: time.Hour, ActiveInterval: time.Hour})
	b.Cleanup(s.Close)
	if err := s.Apply(b.Context(), connections()); err != nil {
		b.Fatal(err)
	}
	srv := server.New(observer{s}, trigger.NewCatalog(connections(), engines), server.Options{MaxTriggersPerNamespace: liveTriggers})
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

// The benchmarks of calls measure our own part, without gRPC, for profiles; make bench
// compares whole calls.

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
