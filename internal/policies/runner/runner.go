// Package runner decides on policies: it observes their signals, and decides again when a signal
// or the workload changes, and when time alone changes the decision.
//
// One goroutine, Run, makes all decisions. A decision takes microseconds and no I/O.
package runner

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/policies"
	"github.com/backlog-scaler/backlog-scaler/internal/trigger"
)

// An Observer observes queues and measured numbers.
type Observer interface {
	// Notify keeps what is wanted observed until the observation is closed, and calls changed
	// after each change. changed does not wait and calls nothing of the Observer.
	Notify(want backlog.Interest, changed func()) (Observed, error)
}

// An Observed is a queue or a measured number that is observed.
type Observed interface {
	// Observation returns the current observation.
	Observation() backlog.Observation
	// SetWaiting sets whether a change is to be read at once.
	SetWaiting(waiting bool)
	// Gone reports whether nothing is read any more, because the connection was removed.
	Gone() bool
	Close()
}

// A Runner decides on policies. Its methods do not wait for I/O and are safe for concurrent use.
//
// Lock order: mu, then the locks of the Observer, then marks.mu.
type Runner struct {
	observer Observer
	now      func() time.Time
	marks    *marks
	changed  chan policies.Key

	// mu guards the fields below and everything of each entry.
	mu      sync.Mutex
	catalog *trigger.Catalog
	entries map[policies.Key]*entry
	due     deadlines
	synced  bool
	// subscribers are those of each policy, whether it exists or not.
	subscribers map[policies.Key]map[*Subscription]struct{}
	// pending are the policies that Changed is to deliver, in the order of their changes.
	pending   []policies.Key
	isPending map[policies.Key]bool
}

// New returns a Runner that reads signals as the catalog says. now is the clock.
func New(observer Observer, catalog *trigger.Catalog, now func() time.Time) *Runner {
	return &Runner{
		observer: observer, now: now, marks: newMarks(), changed: make(chan policies.Key), catalog: catalog,
		entries: make(map[policies.Key]*entry), subscribers: make(map[policies.Key]map[*Subscription]struct{}),
		isPending: make(map[policies.Key]bool),
	}
}

// Run decides until the context ends. The signals stay observed until Close.
func (r *Runner) Run(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		next, changed := r.decideAll()
		out := r.changed
		if changed == (policies.Key{}) {
			out = nil
		}
		timer.Reset(next)
		select {
		case <-ctx.Done():
			return
		case <-r.marks.wake:
		case <-timer.C:
		case out <- changed:
			r.delivered(changed)
		}
	}
}

// Close ends the observation of all signals. Run must have returned.
func (r *Runner) Close() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, e := range r.entries {
		e.close()
	}
	clear(r.entries)
	r.due = nil
}

// Changed delivers policies whose outcome has changed, or what is known of their workers. It has one
// receiver.
func (r *Runner) Changed() <-chan policies.Key { return r.changed }

// Set adds or replaces a policy.
func (r *Runner) Set(p policies.Policy) {
	r.mu.Lock()
	defer r.mu.Unlock()
	before := r.entries[p.Key]
	e := newEntry(p, before)
	var signals []*signal
	if before != nil {
		signals = before.signals
	}
	e.prepare(r.observer, r.catalog, signals, r.markOf(p.Key))
	if before != nil {
		r.due.remove(before)
		before.close()
	}
	r.entries[p.Key] = e
	r.marks.mark(p.Key)
}

// Remove removes a policy. One that is not known is no error.
func (r *Runner) Remove(namespace, name string) {
	key := policies.Key{Namespace: namespace, Name: name}
	r.mu.Lock()
	defer r.mu.Unlock()
	e := r.entries[key]
	if e == nil {
		return
	}
	e.close()
	r.due.remove(e)
	delete(r.entries, key)
	r.announce(key)
	r.marks.ring()
}

// SetTarget replaces what is known of the workload of a policy. Before the first call nothing is
// known of it, and there is no decision.
func (r *Runner) SetTarget(namespace, name string, target policies.Target) {
	key := policies.Key{Namespace: namespace, Name: name}
	r.mu.Lock()
	defer r.mu.Unlock()
	if e := r.entries[key]; e != nil {
		e.target, e.targetKnown = target, true
		r.marks.mark(key)
	}
}

// SetCatalog replaces the connections: the signals of every policy are read as they say.
func (r *Runner) SetCatalog(catalog *trigger.Catalog) {
	r.mu.Lock()
	r.catalog = catalog
	keys := slices.Collect(maps.Keys(r.entries))
	r.mu.Unlock()
	// The lock is held for one policy at a time, so that calls of KEDA do not wait for all.
	for _, key := range keys {
		r.prepareAgain(key)
	}
}

// prepareAgain has the signals of a policy read as the catalog in force says.
func (r *Runner) prepareAgain(key policies.Key) {
	r.mu.Lock()
	defer r.mu.Unlock()
	e := r.entries[key]
	if e == nil {
		return
	}
	before := e.observed
	e.prepare(r.observer, r.catalog, before.signals, r.markOf(key))
	before.close()
	r.marks.mark(key)
}

// Synced reports that every policy of the cluster was set. Before that a policy that is not known
// may exist.
func (r *Runner) Synced() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.synced = true
}

// Outcome returns what was decided last on a policy; false if nothing was decided since it was set.
func (r *Runner) Outcome(namespace, name string) (policies.Outcome, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	e := r.entries[policies.Key{Namespace: namespace, Name: name}]
	if e == nil || !e.decided {
		return policies.Outcome{}, false
	}
	return e.outcome, true
}

// markOf returns a function that has a policy decided on again.
func (r *Runner) markOf(key policies.Key) func() { return func() { r.marks.mark(key) } }
