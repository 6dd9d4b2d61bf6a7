package sampler

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
)

// A watch is one query that is read, however many callers request it.
type watch struct {
	// loop reads it.
	loop  *connectionLoop
	query backlog.Query
	// id orders the watches of a loop by their creation.
	id uint64

	// created is when the first request came.
	created time.Time

	// snapshot is the last observation; nil before the first read with a usable result, see
	// awaitsFirstReading. It is written with the loop's mu held and read by every goroutine, which
	// may replace it by the same with a later confirmation.
	snapshot atomic.Pointer[snapshot]
	// firstRead is closed when snapshot is set for the first time, or the watch is removed.
	firstRead chan struct{}
	// lastRequest is when a call last requested the query, in nanoseconds since 1970.
	lastRequest atomic.Int64
	// lastPlain is when a caller last asked that names no interval, in nanoseconds since 1970.
	lastPlain atomic.Int64
	// removed reports whether the watch was removed. Nothing is read any more.
	removed atomic.Bool

	// The fields below are guarded by the loop's mu.

	subscribers []*Subscription
	// window is how far back callers want to see. inUse is for how long the queue is read often
	// after a change.
	window, inUse time.Duration
	// budget limits the history of the watch; nil in tests of other things. budgetNamespace is
	// the namespace that it counts for, set once a caller wants history.
	budget          *historyBudget
	budgetNamespace *string
	// counters and parts report whether callers want these of past readings too.
	counters, parts bool
	// afterStart reports whether the watch was created right after the program started.
	afterStart bool
	// lastChange is when a change of the queue was last reported, by an event or a counter. It
	// decides how often the queue is read and nothing else. lastTraffic is when a counter last
	// showed that work came or went.
	lastChange, lastTraffic time.Time
	// due is when to read next. heapIndex is the place in the schedule, -1 while a read is
	// under way.
	due       time.Time
	heapIndex int
	// cause is why it is due, or why it is being read.
	cause backlog.Cause
	// lastRead is when the last read began.
	lastRead time.Time
	// fresh are closed when the read that is under way has ended, and nextFresh when the one after
	// it has: each is of a call that waits.
	fresh, nextFresh []chan struct{}
	// pendingCause is a wake-up that came during a read and asks for another one.
	pendingCause backlog.Cause
	// loggedWarnings are the remarks that were logged; nil before the first one.
	loggedWarnings *warningLog
}

// A snapshot is the last observation, excluding later confirmations.
type snapshot struct {
	backlog.Observation
	// confirmable reports whether confirmations apply: armed, with no wake-up since the read.
	// The reading is then as recent as the last confirmation.
	confirmable bool
}

// observation returns the observation, given when the source last confirmed; the zero value
// before the first read. Without the loop's mu, call connectionLoop.observation.
func (w *watch) observation(confirmed time.Time) *backlog.Observation {
	seen := w.snapshot.Load()
	switch {
	case seen == nil:
		return &backlog.Observation{}
	case !seen.confirmable || !confirmed.After(seen.Latest.At):
		return &seen.Observation
	}
	// All callers until the next confirmation share this one.
	current := &snapshot{Observation: seen.Observation, confirmable: true}
	current.Latest.At = confirmed
	current.Last = backlog.ReadAttempt{At: confirmed, Cause: backlog.CauseConfirmed}
	w.snapshot.CompareAndSwap(seen, current)
	return &current.Observation
}

// invalidate notes that the queue may have changed since the last confirmation. The loop's mu
// is held.
func (w *watch) invalidate(confirmed time.Time) {
	if seen := w.snapshot.Load(); seen != nil && seen.confirmable {
		w.snapshot.Store(&snapshot{Observation: *w.observation(confirmed)})
	}
}

// dropHistory lets the past readings of a watch go that is removed. A caller may keep the watch in its
// memo for long. The loop's mu is held.
func (w *watch) dropHistory() {
	seen := w.snapshot.Load()
	if seen == nil || len(seen.Past) == 0 {
		return
	}
	last := &snapshot{Observation: seen.Observation}
	last.Past = nil
	w.snapshot.Store(last)
}

// request records a request.
func (w *watch) request(now time.Time, want *backlog.Interest) {
	w.lastRequest.Store(now.UnixNano())
	if want.Interval == 0 {
		w.lastPlain.Store(now.UnixNano())
	}
}

// requestAgain records a further request of a caller, and reports whether the watch has an
// observation and is still read. It takes no lock: a watch that is removed at this moment was read
// until now.
func (w *watch) requestAgain(now time.Time, want *backlog.Interest) bool {
	w.request(now, want)
	return w.snapshot.Load() != nil && !w.removed.Load()
}

// extend adds what one more caller wants.
func (w *watch) extend(want backlog.Interest) {
	w.window = max(w.window, want.Window)
	if w.window > 0 && w.budgetNamespace == nil && w.budget != nil {
		// A copy, so that the argument stays off the heap in all other calls.
		w.budgetNamespace = new(strings.Clone(want.Namespace))
		w.budget.add(want.Namespace)
	}
	w.inUse = max(w.inUse, want.InUse)
	w.counters = w.counters || want.Counters
	w.parts = w.parts || want.Parts
}

