package app_test

import (
	"context"
	"errors"
	"maps"
	"sync/atomic"
	"testing"
	"time"

	pb "github.com/kedacore/keda/v2/pkg/scalers/externalscaler"
	"github.com/redis/go-redis/v9"
	"google.golang.org/grpc/status"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/redistest"
)

// receiveFor pushes up to 50 messages a second to a list that a worker empties with BLPOP,
// for d and until enough is true, and returns how many the worker got.
func receiveFor(t *testing.T, server *redistest.Server, list string, d time.Duration, enough func(got int64) bool) int64 {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	worker := server.NewClient(func(*redis.Options) {})
	var got atomic.Int64
	done := make(chan struct{})
	go func() {
		defer close(done)
		for ctx.Err() == nil {
			if err := worker.BLPop(ctx, time.Second, list).Err(); err == nil {
				got.Add(1)
			} else if !errors.Is(err, redis.Nil) && ctx.Err() == nil {
				t.Errorf("BLPOP: %v", err)
				return
			}
		}
	}()
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	for end := time.Now().Add(d); time.Now().Before(end) || !enough(got.Load()); <-ticker.C {
		server.Do("RPUSH", list, "job")
	}
	redistest.Eventually(t, "the worker has drained the list", func() bool { return server.Do("LLEN", list) == int64(0) })
	cancel()
	<-done
	return got.Load()
}

// TestDrainedListStaysActiveWhileItReceives: a worker that waits in BLPOP takes each
// message at once, so no look ever finds one.
func TestDrainedListStaysActiveWhileItReceives(t *testing.T) {
	t.Parallel()
	// A machine that stalls for as long as the hold would see the trigger inactive.
	const hold, receiving = 6 * time.Second, 15 * time.Second
	server := redistest.Start(t)
	server.Do("RPUSH", "jobs", "the first one finds no worker")
	s := start(t, standalone(server.Addr()), setup{})
	r := ref("jobs", "holdActive", hold.String())
	s.awaitValue(r, 1)
	stream, err := s.client.StreamIsActive(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	if first, err := stream.Recv(); err != nil || !first.GetResult() {
		t.Fatalf("the stream begins with %v, %v", first, err)
	}
	inactive := make(chan time.Time, 1)
	go func() {
		for {
			message, err := stream.Recv()
			if err != nil || !message.GetResult() {
				inactive <- time.Now()
				return
			}
		}
	}()
	asking, stop := context.WithCancel(t.Context())
	var asked atomic.Int64
	over := make(chan struct{})
	go func() {
		defer close(over)
		for ; asking.Err() == nil; asked.Add(1) {
			answer, err := s.client.IsActive(asking, r)
			if asking.Err() == nil && (err != nil || !answer.GetResult()) {
				t.Errorf("while the list receives, active is %v, error %v", answer.GetResult(), err)
				break
			}
			time.Sleep(50 * time.Millisecond)
		}
	}()
	receiveFor(t, server, "jobs", receiving, func(got int64) bool { return got >= 100 && asked.Load() >= 50 || t.Failed() })
	ended := time.Now()
	stop()
	<-over
	select {
	case at := <-inactive:
		// How long it stays active after that is held in synthetic time.
		if at.Before(ended) {
			t.Errorf("inactive %s before the last message", ended.Sub(at))
		}
	case <-time.After(patience):
		t.Error("the trigger never became inactive")
	}
}

// TestWorkInFlightStaysActive: one long job, nothing waits, and nothing else happens.
func TestWorkInFlightStaysActive(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	s := start(t, standalone(server.Addr()), setup{})
	for _, tc := range []struct {
		name    string
		trigger map[string]string
		take    [][]any
		settle  []any
	}{
		{
			"list",
			map[string]string{"list": "mails", "inFlightList": "mails:taken"},
			[][]any{{"RPUSH", "mails", "one"}, {"LMOVE", "mails", "mails:taken", "LEFT", "RIGHT"}},
			[]any{"LREM", "mails:taken", 1, "one"},
		},
		{
			"stream",
			map[string]string{"stream": "orders", "consumerGroup": "billing"},
			[][]any{{"XGROUP", "CREATE", "orders", "billing", "0", "MKSTREAM"}, {"XADD", "orders", "1-1", "n", "1"}, {"XREADGROUP", "GROUP", "billing", "w", "STREAMS", "orders", ">"}},
			[]any{"XACK", "orders", "billing", "1-1"},
		},
		{
			"bullmq",
			map[string]string{"bullmq": "videos"},
			[][]any{{"HSET", "bull:videos:meta", "opts.maxLenEvents", "10000"}, {"LPUSH", "bull:videos:active", "1"}},
			[]any{"LREM", "bull:videos:active", 1, "1"},
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			for _, command := range tc.take {
				server.Do(command...)
			}
			for _, count := range []string{"ready,due,inFlight", "ready"} {
				r := &pb.ScaledObjectRef{Namespace: "shop", Name: tc.name, ScalerMetadata: map[string]string{"connection": "main", "count": count}}
				maps.Copy(r.ScalerMetadata, tc.trigger)
				for end := time.Now().Add(2 * time.Second); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
					if answer, err := s.client.IsActive(t.Context(), r); err != nil || !answer.GetResult() {
						t.Fatalf("count %s: active is %v while a job is in flight, error %v", count, answer.GetResult(), status.Convert(err).Message())
					}
				}
				if count == "ready" {
					server.Do(tc.settle...)
					redistest.Eventually(t, "the trigger is inactive when the job is done", func() bool {
						answer, err := s.client.IsActive(t.Context(), r)
						return err == nil && !answer.GetResult()
					})
				}
			}
		})
	}
}
