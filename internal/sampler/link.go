package sampler

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
)

// heartbeat is the longest that a loop sleeps, so that a stuck one is told from
// an idle one.
const heartbeat = 5 * time.Second

// stuckAfter is how long a loop may take between two beats.
func (o Options) stuckAfter() time.Duration { return 2*heartbeat + 2*o.ReadTimeout }

// A link is one connection with the queues that are read over it. One goroutine,
// its loop, does all the reading.
type link struct {
	name    string
	options Options
	logger  *slog.Logger
	meter   meter

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
	// failing are the watches whose last read found the engine unavailable; failures
	// counts the batches since there are any.
	failing  map[*watch]struct{}
	failures int
	// retry is when the next attempt may be made while all watches are failing.
	retry time.Time
}

// An openSource is a source and the engine that it reads.
type openSource struct {
	backlog.Source
	engine string
}

func newLink(connection backlog.Connection, options Options, meter meter) *link {
	l := &link{
		name:       connection.Name,
		options:    options,
		logger:     options.Logger.With("connection", connection.Name),
		meter:      meter,
		connection: connection,
		phase:      rand.N(options.SafetyInterval), //nolint:gosec // jitter is no secret
		poke:       make(chan struct{}, 1),
		watches:    map[backlog.Query]*watch{},
		failing:    map[*watch]struct{}{},
	}
	l.beat.Store(time.Now().UnixNano())
	return l
}

// start begins to read from source, and first of all everything.
func (l *link) start(source backlog.Source) {
	ctx, cancel := context.WithCancel(context.Background())
	l.cancel = cancel
	l.source.Store(&openSource{Source: source, engine: l.connection.Engine})
	l.mu.Lock()
	l.retry, l.failures = time.Time{}, 0
	for _, w := range l.watches {
		l.schedule.set(w, time.Now())
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
	w.gone.Store(true)
	if w.seen.CompareAndSwap(nil, &backlog.Observation{Err: ErrNoConnection, FailingSince: time.Now()}) {
		close(w.first)
	}
	for sub := range w.subscribers {
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
		w = &watch{query: want.Query, first: make(chan struct{}), position: -1, subscribers: map[*Subscription]struct{}{}}
		l.watches[want.Query] = w
		l.schedule.set(w, now)
		l.pokeLoop()
	}
	w.asked.Store(now.UnixNano())
	w.window = max(w.window, want.Window)
	if sub != nil {
		w.subscribers[sub] = struct{}{}
	}
	return w
}

func (l *link) unsubscribe(sub *Subscription) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(sub.watch.subscribers, sub)
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
			l.hasten(w, now)
		}
	}
	for _, query := range wake.Queries {
		if w, ok := l.watches[query]; ok && w.eager() {
			l.hasten(w, now)
		}
	}
	l.pokeLoop()
}

// hasten makes w due as soon as WakeInterval allows, but no later than it is. mu
// is held.
func (l *link) hasten(w *watch, now time.Time) {
	if w.position < 0 {
		w.changed = true
		return
	}
	soonest := w.read.Add(l.options.WakeInterval)
	if soonest.Before(now) {
		soonest = now
	}
	if soonest.Before(w.due) {
		l.schedule.set(w, soonest)
	}
}

func (l *link) pokeLoop() {
	select {
	case l.poke <- struct{}{}:
	default:
	}
}

// run is the loop: it sleeps until something is due and reads it.
func (l *link) run(ctx context.Context, source backlog.Source) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-l.poke:
		case <-timer.C:
		}
		for ctx.Err() == nil {
			now := time.Now()
			l.beat.Store(now.UnixNano())
			batch, next := l.take(now)
			if len(batch) == 0 {
				timer.Reset(time.Until(next))
				break
			}
			l.read(ctx, source, batch)
		}
	}
}

// take returns what is due, and when to look again if that is nothing.
func (l *link) take(now time.Time) (batch []*watch, next time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	next = now.Add(heartbeat)
	if l.retry.After(now) {
		if l.retry.Before(next) {
			next = l.retry
		}
		return nil, next
	}
	for _, w := range l.schedule.takeDue(now) {
		if l.expired(w, now) {
			l.drop(w)
			continue
		}
		w.read, w.changed = now, false
		batch = append(batch, w)
	}
	if len(l.schedule) > 0 && l.schedule[0].due.Before(next) {
		next = l.schedule[0].due
	}
	return batch, next
}

// expired tells whether nobody wants w any more. mu is held.
func (l *link) expired(w *watch, now time.Time) bool {
	return len(w.subscribers) == 0 && now.Sub(time.Unix(0, w.asked.Load())) > l.options.WatchTTL
}

