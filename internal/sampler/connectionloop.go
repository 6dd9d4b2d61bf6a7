package sampler

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
)

// maxSleep is the longest that a loop sleeps. A loop that makes no progress for longer is
// stuck, not idle.
const maxSleep = 5 * time.Second

// startupWindow is how long after the start of the program a first request is most likely a
// repeated one: KEDA polls every 30 s by default.
const startupWindow = time.Minute

// stuckAfter is how long a loop may make no progress.
func (o Options) stuckAfter() time.Duration { return 2*maxSleep + 2*o.ReadTimeout }

// A connectionLoop is one connection with the queues that are read over it. One goroutine, the
// loop, schedules all reads. It reads itself, or starts a shardReader for each shard of a
// Sharded source.
type connectionLoop struct {
	name    string
	options Options
	logger  *slog.Logger
	meter   meter
	// budget is shared by all loops of the sampler.
	budget *historyBudget

	// connection is written and read by Sampler.Apply alone.
	connection backlog.Connection

	// phase shifts the ticks of this loop, so that the connections and replicas of a scaler do
	// not all read at the same moment.
	phase time.Duration

	// lastProgress is when the loop last ran, in nanoseconds since 1970. The loop writes it,
	// Stuck reads it.
	lastProgress atomic.Int64
	// wakeups wakes the loop; it has room for one.
	wakeups chan struct{}
	// source is written by start and read by every goroutine. start and stop own cancel and
	// goroutines.
	source     atomic.Pointer[openSource]
	cancel     context.CancelFunc
	goroutines sync.WaitGroup

	// mu guards the fields below and the guarded fields of each watch. It is never held over
	// I/O or a blocking send.
	mu       sync.Mutex
	watches  map[backlog.Query]*watch
	schedule schedule
	// nextID is the id of the next watch.
	nextID uint64
	// failing are the watches whose last read found the engine unavailable. failures counts the
	// failed batches since the first of them.
	failing  map[*watch]struct{}
	failures int
	// retryAt is the earliest next attempt while all watches are failing.
	retryAt time.Time
	// heartbeatActive reports whether some idle watches are read less often because heartbeats
	// confirm them. nextHeartbeat is when the next one is due.
	heartbeatActive bool
	nextHeartbeat   time.Time
	// heartbeatRunning reports whether a goroutine other than the loop runs a heartbeat.
	heartbeatRunning bool
	// shardReaders are the shards that are being read.
	shardReaders map[string]*shardReader

	// confirmedAt is when the source last confirmed that no armed queue had changed; zero if
	// never. It applies to confirmable snapshots. A heartbeat writes it, every goroutine reads
	// it.
	confirmedAt atomic.Pointer[time.Time]
	// lastContact is the last batch that reached the engine; nil if none did. Readers write it,
	// every goroutine reads it.
	lastContact atomic.Pointer[contact]
}

// An openSource is a source, the name of its engine and the namespaces that may use it.
type openSource struct {
	backlog.Source
	engine     string
	namespaces []string
}

func newConnectionLoop(connection backlog.Connection, options Options, meter meter, budget *historyBudget) *connectionLoop {
	l := &connectionLoop{
		name:         connection.Name,
		options:      options,
		logger:       options.Logger.With("connection", connection.Name),
		meter:        meter,
		budget:       budget,
		connection:   connection,
		phase:        rand.N(options.SafetyInterval), //nolint:gosec // jitter is no secret
		wakeups:      make(chan struct{}, 1),
		watches:      map[backlog.Query]*watch{},
		failing:      map[*watch]struct{}{},
		shardReaders: map[string]*shardReader{},
	}
	l.lastProgress.Store(time.Now().UnixNano())
	l.confirmedAt.Store(new(time.Time))
	return l
}

// start begins to read from source. All watches are due at once.
func (l *connectionLoop) start(source backlog.Source) {
	ctx, cancel := context.WithCancel(context.Background())
	l.cancel = cancel
	l.source.Store(&openSource{Source: source, engine: l.connection.Engine, namespaces: l.connection.Namespaces})
	l.mu.Lock()
	l.retryAt, l.failures, l.heartbeatActive = time.Time{}, 0, false
	for _, w := range l.watches {
		w.invalidate(*l.confirmedAt.Load())
		l.schedule.set(w, time.Now(), backlog.CauseReopened)
	}
	l.mu.Unlock()
	l.goroutines.Go(func() { l.run(ctx, source) })
	if waker, ok := source.(backlog.Waker); ok {
		l.goroutines.Go(func() {
			for wake := range waker.Wakes() {
				l.notify(wake)
			}
		})
	}
}

