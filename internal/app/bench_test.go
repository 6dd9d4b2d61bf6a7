package app_test

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	pb "github.com/kedacore/keda/v2/pkg/scalers/externalscaler"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/backlog-scaler/backlog-scaler/internal/app"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/engines"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/redistest"
)

// BenchmarkWakeUp measures from the write of a message into an idle list, as the
// writer sees it, to the "active" on the list's StreamIsActive, with as many
// further idle lists watched beside it, and reports it beside the time of the
// write alone.
func BenchmarkWakeUp(b *testing.B) {
	for _, watched := range []int{100, 10_000} {
		b.Run(fmt.Sprint("watched=", watched), func(b *testing.B) { benchmarkWakeUp(b, watched) })
	}
}

func benchmarkWakeUp(b *testing.B, watched int) {
	b.Helper()
	redis := redistest.Start(b)
	client := runForBenchmark(b, redis.Addr())
	streams := make([]grpc.ServerStreamingClient[pb.IsActiveResponse], watched)
	for i := range streams {
		stream, err := client.StreamIsActive(b.Context(), ref(fmt.Sprint("jobs", i)))
		if err != nil {
			b.Fatal(err)
		}
		streams[i] = stream
	}
	for _, stream := range streams {
		if _, err := stream.Recv(); err != nil {
			b.Fatal(err)
		}
	}
	var wakes, writes []time.Duration
	i := 0
	for b.Loop() {
		list := i % watched
		i++
		began := time.Now()
		redis.Do("RPUSH", fmt.Sprint("jobs", list), "job")
		writes = append(writes, time.Since(began))
		for {
			reply, err := streams[list].Recv()
			if err != nil {
				b.Fatal(err)
			}
			if reply.GetResult() {
				break
			}
		}
		wakes = append(wakes, time.Since(began))
		redis.Do("DEL", fmt.Sprint("jobs", list))
	}
	report := func(name string, all []time.Duration, part int) {
		slices.Sort(all)
		b.ReportMetric(float64(all[(len(all)-1)*part/100].Microseconds()), name)
	}
	report("p50-us", wakes, 50)
	report("p99-us", wakes, 99)
	report("write-p50-us", writes, 50)
}

// runForBenchmark runs a scaler with its default times.
func runForBenchmark(b *testing.B, address string) pb.ExternalScalerClient {
	b.Helper()
	path := filepath.Join(b.TempDir(), "scaler.yaml")
	if err := os.WriteFile(path, []byte(standalone(address)), 0o600); err != nil {
		b.Fatal(err)
	}
	a, err := app.New(b.Context(), app.Options{
		Config: path, GRPCAddress: "127.0.0.1:0", HTTPAddress: "127.0.0.1:0", ShutdownTimeout: 5 * time.Second,
		Engines: engines.All(), Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(b.Context()))
	ended := make(chan error, 1)
	go func() { ended <- a.Run(ctx) }()
	conn, err := grpc.NewClient(a.GRPCAddr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			b.Error(err)
		}
		if err := conn.Close(); err != nil {
			b.Error(err)
		}
	})
	return pb.NewExternalScalerClient(conn)
}
