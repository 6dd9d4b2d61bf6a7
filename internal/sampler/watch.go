package sampler

import (
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
)

// A watch is one queue that is read, however many ask for it.
type watch struct {
	query backlog.Query
	// number counts the watches of a link.
	id uint64

	// made is when the watch was made.
	created time.Time

	// seen is what is known; nil before the first read ended with something that could be
	// known, see pends. Written with the link's mu held, read by everyone.
	snapshot atomic.Pointer[snapshot]
	// first is closed when seen is set for the first time, or the watch is gone.
	firstRead chan struct{}
	// asked is when a call asked last, in nanoseconds since 1970.
	lastRequest atomic.Int64
	// gone is set when the watch is dropped; nothing is read any more.
	removed atomic.Bool

	// The fields below are guarded by the link's mu.

	subscribers []*Subscription
	// window is how far back somebody wants to see, and inUse for how long the queue is
	// read often after a change.
	window, inUse time.Duration
	// shares is how much past it may keep; nil in tests that bound nothing else. owner is
	// the namespace that it counts for, since somebody wants to see back.
	budget          *historyBudget
	budgetNamespace *string
	// counters and parts say that somebody wants these of past readings too.
	counters, parts bool
	// afterStart says that the watch began right after the program did.
	afterStart bool
	// heard is when a change of the queue was last heard of, which decides how often it is
	// read and nothing else. stirred is when a counter last told of work.
	lastChange, lastTraffic time.Time
	// due is when to read next; position is where in the schedule that stands, and
	// -1 while a read is under way.
	due       time.Time
	heapIndex int
	// cause is why it is due, or why it is being read.
	cause backlog.Cause
	// read is when the last read began.
	lastRead time.Time
	// changed notes what came while a read was under way and asks for another.
	pendingCause backlog.Cause
	// warned is what the log has of the warnings; nil if there was none.
	loggedWarnings *warningLog
}

// A sight is what is known, but for what was confirmed since.
type snapshot struct {
	backlog.Observation
	// stands says that what the link confirms is true of it: it was armed, and nothing was
	// told of since. Then it is as old as the last confirmation.
	confirmable bool
}

// known returns what is known, or nothing, where the link has confirmed what stands
// until then; without the link's mu, link.known is to be called.
func (w *watch) observation(confirmed time.Time) backlog.Observation {
	seen := w.snapshot.Load()
	if seen == nil {
		return backlog.Observation{}
	}
	o := seen.Observation
	if seen.confirmable && confirmed.After(o.Latest.At) {
		o.Latest.At = confirmed
		o.Last = backlog.ReadAttempt{At: confirmed, Cause: backlog.CauseConfirmed}
	}
	return o
}

// doubt notes that what is known may have changed since it was confirmed last. The
// link's mu is held.
func (w *watch) invalidate(confirmed time.Time) {
	if seen := w.snapshot.Load(); seen != nil && seen.confirmable {
		w.snapshot.Store(&snapshot{Observation: w.observation(confirmed)})
	}
}

// want takes in what somebody asks for.
func (w *watch) extend(want backlog.Interest) {
	w.window = max(w.window, want.Window)
	if w.window > 0 && w.budgetNamespace == nil && w.budget != nil {
		// A copy, so that what is asked for stays off the heap in all other calls.
		w.budgetNamespace = new(strings.Clone(want.Namespace))
		w.budget.add(want.Namespace)
	}
	w.inUse = max(w.inUse, want.InUse)
	w.counters = w.counters || want.Counters
	w.parts = w.parts || want.Parts
}

// leave gives back what the watch may keep of the past.
func (w *watch) releaseBudget() {
	if w.budgetNamespace != nil {
		w.budget.remove(*w.budgetNamespace)
		w.budgetNamespace = nil
	}
}

// mayKeep returns how much of the past the watch may keep, counted in queues.
func (w *watch) historyLimit() int {
	if w.budgetNamespace == nil {
		return maxHistory
	}
	return w.budget.perWatch(*w.budgetNamespace)
}

// used tells whether the queue changed so lately that it is read often.
func (w *watch) recentlyChanged(now time.Time) bool { return w.lastChange.Add(w.inUse).After(now) }

// eager tells whether a change should be read at once: nothing waits there and the
// queue was not in use before, or somebody waits for more.
func (w *watch) readsPromptly(now time.Time) bool {
	seen := w.snapshot.Load()
	if seen == nil {
		return true
	}
	idle := seen.Latest.Ready+seen.Latest.Due == 0 && !w.recentlyChanged(now)
	if !seen.Known() || seen.Err != nil || idle {
		return true
	}
	for _, sub := range w.subscribers {
		if sub.waiting.Load() {
			return true
		}
	}
	return false
}

