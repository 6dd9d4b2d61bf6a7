package sampler_test

import (
	"context"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/sampler"
)

func TestStuckLoopIsReported(t *testing.T) {
	withFixture(t, sampler.Options{}, func(f fixture) {
		f.observe("jobs")
		time.Sleep(time.Hour)
		synctest.Wait()
		if err := f.sampler.Stuck(); err != nil {
			f.Errorf("an idle loop is said to be stuck: %v", err)
		}
	})
	t.Run("a read that ignores its deadline", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			release := make(chan struct{})
			engine := backlog.Engine{Name: "fake", Open: func(context.Context, backlog.Connection, *slog.Logger) (backlog.Source, error) {
				return deadlock{release}, nil
			}}
			s := sampler.New([]backlog.Engine{engine}, sampler.Options{})
			defer s.Close()
			if err := s.Apply(t.Context(), []backlog.Connection{{Name: "main", Engine: "fake"}}); err != nil {
				t.Fatal(err)
			}
			if _, err := s.Observe(t.Context(), interest("jobs")); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Minute)
			if err := s.Stuck(); err == nil {
				t.Error("a loop that hangs for a minute is not said to be stuck")
			}
			close(release)
		})
	})
}

// A deadlock is a source whose reads hang, whatever their context says.
type deadlock struct{ release chan struct{} }

func (d deadlock) Read(_ context.Context, queries []backlog.Query, results []backlog.Result) []backlog.Result {
	<-d.release
	for range queries {
		results = append(results, backlog.Result{Err: backlog.ErrUnavailable})
	}
	return results
}

func (d deadlock) Status() backlog.Status { return backlog.Status{} }

func (d deadlock) Close() error { return nil }
