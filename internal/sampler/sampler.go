// Package sampler is the program's only memory. It reads every requested queue, once however
// many callers request it, and answers from the last reading.
//
// Each connection has one goroutine, the loop of a connectionLoop, that reads its queues. Where
// the servers of a connection do not wait for each other, each shard is read by a goroutine of
// its own.
//
// Lock order: Sampler.applySemaphore, then Sampler.mu or connectionLoop.mu, then
// historyBudget.mu. Sampler.mu and connectionLoop.mu are never held together. No mutex is held
// over I/O; only applySemaphore is.
package sampler

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
)

// ErrNoConnection is a connection that is not configured, or not any more.
var ErrNoConnection = errors.New("no such connection")

// A Sampler shares, schedules and bounds the reads of all connections.
type Sampler struct {
	options Options
	engines map[string]backlog.Engine
	metrics *metrics
	budget  *historyBudget

	// mu guards loops and closed. Apply and Close write them, every call reads them.
	mu     sync.RWMutex
	loops  map[string]*connectionLoop
	closed bool

	// applySemaphore lets one Apply or Close run at a time. It is held while sources are opened
	// and closed, which includes I/O.
	applySemaphore sync.Mutex
}

// New returns a Sampler without connections. Close stops it.
func New(engines []backlog.Engine, options Options) *Sampler {
	options = options.withDefaults()
	options.started = time.Now()
	s := &Sampler{
		options: options,
		engines: map[string]backlog.Engine{},
		metrics: newMetrics(),
		budget:  newHistoryBudget(),
		loops:   map[string]*connectionLoop{},
	}
	if options.Registerer != nil {
		options.Registerer.MustRegister(s.metrics.collectors()...)
		options.Registerer.MustRegister(gauges{s})
	}
	for _, engine := range engines {
		s.engines[engine.Name] = engine
	}
	return s
}

// Apply makes connections the ones that are read. An unchanged connection keeps its source. A
// changed one gets a new source and keeps its readings. A removed one is closed. The error
// joins the errors of the connections that could not be opened; all others work.
func (s *Sampler) Apply(ctx context.Context, connections []backlog.Connection) error {
	s.applySemaphore.Lock()
	defer s.applySemaphore.Unlock()
	if s.isClosed() {
		return errors.New("apply connections: the sampler is closed")
	}
	wanted := map[string]bool{}
	var faults []error
	for _, connection := range connections {
		wanted[connection.Name] = true
		if err := s.open(ctx, connection); err != nil {
			faults = append(faults, fmt.Errorf("open connection %q: %w", connection.Name, err))
		}
	}
	var gone []*connectionLoop
	s.mu.Lock()
	for name, l := range s.loops {
		if !wanted[name] {
			gone = append(gone, l)
			delete(s.loops, name)
		}
	}
	s.mu.Unlock()
	for _, l := range gone {
		l.stop()
		l.removeAll()
		s.metrics.forget(l.name)
		s.options.Logger.Info("connection closed", "connection", l.name)
	}
	return errors.Join(faults...)
}

// open starts the loop of a connection, or restarts it if the endpoint changed.
func (s *Sampler) open(ctx context.Context, connection backlog.Connection) error {
	s.mu.RLock()
	l := s.loops[connection.Name]
	s.mu.RUnlock()
	if l != nil && l.connection.SameEndpoint(connection) {
		return nil
	}
	engine, ok := s.engines[connection.Engine]
	if !ok {
		return fmt.Errorf("unknown engine %q", connection.Engine)
	}
	source, err := engine.Open(ctx, connection, s.options.Logger)
	if err != nil {
		return err
	}
	if l == nil {
		l = newConnectionLoop(connection, s.options, s.metrics.meter(connection), s.budget)
		l.start(source) //nolint:contextcheck // reading goes on after Apply returned
		s.mu.Lock()
		s.loops[connection.Name] = l
		s.mu.Unlock()
	} else {
		l.stop()
		if l.connection.Engine != connection.Engine {
			l.removeAll()
			s.metrics.forget(l.name)
			l.meter = s.metrics.meter(connection)
		}
		l.connection = connection
		l.start(source) //nolint:contextcheck // reading goes on after Apply returned
	}
	s.options.Logger.Info("connection opened", "connection", connection.Name, "engine", connection.Engine)
	return nil
}

