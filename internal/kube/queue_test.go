package kube

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/backlog-scaler/backlog-scaler/internal/policies"
)

// TestQueue: an error comes again with a growing delay, a conflict soon, and a panic harms no other
// policy.
func TestQueue(t *testing.T) {
	t.Parallel()
	conflict := apierrors.NewConflict(schema.GroupResource{Resource: "deployments"}, "a", errors.New("changed"))
	tests := map[string]struct {
		reconcile func(try int32) (time.Duration, error)
		// tries is how many there are in ten seconds.
		tries int32
		log   string
	}{
		"succeeds":       {func(int32) (time.Duration, error) { return 0, nil }, 1, ""},
		"is due again":   {func(int32) (time.Duration, error) { return 3 * time.Second, nil }, 4, ""},
		"fails":          {func(int32) (time.Duration, error) { return 0, errors.New("no route") }, 7, "no route"},
		"conflicts once": {func(try int32) (time.Duration, error) { return 0, []error{conflict, nil}[min(try-1, 1)] }, 2, ""},
		"panics":         {func(int32) (time.Duration, error) { panic("a slip") }, 7, "a slip"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var log bytes.Buffer
				var tries atomic.Int32
				q := newQueue(func(context.Context, policies.Key) (time.Duration, error) { return test.reconcile(tries.Add(1)) }, slog.New(slog.NewTextHandler(&log, nil)))
				ctx, cancel := context.WithCancel(t.Context())
				var group sync.WaitGroup
				group.Go(func() { q.run(ctx, 2) })
				q.add(policies.Key{Namespace: "shop", Name: "billing"})
				time.Sleep(10 * time.Second)
				cancel()
				group.Wait()
				if got := tries.Load(); got != test.tries {
					t.Errorf("%d tries, want %d", got, test.tries)
				}
				if !strings.Contains(log.String(), test.log) || test.log == "" && log.Len() > 0 {
					t.Errorf("log %q, want %q", &log, test.log)
				}
			})
		})
	}
}
