package sidekiq_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/backlogtest"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/layout/layouttest"
)

// TestSidekiqBounds: of more jobs than are looked at, a reading says that it knows not all.
func TestSidekiqBounds(t *testing.T) {
	t.Parallel()
	eachSidekiq(t, func(t *testing.T, s *library) {
		t.Helper()
		source := layouttest.OpenServer(t, s.server, nil)
		q := layouttest.Query("sidekiq", "mail", "fetch", "basic")
		type seen struct {
			Due     int64
			Quality backlog.Quality
			Next    bool
		}
		for _, step := range []struct {
			name  string
			queue string
			n, at int
			want  seen
		}{
			{"many others later", "other", 100, 3600, seen{Next: true}},
			{"many others due", "other", 999, -10, seen{Next: true}},
			{"one more", "other", 1, -10, seen{Due: 1, Quality: backlog.LowerBound, Next: true}},
			{"own among them", "mail", 2, -20, seen{Due: 2, Quality: backlog.Capped, Next: true}},
		} {
			s.Do(nil, "bulk_at", step.queue, step.n, "SleepJob", step.at)
			r := backlogtest.MustRead(t, source, q)
			if diff := cmp.Diff(step.want, seen{r.Due, r.Quality, !r.NextDue.IsZero()}); diff != "" {
				t.Errorf("%s: %s", step.name, diff)
			}
		}
	})
}

// TestSidekiqProcessesAreBounded: of more processes than are asked, a reading says that it knows
// not all.
func TestSidekiqProcessesAreBounded(t *testing.T) {
	t.Parallel()
	for name, set := range map[string]string{"sidekiq": "processes", "super_fetch": "super_processes"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			layouttest.ProcessesAreBounded(t, layouttest.Query("sidekiq", "q"), set)
		})
	}
}