// Observe returns the observation of a queue. It waits only on the first request for a queue, and
// for a fresh reading, at most FirstReading. If there is no reading by then, the observation
// carries the reason. The error is ErrNoConnection or that of ctx.
func (s *Sampler) Observe(ctx context.Context, want backlog.Interest) (*backlog.Observation, error) {
	if want.Memo != nil && !want.Fresh {
		if w, found := want.Memo.Load().(*watch); found && w.requestAgain(time.Now(), &want) {
			return w.loop.observation(w), nil
		}
	}
	l, err := s.loop(want.Connection)
	if err != nil {
		return nil, err
	}
	w := l.ensureWatch(want, nil)
	if want.Memo != nil {
		want.Memo.Store(w)
	}
	if want.Fresh {
		return l.observeFresh(ctx, w)
	}
	if w.snapshot.Load() != nil {
		return l.observation(w), nil
	}
	timer := time.NewTimer(s.options.FirstReading)
	defer timer.Stop()
	select {
	case <-w.firstRead:
		return l.observation(w), nil
	case <-timer.C:
		err := fmt.Errorf("no answer within %s: %w", s.options.FirstReading, backlog.ErrUnavailable)
		return &backlog.Observation{Err: err, FailingSince: time.Now()}, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// Subscribe keeps a queue read, and notifies of changes of its observation, until the
// subscription is closed. The error is ErrNoConnection.
func (s *Sampler) Subscribe(want backlog.Interest) (*Subscription, error) {
	return s.subscribe(want, &Subscription{changed: make(chan struct{}, 1)})
}

// Notify is Subscribe for a caller with many queues: it calls changed after each change, in place
// of a channel for each queue. changed is called with locks held, so it must not wait, nor call
// anything of the Sampler. The error is ErrNoConnection.
func (s *Sampler) Notify(want backlog.Interest, changed func()) (*Subscription, error) {
	return s.subscribe(want, &Subscription{notifies: changed})
}

func (s *Sampler) subscribe(want backlog.Interest, sub *Subscription) (*Subscription, error) {
	l, err := s.loop(want.Connection)
	if err != nil {
		return nil, err
	}
	sub.loop, sub.interval = l, want.Interval
	sub.waiting.Store(true)
	sub.watch = l.ensureWatch(want, sub)
	return sub, nil
}

// Status returns the status of a connection, from memory, and whether the connection is
// configured.
func (s *Sampler) Status(connection string) (backlog.Status, bool) {
	l, err := s.loop(connection)
	if err != nil {
		return backlog.Status{}, false
	}
	return l.source.Load().Status(), true
}

// Stuck returns an error if the loop of a connection makes no progress.
func (s *Sampler) Stuck() error {
	for _, l := range s.all() {
		if idle := time.Since(l.oldestProgress()); idle > s.options.stuckAfter() {
			return fmt.Errorf("the loop of connection %q has made no progress for %s", l.name, idle.Round(time.Second))
		}
	}
	return nil
}

// Close stops all reading and closes all sources. It is idempotent.
func (s *Sampler) Close() {
	s.applySemaphore.Lock()
	defer s.applySemaphore.Unlock()
	s.mu.Lock()
	s.closed = true
	links := slices.Collect(maps.Values(s.loops))
	clear(s.loops)
	s.mu.Unlock()
	for _, l := range links {
		l.stop()
		l.removeAll()
	}
}

func (s *Sampler) isClosed() bool {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.closed
}

func (s *Sampler) loop(connection string) (*connectionLoop, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	l, ok := s.loops[connection]
	if !ok {
		return nil, fmt.Errorf("%w: %q", ErrNoConnection, connection)
	}
	return l, nil
}

// all returns the loops, ordered by name.
func (s *Sampler) all() []*connectionLoop {
	s.mu.RLock()
	defer s.mu.RUnlock()
	links := slices.Collect(maps.Values(s.loops))
	slices.SortFunc(links, func(a, b *connectionLoop) int { return cmp.Compare(a.name, b.name) })
	return links
}
