package backlogtest

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
)

// A Fake is a small queue system in memory that behaves as an engine should: a read arms a
// queue, and the next change wakes it once. Its engine is named "fake" and has one layout,
// "queue". It is safe for concurrent use.
type Fake struct {
	mu              sync.Mutex
	queues          map[string]backlog.Reading
	workers         map[string]map[string]bool
	errs            map[string]error
	searching       map[string]error
	fault           error
	frozen          chan struct{}
	armingDisabled  bool
	confirmDisabled bool
	afterRead       func([]backlog.Query) bool
	reads           int
	queries         int
	opened          int
	confirmations   int
	sources         map[*fakeSource]struct{}
	shard           func(backlog.Query) string
	frozenShards    map[string]chan struct{}
}

// NewFake returns a Fake without queues.
func NewFake() *Fake {
	return &Fake{
		queues:       map[string]backlog.Reading{},
		workers:      map[string]map[string]bool{},
		errs:         map[string]error{},
		searching:    map[string]error{},
		sources:      map[*fakeSource]struct{}{},
		frozenShards: map[string]chan struct{}{},
	}
}

// Engine returns the engine that reads f.
func (f *Fake) Engine() backlog.Engine {
	return backlog.Engine{
		Name:     "fake",
		Summary:  "Queues in memory, for tests.",
		Settings: []backlog.Parameter{{Name: "password", Kind: backlog.KindSecret, Doc: "Not used."}},
		Layouts: []backlog.Layout{{
			Name: "queue", Summary: "A queue.", Queue: "name of the queue",
			Parameters: []backlog.Parameter{{Name: "consumerGroup", Kind: backlog.KindText, Doc: "Not used."}},
			Ready:      "Messages.", InFlight: "Messages handed out.", Workers: "Those of SetWorkers.", Finished: "Those of Set.",
			CheckWorkers: checkWorkers,
		}},
		Open: f.open,
	}
}

// Set sets the reading of the queue, except its time, and wakes the armed queries.
func (f *Fake) Set(queue string, r backlog.Reading) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.queues[queue] = r
	for s := range f.sources {
		s.changed(queue)
	}
}

// SetSilently is Set without a wake-up, as an engine that loses one.
func (f *Fake) SetSilently(queue string, r backlog.Reading) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.queues[queue] = r
}

// SetReady makes n messages ready in the queue, and nothing else.
func (f *Fake) SetReady(queue string, n int64) { f.Set(queue, backlog.Reading{Ready: n}) }

// FailQueue makes reads of one queue fail until err is nil.
func (f *Fake) FailQueue(queue string, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.errs[queue] = err
}

// StartSearch makes reads of one queue pending until EndSearch: with err, or with the reading
// if err is nil.
func (f *Fake) StartSearch(queue string, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.searching[queue] = err
}

// EndSearch ends StartSearch and wakes the queries that were read meanwhile.
func (f *Fake) EndSearch(queue string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.searching, queue)
	for s := range f.sources {
		s.changed(queue)
	}
}

// Fail makes all reads fail with err until it is nil.
func (f *Fake) Fail(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.fault = err
}

// Freeze makes reads hang until Thaw or the end of their context.
func (f *Fake) Freeze() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.frozen = make(chan struct{})
}

// Thaw ends Freeze.
func (f *Fake) Thaw() {
	f.mu.Lock()
	defer f.mu.Unlock()
	close(f.frozen)
	f.frozen = nil
}

// DisableArming makes reads arm nothing from now on.
func (f *Fake) DisableArming() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.armingDisabled = true
}

// DisableConfirm makes sources unable to confirm from now on.
func (f *Fake) DisableConfirm() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.confirmDisabled = true
}

// AfterRead sets a function that is called before a read returns, until it returns true.
func (f *Fake) AfterRead(then func([]backlog.Query) bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.afterRead = then
}

// Confirmations returns the number of calls of Confirm.
func (f *Fake) Confirmations() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.confirmations
}

// Reads returns how many batches and queries were read, and how many sources were opened.
func (f *Fake) Reads() (batches, queries, opened int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.reads, f.queries, f.opened
}