// read reads a batch and takes in the results.
func (l *link) read(ctx context.Context, source backlog.Source, batch []*watch) {
	queries := make([]backlog.Query, len(batch))
	for i, w := range batch {
		queries[i] = w.query
	}
	began := time.Now()
	bounded, cancel := context.WithTimeout(ctx, l.options.ReadTimeout)
	results := source.Read(bounded, queries)
	cancel()
	now := time.Now()
	if ctx.Err() != nil {
		// Stopped in the middle: errors of these results say nothing of the engine.
		for i := range results {
			if results[i].Err != nil {
				l.putBack(batch[i], now)
				continue
			}
			l.absorb(batch[i:i+1], results[i:i+1], now)
		}
		return
	}
	l.meter.observeRead(len(batch), now.Sub(began), results)
	l.absorb(batch, results, now)
}

// putBack schedules a watch whose read did not happen.
func (l *link) putBack(w *watch, now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !w.gone.Load() {
		l.schedule.set(w, now)
	}
}

// absorb takes in the results of a batch and schedules the next reads.
func (l *link) absorb(batch []*watch, results []backlog.Result, now time.Time) {
	idlePoll := l.options.IdlePoll
	if named := l.source.Load().Status().IdlePoll; named > 0 {
		idlePoll = named
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.countFailures(batch, results)
	backoff := l.backoff()
	l.retry = time.Time{}
	if len(l.failing) == len(l.watches) {
		l.retry = now.Add(backoff)
	}
	for i, w := range batch {
		if w.gone.Load() {
			continue
		}
		if w.absorb(results[i], now) {
			for sub := range w.subscribers {
				sub.notify()
			}
		}
		l.schedule.set(w, l.nextRead(w, results[i], now, backoff, idlePoll))
		if w.changed && w.eager() {
			l.hasten(w, now)
		}
	}
}

// countFailures notes which watches find the engine unavailable. mu is held.
func (l *link) countFailures(batch []*watch, results []backlog.Result) {
	wasFailing := len(l.failing) > 0
	unavailable := 0
	var cause error
	for i, w := range batch {
		if isUnavailable(results[i].Err) {
			l.failing[w] = struct{}{}
			cause = results[i].Err
			unavailable++
		} else {
			delete(l.failing, w)
		}
	}
	switch {
	case len(l.failing) == 0:
		l.failures = 0
		if wasFailing {
			l.logger.Info("connection recovered")
		}
	case unavailable > 0:
		l.failures++
		if !wasFailing {
			l.logger.Warn("connection fails", "queues", unavailable, "error", cause)
		}
	}
}

// isUnavailable tells errors that concern the engine from those that concern one
// queue.
func isUnavailable(err error) bool {
	return err != nil && !errors.Is(err, backlog.ErrDenied) && !errors.Is(err, backlog.ErrMismatch)
}

// backoff is how long to wait after the batches that failed so far: doubling,
// with a jitter of a fifth either way. mu is held.
func (l *link) backoff() time.Duration {
	wait := l.options.MinBackoff << min(max(l.failures-1, 0), 16)
	wait = min(wait, l.options.MaxBackoff)
	return time.Duration(float64(wait) * (0.8 + 0.4*rand.Float64())) //nolint:gosec // jitter is no secret
}

// nextRead says when to read a watch again.
func (l *link) nextRead(w *watch, result backlog.Result, now time.Time, backoff, idlePoll time.Duration) time.Time {
	switch {
	case isUnavailable(result.Err):
		return now.Add(backoff)
	case result.Err != nil:
		return l.tick(now, l.options.SafetyInterval)
	case result.Reading.Backlog() > 0:
		return l.noLaterThan(result.Reading.NextDue, l.tick(now, l.options.ActiveInterval), now)
	case result.Armed:
		return l.noLaterThan(result.Reading.NextDue, l.tick(now, l.options.SafetyInterval), now)
	default:
		return l.noLaterThan(result.Reading.NextDue, l.tick(now, idlePoll), now)
	}
}

// noLaterThan returns regular, or nextDue if that is set and comes before. Where
// the engine's clock is behind ours, what is due does not count as due yet: then
// WakeInterval keeps the reads apart.
func (l *link) noLaterThan(nextDue, regular, now time.Time) time.Time {
	if nextDue.IsZero() || !nextDue.Before(regular) {
		return regular
	}
	if soonest := now.Add(l.options.WakeInterval); nextDue.Before(soonest) {
		return soonest
	}
	return nextDue
}

// tick returns the next moment of a fixed beat of interval, so that all queues of
// one interval fall due together, in one batch.
func (l *link) tick(now time.Time, interval time.Duration) time.Time {
	return now.Add(-l.phase).Truncate(interval).Add(l.phase + interval)
}
