package resque_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/backlogtest"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/layout/layouttest"
)

// TestResqueBounds: of more jobs than are looked at, a reading says that it knows not all.
func TestResqueBounds(t *testing.T) {
	t.Parallel()
	r := startResque(t, "resque")
	source := layouttest.OpenServer(t, r.server, nil)
	q := layouttest.Query("resque", "mail")
	past := time.Now().Add(-time.Hour)
	type seen struct {
		Due     int64
		Quality backlog.Quality
	}
	want := func(step string, w seen) {
		t.Helper()
		reading := backlogtest.MustRead(t, source, q)
		if diff := cmp.Diff(w, seen{reading.Due, reading.Quality}); diff != "" {
			t.Errorf("%s: %s", step, diff)
		}
	}
	for i := range 99 {
		r.Do(nil, "at", "other", past.UnixMilli(), "sleep", i)
	}
	want("99 others", seen{0, backlog.Exact})
	r.Do(nil, "at", "mail", past.UnixMilli(), "sleep", 0)
	want("one of 100", seen{1, backlog.Capped})
	r.Do(nil, "del", "mail", "sleep", 0)
	for i := range 100 {
		r.Do(nil, "at", "other", past.Add(time.Duration(i)*time.Second).UnixMilli(), "sleep", -1)
	}
	want("others at 100 moments", seen{1, backlog.LowerBound})
}

// TestResqueWorkersAreBounded: of more workers than are asked, a reading says that it knows not
// all.
func TestResqueWorkersAreBounded(t *testing.T) {
	t.Parallel()
	layouttest.ProcessesAreBounded(t, layouttest.Query("resque", "q"), "resque:workers")
}