// interval returns the time between two reads of a measured number: the shortest that a caller
// names, or regular if a caller names none.
func (w *watch) interval(regular, ttl time.Duration, now time.Time) time.Duration {
	var shortest time.Duration
	if now.Sub(time.Unix(0, w.lastPlain.Load())) <= ttl {
		shortest = regular
	}
	for _, sub := range w.subscribers {
		if each := cmp.Or(sub.interval, regular); shortest == 0 || each < shortest {
			shortest = each
		}
	}
	return cmp.Or(shortest, regular)
}

// releaseBudget returns the history budget of the watch.
func (w *watch) releaseBudget() {
	if w.budgetNamespace != nil {
		w.budget.remove(*w.budgetNamespace)
		w.budgetNamespace = nil
	}
}

// historyLimit returns how much history the watch may keep, counted in queues.
func (w *watch) historyLimit() int {
	if w.budgetNamespace == nil {
		return maxHistory
	}
	return w.budget.perWatch(*w.budgetNamespace)
}

// recentlyChanged reports whether the queue changed within inUse, so that it is read often.
func (w *watch) recentlyChanged(now time.Time) bool { return w.lastChange.Add(w.inUse).After(now) }

// readsPromptly reports whether a change is read at once: the queue was idle and not in use
// before, or a subscriber waits for more work.
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

// awaitsFirstReading reports whether a pending result is ignored, because a better one may
// follow while calls still wait for the first reading. The deadline is the same for all calls,
// counted from the first one.
func (w *watch) awaitsFirstReading(result backlog.Result, until, now time.Time) bool {
	return result.Pending && w.snapshot.Load() == nil && now.Before(until)
}

// newWarning returns the warning of a result and its hint, if they were not logged lately.
func (w *watch) newWarning(result backlog.Result, now time.Time) (text, hint string) {
	if result.Err != nil || result.Reading.Warning == "" {
		return "", ""
	}
	if w.loggedWarnings == nil {
		w.loggedWarnings = &warningLog{}
	}
	return w.loggedWarnings.newText(result, now)
}

// apply makes the result of a read the snapshot, and reports whether subscribers are notified.
func (w *watch) apply(result backlog.Result, confirmed, now time.Time) bool {
	before := w.observation(confirmed)
	after := *before
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
	// A change that was reported during the read may not be in its result.
	first := w.snapshot.Swap(&snapshot{Observation: after, confirmable: after.Armed && w.pendingCause == ""}) == nil
	if first {
		close(w.firstRead)
	}
	begins := w.lastTraffic.Add(w.inUse).After(now) && !before.LastTraffic.Add(w.inUse).After(now)
	same := sameCounts(before.Latest, after.Latest) && (!w.parts || sameParts(before.Latest.Parts, after.Latest.Parts, false))
	return first || begins || !same || backlog.Reason(before.Err) != backlog.Reason(after.Err)
}

// applyReading completes the observation after a successful read.
func (w *watch) applyReading(after, before *backlog.Observation, result backlog.Result, now time.Time) {
	after.Err, after.FailingSince = nil, time.Time{}
	after.Latest = result.Reading
	after.Past = w.extendHistory(before, result.Reading)
	if !before.Known() {
		after.Since, after.AfterStart = result.Reading.At, w.afterStart
	}
	if result.Changed {
		// The wake-up may find the queue not armed, and is then ignored.
		w.lastChange = now
	}
	if before.Known() && countersMoved(before.Latest, result.Reading) {
		w.lastChange, w.lastTraffic = now, now
	}
	if before.Latest.Backlog() == 0 && result.Reading.Backlog() > 0 {
		after.BecameNonempty = after.Last
	}
}

// extendHistory returns the past of a new reading: the past readings within the window, and the
// replaced reading unless it is equal to the new one. Observations share the array: append
// writes only beyond every published length.
func (w *watch) extendHistory(before *backlog.Observation, latest backlog.Reading) []backlog.Reading {
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

// queuesPerReading returns how many queues one past reading of the watch holds.
func (w *watch) queuesPerReading(r backlog.Reading) int {
	if !w.parts {
		return 1
	}
	return max(1, len(r.Parts))
}

// countersMoved reports whether a counter of the engine shows that work came or went.
func countersMoved(before, after backlog.Reading) bool {
	return before.Epoch == after.Epoch &&
		(moved(before.Enqueued, after.Enqueued) || moved(before.Dequeued, after.Dequeued) || moved(before.Passed, after.Passed))
}

func moved(before, after backlog.Count) bool {
	return before.Known && after.Known && before.N != after.N
}

// sameParts reports whether the parts of two readings are equal for every decision.
func sameParts(a, b []backlog.Part, counters bool) bool {
	return slices.EqualFunc(a, b, func(a, b backlog.Part) bool {
		return a.Queue == b.Queue && sameCounts(a.Reading, b.Reading) && (!counters || a.Reading.Enqueued == b.Reading.Enqueued)
	})
}

// sameCounts reports whether two readings are equal for every decision, apart from counters and
// parts.
func sameCounts(a, b backlog.Reading) bool {
	return a.Ready == b.Ready && a.Due == b.Due && a.InFlight == b.InFlight && a.Measured == b.Measured &&
		a.Missing == b.Missing && a.Paused == b.Paused && a.MaxUseful == b.MaxUseful && a.Epoch == b.Epoch && maps.Equal(a.Workers, b.Workers)
}