// stop ends reading, closes the source and waits for the goroutines. Snapshots stay.
func (l *connectionLoop) stop() {
	l.cancel()
	if err := l.source.Load().Close(); err != nil {
		l.logger.Warn("closing the source", "error", err)
	}
	l.goroutines.Wait()
}

// removeAll removes all watches.
func (l *connectionLoop) removeAll() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, w := range l.watches {
		l.remove(w)
	}
}

// remove ends a watch and notifies its subscribers. mu is held.
func (l *connectionLoop) remove(w *watch) {
	delete(l.watches, w.query)
	delete(l.failing, w)
	l.schedule.remove(w)
	w.releaseBudget()
	w.removed.Store(true)
	w.dropHistory()
	if w.snapshot.CompareAndSwap(nil, &snapshot{Observation: backlog.Observation{Err: ErrNoConnection, FailingSince: time.Now()}}) {
		close(w.firstRead)
	}
	w.fresh, w.nextFresh = append(w.fresh, w.nextFresh...), nil
	w.endFresh()
	for _, sub := range w.subscribers {
		sub.notify()
	}
}

// ensureWatch returns the watch of a query, and creates it on the first request. It records the
// request, and adds the subscriber if there is one.
func (l *connectionLoop) ensureWatch(want backlog.Interest, sub *Subscription) *watch {
	now := time.Now()
	l.mu.Lock()
	defer l.mu.Unlock()
	w, ok := l.watches[want.Query]
	if !ok {
		w = &watch{loop: l, query: want.Query, created: now, firstRead: make(chan struct{}), heapIndex: -1, id: l.nextID, budget: l.budget}
		l.nextID++
		w.afterStart = now.Sub(l.options.started) < startupWindow
		l.watches[want.Query] = w
		l.schedule.set(w, now, backlog.CauseFirst)
		l.wakeLoop()
	}
	w.request(now, &want)
	w.extend(want)
	if sub != nil {
		w.subscribers = append(w.subscribers, sub)
	}
	return w
}

func (l *connectionLoop) unsubscribe(sub *Subscription) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if at := slices.Index(sub.watch.subscribers, sub); at >= 0 {
		sub.watch.subscribers = slices.Delete(sub.watch.subscribers, at, at+1)
	}
	sub.watch.lastRequest.Store(time.Now().UnixNano())
}

// notify applies a wake-up: queues that may have changed are due at once, no earlier than
// WakeInterval after their last read.
func (l *connectionLoop) notify(wake backlog.Wake) {
	l.meter.wakeups.Add(float64(max(1, len(wake.Queries))))
	now := time.Now()
	l.mu.Lock()
	defer l.mu.Unlock()
	if wake.Everything {
		for _, w := range l.watches {
			w.invalidate(*l.confirmedAt.Load())
			l.rescheduleSooner(w, backlog.CauseEverything)
		}
	}
	for _, query := range wake.Queries {
		w, ok := l.watches[query]
		if !ok {
			continue
		}
		if w.readsPromptly(now) || w.heapIndex < 0 {
			l.rescheduleSooner(w, backlog.CauseWakeUp)
		}
		// What was not armed is woken for other reasons, such as to be armed.
		if seen := w.snapshot.Load(); seen != nil && seen.Armed {
			w.lastChange = now
		}
		w.invalidate(*l.confirmedAt.Load())
	}
	l.wakeLoop()
}

// rescheduleSooner makes w due as early as WakeInterval or callInterval allow, but never later than it
// already is. While a read is under way it records the cause for another read. mu is held.
func (l *connectionLoop) rescheduleSooner(w *watch, cause backlog.Cause) {
	if w.heapIndex < 0 {
		if cause != backlog.CauseCall || w.pendingCause == "" { // a wake-up is read earlier, and serves the call
			w.pendingCause = cause
		}
		return
	}
	if w.lastRead.IsZero() {
		return
	}
	if seen := w.snapshot.Load(); cause == backlog.CauseEverything && seen != nil && seen.Err != nil {
		// An engine that accepts connections but refuses reads ends every attempt to subscribe
		// with a wake-up of everything. This read is the next attempt after a failed one.
		cause = backlog.CauseRetry
	}
	// soonest may be long past. The watch then comes before those that have just fallen due.
	interval := l.options.WakeInterval
	if cause == backlog.CauseCall {
		interval = callInterval
	}
	soonest := w.lastRead.Add(interval)
	switch {
	case soonest.Before(w.due):
		l.schedule.set(w, soonest, cause)
	case w.cause == backlog.CausePoll:
		// The regular read comes first, but the change was known before it.
		w.cause = cause
	}
}

func (l *connectionLoop) wakeLoop() {
	select {
	case l.wakeups <- struct{}{}:
	default:
	}
}
