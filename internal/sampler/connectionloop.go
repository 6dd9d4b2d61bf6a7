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

// heartbeat is the longest that a loop sleeps, so that a stuck one is told from
// an idle one.
const maxSleep = 5 * time.Second

// startup is how long after the start of the program a queue that is asked for was
// most likely asked for before: KEDA polls each 30 s.
const startupWindow = time.Minute

// stuckAfter is how long a loop may take between two beats.
func (o Options) stuckAfter() time.Duration { return 2*maxSleep + 2*o.ReadTimeout }

// A link is one connection with the queues that are read over it. One goroutine,
// its loop, does all the reading, or has it done where servers do not wait for each other.
type connectionLoop struct {
	name    string
	options Options
	logger  *slog.Logger
	meter   meter
	// shares is that of the sampler.
	budget *historyBudget

	// connection is of the sampler's Apply alone.
	connection backlog.Connection

	// phase shifts the ticks of this link, so that the connections and replicas of a
	// scaler do not all read at the same moment.
	phase time.Duration

	// beat is when the loop last went round, in nanoseconds since 1970.
	lastProgress atomic.Int64
	// poke wakes the loop; it has room for one.
	wakeups chan struct{}
	// source is replaced by start and asked for its status by everyone; cancel and
	// stopped are of start and stop.
	source     atomic.Pointer[openSource]
	cancel     context.CancelFunc
	goroutines sync.WaitGroup

	// mu guards what follows and the scheduling fields of the watches. It is never
	// held over I/O or a send that could wait.
	mu       sync.Mutex
	watches  map[backlog.Query]*watch
	schedule schedule
	// made is how many watches there ever were.
	nextID uint64
	// failing are the watches whose last read found the engine unavailable; failures
	// counts the batches since there are any.
	failing  map[*watch]struct{}
	failures int
	// retry is when the next attempt may be made while all watches are failing.
	retryAt time.Time
	// trusting says that some watches are read seldom because they can be confirmed, and
	// check is when to do that next.
	heartbeatActive bool
	nextHeartbeat   time.Time
	// confirming says that a goroutine other than the loop confirms.
	heartbeatRunning bool
	// lanes are the shards that are being read.
	shardReaders map[string]*shardReader

	// confirmed is the moment until which nothing changed that stands (see sight). Zero if it was never confirmed. Written by the loop, read by everyone.
	confirmedAt atomic.Pointer[time.Time]
}

// An openSource is a source and the engine that it reads.
type openSource struct {
	backlog.Source
	engine string
}

func newConnectionLoop(connection backlog.Connection, options Options, meter meter, shares *historyBudget) *connectionLoop {
	l := &connectionLoop{
		name:         connection.Name,
		options:      options,
		logger:       options.Logger.With("connection", connection.Name),
		meter:        meter,
		budget:       shares,
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

// start begins to read from source, and first of all everything.
func (l *connectionLoop) start(source backlog.Source) {
	ctx, cancel := context.WithCancel(context.Background())
	l.cancel = cancel
	l.source.Store(&openSource{Source: source, engine: l.connection.Engine})
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

// stop ends reading, closes the source and waits for both. Readings stay.
func (l *connectionLoop) stop() {
	l.cancel()
	if err := l.source.Load().Close(); err != nil {
		l.logger.Warn("closing the source", "error", err)
	}
	l.goroutines.Wait()
}

// forget drops all watches.
func (l *connectionLoop) removeAll() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, w := range l.watches {
		l.remove(w)
	}
}

// drop ends a watch and tells its subscribers. mu is held.
func (l *connectionLoop) remove(w *watch) {
	delete(l.watches, w.query)
	delete(l.failing, w)
	l.schedule.remove(w)
	w.releaseBudget()
	w.removed.Store(true)
	if w.snapshot.CompareAndSwap(nil, &snapshot{Observation: backlog.Observation{Err: ErrNoConnection, FailingSince: time.Now()}}) {
		close(w.firstRead)
	}
	for _, sub := range w.subscribers {
		sub.notify()
	}
}

// watch finds or makes the watch of a query, notes that it was asked for, and
// adds the subscriber if there is one.
func (l *connectionLoop) ensureWatch(want backlog.Interest, sub *Subscription) *watch {
	now := time.Now()
	l.mu.Lock()
	defer l.mu.Unlock()
	w, ok := l.watches[want.Query]
	if !ok {
		w = &watch{query: want.Query, created: now, firstRead: make(chan struct{}), heapIndex: -1, id: l.nextID, budget: l.budget}
		l.nextID++
		w.afterStart = now.Sub(l.options.started) < startupWindow
		l.watches[want.Query] = w
		l.schedule.set(w, now, backlog.CauseFirst)
		l.wakeLoop()
	}
	w.lastRequest.Store(now.UnixNano())
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

// wake makes what may have changed due at once, within WakeInterval.
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

// hasten makes w due as soon as WakeInterval allows, but no later than it is. mu
// is held.
func (l *connectionLoop) rescheduleSooner(w *watch, cause backlog.Cause) {
	if w.heapIndex < 0 {
		w.pendingCause = cause
		return
	}
	if w.lastRead.IsZero() {
		return
	}
	if seen := w.snapshot.Load(); cause == backlog.CauseEverything && seen != nil && seen.Err != nil {
		// Every attempt of the engine to listen ends like this while a server is there but
		// refuses to be read. The read is the next attempt after one that failed.
		cause = backlog.CauseRetry
	}
	// This may be long past, and comes before what has just fallen due.
	soonest := w.lastRead.Add(l.options.WakeInterval)
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
