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
const heartbeat = 5 * time.Second

// startup is how long after the start of the program a queue that is asked for was
// most likely asked for before: KEDA polls each 30 s.
const startup = time.Minute

// stuckAfter is how long a loop may take between two beats.
func (o Options) stuckAfter() time.Duration { return 2*heartbeat + 2*o.ReadTimeout }

// A link is one connection with the queues that are read over it. One goroutine,
// its loop, does all the reading, or has it done where servers do not wait for each other.
type link struct {
	name    string
	options Options
	logger  *slog.Logger
	meter   meter
	// shares is that of the sampler.
	shares *shares

	// connection is of the sampler's Apply alone.
	connection backlog.Connection

	// phase shifts the ticks of this link, so that the connections and replicas of a
	// scaler do not all read at the same moment.
	phase time.Duration

	// beat is when the loop last went round, in nanoseconds since 1970.
	beat atomic.Int64
	// poke wakes the loop; it has room for one.
	poke chan struct{}
	// source is replaced by start and asked for its status by everyone; cancel and
	// stopped are of start and stop.
	source  atomic.Pointer[openSource]
	cancel  context.CancelFunc
	stopped sync.WaitGroup

	// mu guards what follows and the scheduling fields of the watches. It is never
	// held over I/O or a send that could wait.
	mu       sync.Mutex
	watches  map[backlog.Query]*watch
	schedule schedule
	// made is how many watches there ever were.
	made uint64
	// failing are the watches whose last read found the engine unavailable; failures
	// counts the batches since there are any.
	failing  map[*watch]struct{}
	failures int
	// retry is when the next attempt may be made while all watches are failing.
	retry time.Time
	// trusting says that some watches are read seldom because they can be confirmed, and
	// check is when to do that next.
	trusting bool
	check    time.Time
	// confirming says that a goroutine other than the loop confirms.
	confirming bool
	// lanes are the shards that are being read.
	lanes map[string]*lane

	// confirmed is the moment until which nothing changed that stands (see sight). Zero if it was never confirmed. Written by the loop, read by everyone.
	confirmed atomic.Pointer[time.Time]
}

// An openSource is a source and the engine that it reads.
type openSource struct {
	backlog.Source
	engine string
}

func newLink(connection backlog.Connection, options Options, meter meter, shares *shares) *link {
	l := &link{
		name:       connection.Name,
		options:    options,
		logger:     options.Logger.With("connection", connection.Name),
		meter:      meter,
		shares:     shares,
		connection: connection,
		phase:      rand.N(options.SafetyInterval), //nolint:gosec // jitter is no secret
		poke:       make(chan struct{}, 1),
		watches:    map[backlog.Query]*watch{},
		failing:    map[*watch]struct{}{},
		lanes:      map[string]*lane{},
	}
	l.beat.Store(time.Now().UnixNano())
	l.confirmed.Store(new(time.Time))
	return l
}

// start begins to read from source, and first of all everything.
func (l *link) start(source backlog.Source) {
	ctx, cancel := context.WithCancel(context.Background())
	l.cancel = cancel
	l.source.Store(&openSource{Source: source, engine: l.connection.Engine})
	l.mu.Lock()
	l.retry, l.failures, l.trusting = time.Time{}, 0, false
	for _, w := range l.watches {
		w.doubt(*l.confirmed.Load())
		l.schedule.set(w, time.Now(), backlog.CauseReopened)
	}
	l.mu.Unlock()
	l.stopped.Go(func() { l.run(ctx, source) })
	if waker, ok := source.(backlog.Waker); ok {
		l.stopped.Go(func() {
			for wake := range waker.Wakes() {
				l.wake(wake)
			}
		})
	}
}

// stop ends reading, closes the source and waits for both. Readings stay.
func (l *link) stop() {
	l.cancel()
	if err := l.source.Load().Close(); err != nil {
		l.logger.Warn("closing the source", "error", err)
	}
	l.stopped.Wait()
}

// forget drops all watches.
func (l *link) forget() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, w := range l.watches {
		l.drop(w)
	}
}

// drop ends a watch and tells its subscribers. mu is held.
func (l *link) drop(w *watch) {
	delete(l.watches, w.query)
	delete(l.failing, w)
	l.schedule.remove(w)
	w.leave()
	w.gone.Store(true)
	if w.seen.CompareAndSwap(nil, &sight{Observation: backlog.Observation{Err: ErrNoConnection, FailingSince: time.Now()}}) {
		close(w.first)
	}
	for _, sub := range w.subscribers {
		sub.notify()
	}
}

// watch finds or makes the watch of a query, notes that it was asked for, and
// adds the subscriber if there is one.
func (l *link) watch(want backlog.Interest, sub *Subscription) *watch {
	now := time.Now()
	l.mu.Lock()
	defer l.mu.Unlock()
	w, ok := l.watches[want.Query]
	if !ok {
		w = &watch{query: want.Query, made: now, first: make(chan struct{}), position: -1, number: l.made, shares: l.shares}
		l.made++
		w.afterStart = now.Sub(l.options.started) < startup
		l.watches[want.Query] = w
		l.schedule.set(w, now, backlog.CauseFirst)
		l.pokeLoop()
	}
	w.asked.Store(now.UnixNano())
	w.want(want)
	if sub != nil {
		w.subscribers = append(w.subscribers, sub)
	}
	return w
}

func (l *link) unsubscribe(sub *Subscription) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if at := slices.Index(sub.watch.subscribers, sub); at >= 0 {
		sub.watch.subscribers = slices.Delete(sub.watch.subscribers, at, at+1)
	}
	sub.watch.asked.Store(time.Now().UnixNano())
}

// wake makes what may have changed due at once, within WakeInterval.
func (l *link) wake(wake backlog.Wake) {
	l.meter.wakeups.Add(float64(max(1, len(wake.Queries))))
	now := time.Now()
	l.mu.Lock()
	defer l.mu.Unlock()
	if wake.Everything {
		for _, w := range l.watches {
			w.doubt(*l.confirmed.Load())
			l.hasten(w, backlog.CauseEverything)
		}
	}
	for _, query := range wake.Queries {
		w, ok := l.watches[query]
		if !ok {
			continue
		}
		if w.eager(now) || w.position < 0 {
			l.hasten(w, backlog.CauseWakeUp)
		}
		// What was not armed is woken for other reasons, such as to be armed.
		if seen := w.seen.Load(); seen != nil && seen.Armed {
			w.heard = now
		}
		w.doubt(*l.confirmed.Load())
	}
	l.pokeLoop()
}

// hasten makes w due as soon as WakeInterval allows, but no later than it is. mu
// is held.
func (l *link) hasten(w *watch, cause backlog.Cause) {
	if w.position < 0 {
		w.changed = cause
		return
	}
	if w.read.IsZero() {
		return
	}
	if seen := w.seen.Load(); cause == backlog.CauseEverything && seen != nil && seen.Err != nil {
		// Every attempt of the engine to listen ends like this while a server is there but
		// refuses to be read. The read is the next attempt after one that failed.
		cause = backlog.CauseRetry
	}
	// This may be long past, and comes before what has just fallen due.
	soonest := w.read.Add(l.options.WakeInterval)
	switch {
	case soonest.Before(w.due):
		l.schedule.set(w, soonest, cause)
	case w.cause == backlog.CausePoll:
		// The regular read comes first, but the change was known before it.
		w.cause = cause
	}
}

func (l *link) pokeLoop() {
	select {
	case l.poke <- struct{}{}:
	default:
	}
}
