package bullmq_test

import (
	"testing"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/backlogtest"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/layout/layouttest"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/redistest"
)

func eachBull(t *testing.T, test func(*testing.T, *library)) {
	t.Helper()
	layouttest.EachVersion(t, bullVersions(), startBullMQ, test)
}

// TestBullCounts: waiting, prioritized, delayed and paused jobs of the package bull, and
// their age. Its queues have no key meta until they are paused.
func TestBullCounts(t *testing.T) {
	t.Parallel()
	eachBull(t, func(t *testing.T, b *library) {
		t.Helper()
		b.open("emails")
		if r, _ := b.agree(t, "opened", "emails", 0); !r.Missing || r.Warning == "" {
			t.Errorf("a queue without any key: %+v", r)
		}
		delayed := b.add("emails", "done", map[string]any{"delay": 3_600_000})
		b.add("emails", "done", map[string]any{"delay": 7_200_000})
		r, _ := b.agree(t, "delayed", "emails", 0)
		if due := delayed.added().Add(time.Hour); !r.NextDue.Equal(due) || r.Missing {
			t.Errorf("two delayed jobs: %+v, want the next to be due at %v", r, due)
		}
		matchedBull(t, b, "emails", 0)

		first := b.add("emails", "done", nil)
		b.add("emails", "done", nil)
		if r, _ = b.agree(t, "waiting", "emails", 0); r.Oldest != (backlog.Age{Since: first.added(), Kind: backlog.AgeExact}) {
			t.Errorf("two waiting jobs: oldest is %+v, want %v exactly", r.Oldest, first.added())
		}
		matchedBull(t, b, "emails", 2)
		b.add("emails", "done", map[string]any{"lifo": true})
		b.add("emails", "done", map[string]any{"priority": 7})
		b.add("emails", "done", map[string]any{"priority": 1})
		r, own := b.agree(t, "prioritized", "emails", 0)
		if own.Wait != 5 || own.Delayed != 2 {
			t.Errorf("Bull counts %+v", own)
		}
		if r.Oldest.Kind != backlog.AgeLowerBound || r.Oldest.Since.Before(first.added()) {
			t.Errorf("with priorities: oldest is %+v, want at least %v", r.Oldest, first.added())
		}

		b.Do(nil, "pause", "emails", b.prefix)
		if r, own = b.agree(t, "paused", "emails", 0); !r.Paused || own.Paused != 5 {
			t.Errorf("a paused queue: %+v, Bull counts %+v", r, own)
		}
		b.add("emails", "done", nil)
		b.agree(t, "added while paused", "emails", 0)
		matchedBull(t, b, "emails", 6)
		b.Do(nil, "resume", "emails", b.prefix)
		if r, _ = b.agree(t, "resumed", "emails", 0); r.Paused || r.Ready != 6 {
			t.Errorf("a resumed queue: %+v", r)
		}
		b.Prove(layouttest.Waiting, layouttest.Prioritised, layouttest.Age, layouttest.Paused)
	})
}

// matchedBull checks that a pattern finds a queue in which so many jobs wait.
func matchedBull(t *testing.T, b *library, queue string, ready int64) {
	t.Helper()
	pattern := layouttest.Query("bullmq", queue[:len(queue)-1]+"*", "prefix", b.prefix)
	r := backlogtest.MustRead(t, layouttest.OpenServer(t, b.server, nil), pattern)
	if len(r.Parts) != 1 || r.Parts[0].Queue != queue || r.Ready != ready || r.Missing {
		t.Errorf("the pattern %q reads as %+v, want %d jobs of %q", pattern.Queue, r, ready, queue)
	}
}

// TestBullDue: at NextDue, with no worker alive, a delayed job is due.
func TestBullDue(t *testing.T) {
	t.Parallel()
	eachBull(t, func(t *testing.T, b *library) {
		t.Helper()
		job := b.add("later", "done", map[string]any{"delay": 1500})
		r, _ := b.agree(t, "before", "later", 0)
		if due := job.added().Add(1500 * time.Millisecond); !r.NextDue.Equal(due) {
			t.Fatalf("it is due at %v, the reading says %+v", due, r)
		}
		next := r.NextDue
		time.Sleep(time.Until(next)) // What a reader does.
		r, own := b.agree(t, "at its time", "later", 1)
		if own.Delayed != 1 || r.Oldest != (backlog.Age{Since: next, Kind: backlog.AgeExact}) || !r.NextDue.IsZero() {
			t.Errorf("a job that is due: %+v, Bull counts %+v", r, own)
		}
		b.Prove(layouttest.Due)
	})
}

// TestBullWorkers: active jobs stay work when their worker is killed, failed ones are
// none, and retried ones are due later.
func TestBullWorkers(t *testing.T) {
	t.Parallel()
	eachBull(t, func(t *testing.T, b *library) {
		t.Helper()
		for range 5 {
			b.add("held", "hang", nil)
		}
		worker := b.start(t)
		worker.Do(nil, "work", "held", b.prefix, 2)
		redistest.Eventually(t, "two jobs are active", func() bool { return b.counts("held").Active == 2 })
		b.agree(t, "at work", "held", 0)
		worker.Kill()
		if r, own := b.agree(t, "killed", "held", 0); r.InFlight.N != 2 || r.Ready != 3 {
			t.Errorf("a killed worker held 2 of 5 jobs: %+v, Bull counts %+v", r, own)
		}

		b.add("retried", "fail", map[string]any{"attempts": 2, "backoff": map[string]any{"type": "fixed", "delay": 3_600_000}})
		b.add("retried", "fail", nil)
		b.add("retried", "done", nil)
		b.start(t).Do(nil, "work", "retried", b.prefix, 1)
		redistest.Eventually(t, "the jobs have run", func() bool {
			own := b.counts("retried")
			return own.Delayed == 1 && own.Failed == 1 && own.Completed == 1 && own.Active == 0
		})
		r, _ := b.agree(t, "failed and retried", "retried", 0)
		if left := time.Until(r.NextDue); r.Backlog() != 0 || r.Missing || left < 59*time.Minute || left > time.Hour {
			t.Errorf("after a failure that is retried in an hour: %+v", r)
		}

		b.add("done", "done", nil)
		b.start(t).Do(nil, "work", "done", b.prefix, 1)
		redistest.Eventually(t, "the job has run", func() bool { return b.counts("done").Completed == 1 })
		if r, _ := b.agree(t, "drained", "done", 0); r.Missing || r.Warning != "" {
			t.Errorf("a drained queue: %+v", r)
		}
		b.Prove(layouttest.InFlight)
	})
}

// TestBullWakes: whatever way a job comes to an idle queue wakes it, and so does the end
// of a pause.
func TestBullWakes(t *testing.T) {
	t.Parallel()
	eachBull(t, func(t *testing.T, b *library) {
		t.Helper()
		for name, options := range map[string]map[string]any{
			"added": {}, "prioritized": {"priority": 2}, "delayed": {"delay": 3_600_000},
		} {
			q := b.query(name)
			layouttest.CheckWakes(t, b.source, q, func() { b.add(name, "done", options) })
			if r, _ := b.agree(t, name, name, 0); r.Backlog() == 0 && r.NextDue.IsZero() {
				t.Errorf("%s: woken for %+v", name, r)
			}
		}
		q := b.query("added")
		b.Do(nil, "pause", "added", b.prefix)
		layouttest.CheckWakes(t, b.source, q, func() { b.Do(nil, "resume", "added", b.prefix) })
		b.Prove(layouttest.WakeUp)
	})
}
