package sampler

import (
	"slices"
	"testing"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
)

// TestWokenOnesComeFirst has more fall due together than are read at a time.
func TestWokenOnesComeFirst(t *testing.T) {
	t.Parallel()
	const all = maxBatch + 10
	now := time.Now()
	l := &connectionLoop{options: Options{}.withDefaults()}
	var woken *watch
	for number := range uint64(all) {
		woken = &watch{id: number, heapIndex: -1, lastRead: now.Add(-10 * time.Second)}
		l.schedule.set(woken, now, backlog.CausePoll)
	}
	l.rescheduleSooner(woken, backlog.CauseWakeUp)
	first := l.schedule.takeDue(now, maxBatch)
	if len(first) != maxBatch || first[0] != woken || woken.cause != backlog.CauseWakeUp {
		t.Fatalf("%d are read, the first of them number %d, because of %q", len(first), first[0].id, first[0].cause)
	}
	rest := slices.Concat(first[1:], l.schedule.takeDue(now, maxBatch))
	if len(rest) != all-1 {
		t.Errorf("%d others are read, want %d", len(rest), all-1)
	}
	for i, w := range rest {
		if w.id != uint64(i) {
			t.Fatalf("number %d comes at place %d", w.id, i)
		}
	}
}

// TestWokenOnesOfAShardComeFirst has more wait for a shard than are read at a time.
func TestWokenOnesOfAShardComeFirst(t *testing.T) {
	t.Parallel()
	const all = 2*maxBatch + 10
	now := time.Now()
	reader := &shardReader{}
	for number := range uint64(all) {
		reader.pending = append(reader.pending, &watch{id: number, due: now})
	}
	woken := &watch{id: all, due: now.Add(-time.Second)}
	reader.pending = append(reader.pending, woken)
	l := &connectionLoop{options: Options{}.withDefaults(), shardReaders: map[string]*shardReader{"a": reader}}
	read := make(map[*watch]bool)
	batches := 0
	for batch := l.nextShardBatch("a"); len(batch) > 0; batch = l.nextShardBatch("a") {
		batches++
		if batches == 1 && batch[0] != woken {
			t.Errorf("number %d is read first, want the one that was woken", batch[0].id)
		}
		for _, w := range batch {
			read[w] = true
		}
	}
	if batches != 3 || len(read) != all+1 {
		t.Errorf("%d are read in %d batches, want %d in 3", len(read), batches, all+1)
	}
}

// TestRetryInAnOutage: a failing queue is retried sooner where everything may have changed,
// and the cause of the read remains that the one before failed.
func TestRetryInAnOutage(t *testing.T) {
	t.Parallel()
	now := time.Now()
	for name, c := range map[string]struct {
		err  error
		want backlog.Cause
	}{
		"failing": {backlog.ErrUnavailable, backlog.CauseRetry},
		"known":   {nil, backlog.CauseEverything},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := &connectionLoop{options: Options{}.withDefaults()}
			w := &watch{heapIndex: -1, lastRead: now}
			w.snapshot.Store(&snapshot{Observation: backlog.Observation{Err: c.err}})
			l.schedule.set(w, now.Add(time.Second), backlog.CauseRetry)
			l.rescheduleSooner(w, backlog.CauseEverything)
			if want := now.Add(l.options.WakeInterval); w.cause != c.want || !w.due.Equal(want) {
				t.Errorf("read at %s because of %q, want at %s because of %q", w.due, w.cause, want, c.want)
			}
		})
	}
}

// TestRegularReadAfterAWakeUp: a regular read that begins after a wake-up is reported as
// caused by the wake-up, even if the regular read is due sooner. Other causes stay.
func TestRegularReadAfterAWakeUp(t *testing.T) {
	t.Parallel()
	now := time.Now()
	for cause, want := range map[backlog.Cause]backlog.Cause{
		backlog.CausePoll:     backlog.CauseWakeUp,
		backlog.CauseDue:      backlog.CauseDue,
		backlog.CauseRetry:    backlog.CauseRetry,
		backlog.CauseReopened: backlog.CauseReopened,
	} {
		t.Run(string(cause), func(t *testing.T) {
			t.Parallel()
			l := &connectionLoop{options: Options{}.withDefaults()}
			due := now.Add(l.options.WakeInterval / 2)
			w := &watch{heapIndex: -1, lastRead: now}
			l.schedule.set(w, due, cause)
			l.rescheduleSooner(w, backlog.CauseWakeUp)
			if w.cause != want || !w.due.Equal(due) {
				t.Errorf("read at %s because of %q, want at %s because of %q", w.due, w.cause, due, want)
			}
		})
	}
}
