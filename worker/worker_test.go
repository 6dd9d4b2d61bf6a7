package worker

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"pgregory.net/rapid"
)

func newWorker(t *testing.T, options Options) *Worker {
	t.Helper()
	w, err := New(options)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func TestNewRejects(t *testing.T) {
	t.Parallel()
	taken := prometheus.NewRegistry()
	newWorker(t, Options{Registerer: taken})
	tests := map[string]struct {
		options Options
		want    string
	}{
		"grace":      {Options{Grace: -time.Second}, "worker: Grace is -1s, want a positive duration, or zero for 25s"},
		"hand-back":  {Options{HandBack: -time.Second}, "worker: HandBack is -1s, want a positive duration, or zero for 3s"},
		"registerer": {Options{Registerer: taken}, "register worker_jobs_in_flight: duplicate"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if _, err := New(test.options); err == nil || !strings.HasPrefix(err.Error(), test.want) {
				t.Errorf("error %v, want %q", err, test.want)
			}
		})
	}
}

// TestLife follows a worker from its start to its drain.
func TestLife(t *testing.T) {
	t.Parallel()
	registry := prometheus.NewRegistry()
	w := newWorker(t, Options{Registerer: registry})
	check := func(when string, want Status) {
		t.Helper()
		if diff := cmp.Diff(want, w.Status()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", when, diff)
		}
	}
	check("new", Status{})
	w.SetReady(true)
	check("ready", Status{Ready: true})
	_, first, err := w.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	_, second, err := w.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	check("two jobs", Status{Busy: true, InFlight: 2, Ready: true})
	families, err := registry.Gather()
	if err != nil || len(families) != 1 || families[0].GetName() != "worker_jobs_in_flight" {
		t.Fatalf("gathered %v, %v", families, err)
	}
	if got := families[0].GetMetric()[0].GetGauge().GetValue(); got != 2 {
		t.Errorf("the gauge is %v, want 2", got)
	}
	first()
	first()
	check("one job", Status{Busy: true, InFlight: 1, Ready: true})
	w.Drain()
	w.Drain()
	w.SetReady(true)
	check("draining", Status{Busy: true, InFlight: 1, Draining: true})
	if _, done, err := w.Begin(t.Context()); !errors.Is(err, ErrDraining) {
		t.Errorf("begin while draining: error %v, want ErrDraining", err)
	} else {
		done()
	}
	if err := w.Do(t.Context(), func(context.Context) error { t.Error("the job was begun"); return nil }); !errors.Is(err, ErrDraining) {
		t.Errorf("do while draining: error %v, want ErrDraining", err)
	}
	second()
	check("drained", Status{Draining: true})
}

// TestJobContext wants the context of a job to have the values of its parent and not its end.
func TestJobContext(t *testing.T) {
	t.Parallel()
	type key struct{}
	w := newWorker(t, Options{})
	parent, cancel := context.WithCancel(context.WithValue(t.Context(), key{}, "trace"))
	cancel()
	failure := errors.New("the job failed")
	var kept context.Context
	err := w.Do(parent, func(ctx context.Context) error {
		kept = ctx
		if ctx.Err() != nil || ctx.Value(key{}) != "trace" {
			t.Errorf("the context has error %v and value %v", ctx.Err(), ctx.Value(key{}))
		}
		return failure
	})
	if !errors.Is(err, failure) {
		t.Errorf("error %v, want that of the job", err)
	}
	if kept.Err() == nil {
		t.Error("the context goes on after the end of the job")
	}
}

// TestEveryJobIsCounted begins and ends jobs in many goroutines while the worker drains: Run
// returns after the last one that was begun, and none is begun after it has returned.
func TestEveryJobIsCounted(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		w, err := New(Options{IgnoreSignals: true, Grace: time.Minute})
		if err != nil {
			t.Fatal(err)
		}
		consumers := rapid.IntRange(1, 8).Draw(t, "consumers")
		before := rapid.IntRange(0, 50).Draw(t, "jobs before the drain")
		var mu sync.Mutex
		begun, ended := 0, 0
		count := func(n *int) int {
			mu.Lock()
			defer mu.Unlock()
			*n++
			return *n
		}
		err = w.Run(context.Background(), func(ctx context.Context) error {
			var running sync.WaitGroup
			defer running.Wait()
			for range consumers {
				running.Go(func() {
					for {
						err := w.Do(ctx, func(context.Context) error {
							if count(&begun) >= before {
								w.Drain()
							}
							count(&ended)
							return nil
						})
						if err != nil {
							return
						}
					}
				})
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if begun != ended || begun < before || w.Status().Busy {
			t.Fatalf("%d begun, %d ended, want at least %d; status %+v", begun, ended, before, w.Status())
		}
	})
}