func (f *Fake) open(context.Context, backlog.Connection, *slog.Logger) (backlog.Source, error) {
	s := &fakeSource{fake: f, armed: map[string][]backlog.Query{}, wakes: make(chan backlog.Wake, 1024)}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.sources[s] = struct{}{}
	f.opened++
	if f.shard != nil {
		return &shardedFake{fakeSource: s, shard: f.shard}, nil
	}
	return s, nil
}

// A fakeSource is one connection to a Fake, whose mu guards it.
type fakeSource struct {
	fake   *Fake
	armed  map[string][]backlog.Query
	wakes  chan backlog.Wake
	closed bool
}

// Read implements backlog.Source.
func (s *fakeSource) Read(ctx context.Context, queries []backlog.Query, results []backlog.Result) []backlog.Result {
	if err := s.fake.thawed(ctx); err != nil {
		return appendErrors(results, len(queries), err)
	}
	s.fake.mu.Lock()
	s.fake.reads++
	s.fake.queries += len(queries)
	for _, q := range queries {
		results = append(results, s.answer(q))
	}
	after := s.fake.afterRead
	s.fake.mu.Unlock()
	if after != nil && after(queries) {
		s.fake.AfterRead(nil)
	}
	return results
}

// appendErrors appends n results that failed with err.
func appendErrors(results []backlog.Result, n int, err error) []backlog.Result {
	for range n {
		results = append(results, backlog.Result{Err: err})
	}
	return results
}

// thawed waits for the end of Freeze, if it was called.
func (f *Fake) thawed(ctx context.Context) error {
	f.mu.Lock()
	frozen := f.frozen
	f.mu.Unlock()
	if frozen == nil {
		return nil
	}
	select {
	case <-frozen:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("%w: %w", backlog.ErrUnavailable, ctx.Err())
	}
}

// Confirm implements backlog.Confirmer.
func (s *fakeSource) Confirm(ctx context.Context) (time.Time, error) {
	began := time.Now()
	if err := s.fake.thawed(ctx); err != nil {
		return time.Time{}, err
	}
	s.fake.mu.Lock()
	defer s.fake.mu.Unlock()
	s.fake.confirmations++
	switch {
	case s.fake.fault != nil:
		return time.Time{}, s.fake.fault
	case s.fake.armingDisabled, s.fake.confirmDisabled:
		return time.Time{}, errors.ErrUnsupported
	}
	return began, nil
}

func (s *fakeSource) answer(q backlog.Query) backlog.Result {
	err := errors.Join(s.fake.fault, s.fake.errs[q.Queue])
	if s.closed {
		err = fmt.Errorf("source is closed: %w", backlog.ErrUnavailable)
	}
	if err != nil {
		return backlog.Result{Err: err}
	}
	if q.Workers {
		return s.fake.answerWorkers(q)
	}
	r, ok := s.fake.queues[q.Queue]
	r.At, r.Missing = time.Now(), !ok
	if !s.fake.armingDisabled && !slices.Contains(s.armed[q.Queue], q) {
		s.armed[q.Queue] = append(s.armed[q.Queue], q)
	}
	err, sought := s.fake.searching[q.Queue]
	if err != nil {
		return backlog.Result{Err: err, Pending: true}
	}
	return backlog.Result{Reading: r, Armed: !s.fake.armingDisabled, Pending: sought}
}

// changed wakes the queries of a queue that are armed.
func (s *fakeSource) changed(queue string) {
	if queries := s.armed[queue]; len(queries) > 0 && !s.closed {
		delete(s.armed, queue)
		s.wakes <- backlog.Wake{Queries: queries}
	}
}

// Wakes delivers what changed.
func (s *fakeSource) Wakes() <-chan backlog.Wake { return s.wakes }

// Status describes the connection.
func (s *fakeSource) Status() backlog.Status {
	s.fake.mu.Lock()
	defer s.fake.mu.Unlock()
	if s.fake.armingDisabled {
		return backlog.Status{Server: "fake 1", WakeUp: "poll"}
	}
	return backlog.Status{Server: "fake 1", WakeUp: "events"}
}

// Close ends the source.
func (s *fakeSource) Close() error {
	s.fake.mu.Lock()
	defer s.fake.mu.Unlock()
	if !s.closed {
		s.closed = true
		delete(s.fake.sources, s)
		close(s.wakes)
	}
	return nil
}
