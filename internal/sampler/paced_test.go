package sampler_test

import (
	"context"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/backlogtest"
	"github.com/backlog-scaler/backlog-scaler/internal/sampler"
)

// paced is a source that reads a queue every seven seconds.
type paced struct{ backlog.Source }

const pace = 7 * time.Second

// Pause implements backlog.Pacer.
func (paced) Pause(backlog.Query) time.Duration { return pace }

// TestPacerIsReadAsItSays: whether a queue has work, is idle, denied or pending.
func TestPacerIsReadAsItSays(t *testing.T) {
	t.Parallel()
	for name, set := range map[string]func(*backlogtest.Fake){
		"work":    func(f *backlogtest.Fake) { f.SetReady("jobs", 3) },
		"idle":    func(f *backlogtest.Fake) { f.SetReady("jobs", 0) },
		"denied":  func(f *backlogtest.Fake) { f.FailQueue("jobs", backlog.ErrDenied) },
		"pending": func(f *backlogtest.Fake) { f.StartSearch("jobs", backlog.ErrPartial) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				fake := backlogtest.NewFake()
				fake.DisableArming()
				set(fake)
				engine := fake.Engine()
				open := engine.Open
				engine.Open = func(ctx context.Context, c backlog.Connection, log *slog.Logger) (backlog.Source, error) {
					source, err := open(ctx, c, log)
					return paced{source}, err
				}
				s := sampler.New([]backlog.Engine{engine}, sampler.Options{})
				defer s.Close()
				if err := s.Apply(t.Context(), []backlog.Connection{{Name: "main", Engine: "fake"}}); err != nil {
					t.Fatal(err)
				}
				f := fixture{T: t, fake: fake, sampler: s}
				f.subscribe("jobs")
				// While calls wait for the first reading a pending queue is read more often.
				time.Sleep(10 * time.Second)
				synctest.Wait()
				if n := f.queries(10 * pace); n != 10 {
					t.Errorf("%d reads in %s, want 10", n, 10*pace)
				}
			})
		})
	}
}