// pends reports whether a result is left alone because a better one follows within the
// time that a call waits for the first reading. It is the same time for all calls, counted
// from the first.
func (w *watch) awaitsFirstReading(result backlog.Result, until, now time.Time) bool {
	return result.Pending && w.snapshot.Load() == nil && now.Before(until)
}

// warning returns the warning of a result and its hint, if they are news for the log.
func (w *watch) newWarning(result backlog.Result, now time.Time) (text, hint string) {
	if result.Err != nil || result.Reading.Warning == "" {
		return "", ""
	}
	if w.loggedWarnings == nil {
		w.loggedWarnings = &warningLog{}
	}
	return w.loggedWarnings.newText(result, now)
}

// absorb makes the result of a read what is known, and tells whether that is news.
func (w *watch) apply(result backlog.Result, confirmed, now time.Time) bool {
	before := w.observation(confirmed)
	after := before
	after.Armed = result.Armed
	after.Last = backlog.ReadAttempt{At: now, Cause: w.cause}
	if result.Err != nil {
		after.Err = result.Err
		if before.Err == nil {
			after.FailingSince = now
		}
	} else {
		w.applyReading(&after, before, result, now)
	}
	after.LastChange, after.LastTraffic = w.lastChange, w.lastTraffic
	// What was told of while the read was under way may not be in it.
	first := w.snapshot.Swap(&snapshot{Observation: after, confirmable: after.Armed && w.pendingCause == ""}) == nil
	if first {
		close(w.firstRead)
	}
	begins := w.lastTraffic.Add(w.inUse).After(now) && !before.LastTraffic.Add(w.inUse).After(now)
	same := sameCounts(before.Latest, after.Latest) && (!w.parts || sameParts(before.Latest.Parts, after.Latest.Parts, false))
	return first || begins || !same || backlog.Reason(before.Err) != backlog.Reason(after.Err)
}

// absorbReading completes what is known after a read that succeeded.
func (w *watch) applyReading(after *backlog.Observation, before backlog.Observation, result backlog.Result, now time.Time) {
	after.Err, after.FailingSince = nil, time.Time{}
	after.Latest = result.Reading
	after.Past = w.extendHistory(before, result.Reading)
	if !before.Known() {
		after.Since, after.AfterStart = result.Reading.At, w.afterStart
	}
	if result.Changed {
		// The wake-up may find the queue not armed, and then says nothing.
		w.lastChange = now
	}
	if before.Known() && countersMoved(before.Latest, result.Reading) {
		w.lastChange, w.lastTraffic = now, now
	}
	if before.Latest.Backlog() == 0 && result.Reading.Backlog() > 0 {
		after.BecameNonempty = after.Last
	}
}

// remember returns the past of a new reading: what is still within the window,
// and the reading that it replaces unless that says the same. Observations share
// the array behind it: appending writes only beyond what was ever published.
func (w *watch) extendHistory(before backlog.Observation, latest backlog.Reading) []backlog.Reading {
	past := dropExpired(before.Past, latest.At, w.window)
	if w.window > 0 {
		past = shorten(past, w.queuesPerReading(before.Latest), w.historyLimit())
	}
	replaced := before.Latest
	same := sameCounts(replaced, latest)
	if w.counters {
		same = same && replaced.Enqueued == latest.Enqueued
	}
	if w.parts {
		same = same && sameParts(replaced.Parts, latest.Parts, w.counters)
	} else {
		replaced.Parts = nil
	}
	if before.Known() && w.window > 0 && !same {
		past = append(past, replaced)
	}
	return past
}

// queues returns how many queues a past reading has.
func (w *watch) queuesPerReading(r backlog.Reading) int {
	if !w.parts {
		return 1
	}
	return max(1, len(r.Parts))
}

// counted tells whether a counter of the engine says that something came or went.
func countersMoved(before, after backlog.Reading) bool {
	return before.Epoch == after.Epoch &&
		(moved(before.Enqueued, after.Enqueued) || moved(before.Dequeued, after.Dequeued) || moved(before.Passed, after.Passed))
}

func moved(before, after backlog.Count) bool {
	return before.Known && after.Known && before.N != after.N
}

// sameParts tells whether the parts of two readings differ in nothing that a decision
// sees.
func sameParts(a, b []backlog.Part, counters bool) bool {
	return slices.EqualFunc(a, b, func(a, b backlog.Part) bool {
		return a.Queue == b.Queue && sameCounts(a.Reading, b.Reading) && (!counters || a.Reading.Enqueued == b.Reading.Enqueued)
	})
}

// sameCounts tells whether two readings differ in nothing that a decision sees, apart
// from counters and parts.
func sameCounts(a, b backlog.Reading) bool {
	return a.Ready == b.Ready && a.Due == b.Due && a.InFlight == b.InFlight &&
		a.Missing == b.Missing && a.Paused == b.Paused && a.MaxUseful == b.MaxUseful && a.Epoch == b.Epoch
}
