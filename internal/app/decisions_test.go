package app_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	pb "github.com/kedacore/keda/v2/pkg/scalers/externalscaler"

	inspectorpb "github.com/backlog-scaler/backlog-scaler/gen/backlogscaler/v1"
	"github.com/backlog-scaler/backlog-scaler/internal/app"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/redistest"
	"github.com/backlog-scaler/backlog-scaler/internal/explain"
	"github.com/backlog-scaler/backlog-scaler/internal/server/inspector"
)

// watchDecisions collects what "scaler watch" prints, without the times, until the
// test ends; the function that it returns reports how the watch ended.
func (s *scaler) watchDecisions(namespace string) (lines func() []string, ended func() error) {
	s.Helper()
	client, err := inspector.NewClient(s.app.AdminAddr().String())
	if err != nil {
		s.Fatal(err)
	}
	ctx, cancel := context.WithCancel(s.Context())
	var mu sync.Mutex
	var text strings.Builder
	end := make(chan error, 1)
	go func() {
		end <- client.Watch(ctx, &inspectorpb.WatchDecisionsRequest{Namespace: namespace}, func(r *inspectorpb.WatchDecisionsResponse) error {
			mu.Lock()
			defer mu.Unlock()
			return explain.Lines(&text, r)
		})
	}()
	ended = sync.OnceValue(func() error { return <-end })
	s.Cleanup(func() {
		cancel()
		_ = ended() // the tests that need the error have read it
		if err := client.Close(); err != nil {
			s.Error(err)
		}
	})
	return func() []string {
		mu.Lock()
		defer mu.Unlock()
		var all []string
		for line := range strings.Lines(text.String()) {
			_, line, _ = strings.Cut(strings.TrimSpace(line), "  ")
			all = append(all, line)
		}
		return all
	}, ended
}

func TestWatchDecisions(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	s := start(t, standalone(server.Addr()), setup{options: func(o *app.Options) { o.Server.TriggerTTL = 2 * time.Second }})
	lines, ended := s.watchDecisions("shop")
	elsewhere, _ := s.watchDecisions("bank")
	s.awaitValue(ref("jobs"), 0)
	// KEDA goes on to ask meanwhile: what it does not ask about is shown no more after
	// TriggerTTL, which a busy machine may take to show a line.
	await := func(want string, asked ...*pb.ScaledObjectRef) {
		t.Helper()
		redistest.Eventually(t, want, func() bool {
			for _, r := range asked {
				_, _, _ = s.ask(r) // that it is refused is part of what is shown
			}
			return slices.Contains(lines(), want)
		})
	}
	await("shop/worker list-jobs  wants 0 replicas (0 / 5), inactive", ref("jobs"))
	server.Do("RPUSH", "jobs", "a", "b", "c", "d", "e", "f")
	await("shop/worker list-jobs  wants 2 replicas (6 / 5), active", ref("jobs"))
	await(`shop/worker  invalid: tagret: unknown key, did you mean "target"?`, ref("jobs", "tagret", "5"))
	await("shop/worker  no longer called by KEDA")
	await("shop/worker list-jobs  no longer called by KEDA")
	if got := elsewhere(); len(got) != 0 {
		t.Errorf("who watches another namespace sees %q", got)
	}
	s.stop()
	if err := ended(); err == nil || !strings.Contains(err.Error(), "no scaler answers") {
		t.Errorf("when the scaler stops the watch ends with %v", err)
	}
}

// TestWatchManyTriggers: more than one message takes arrive whole.
func TestWatchManyTriggers(t *testing.T) {
	t.Parallel()
	_, s := filled(t)
	const many = 450
	for i := range many - 1 {
		r := ref("jobs")
		r.Name = fmt.Sprint("worker-", i)
		if _, err := s.client.IsActive(t.Context(), r); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	stream, err := inspectorpb.NewInspectorServiceClient(s.dialAt(s.app.AdminAddr().String())).WatchDecisions(ctx, &inspectorpb.WatchDecisionsRequest{})
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for messages := 1; ; messages++ {
		r, err := stream.Recv()
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range r.GetChanged() {
			seen[e.GetTrigger().GetId()] = true
		}
		if r.GetComplete() {
			if messages != 3 || len(seen) != many {
				t.Errorf("%d triggers in %d messages, want %d in 3", len(seen), messages, many)
			}
			return
		}
	}
}
