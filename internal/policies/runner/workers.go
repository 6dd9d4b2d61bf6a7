package runner

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"strings"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/policies"
)

// The times of reading which workers are busy.
const (
	// workersInterval is the time between two reads while replicas are about to fall.
	workersInterval = 2 * time.Second
	// workersLife is how long a reading counts. It is that of the answer of a pod, in
	// internal/kube.
	workersLife = 10 * time.Second
)

// Workers are those of the queue of a signal. They are observed while replicas are about to fall.
type workers struct {
	interest backlog.Interest
	observer Observer
	changed  func()
	// observed is nil while replicas are not about to fall.
	observed Observed
	// busy has whether each worker is busy, by the name of its host. err is why that is not known; nil
	// if it is. Decisions write them.
	busy map[string]bool
	err  error
}

// newWorkers returns the workers of the queue of a signal.
func newWorkers(of *signal, observer Observer, changed func()) *workers {
	return &workers{observer: observer, changed: changed, interest: backlog.Interest{
		Connection: of.interest.Connection, Namespace: of.interest.Namespace, Query: of.trigger.Workers, Interval: workersInterval,
	}}
}

var errNoSignals = errors.New("busyPods.from Queue: the policy has no signal whose queue could show which pods are busy, want one, or from: HTTP or from: Annotation")

// signalWithWorkers returns the signal of that name; without a name the only one whose queue shows
// which workers are busy.
func signalWithWorkers(name string, signals []*signal) (*signal, error) {
	var all, able []string
	var only *signal
	var reasons []error
	for _, s := range signals {
		all = append(all, s.name)
		err := s.trigger.NoWorkers
		if err == nil {
			only, able = s, append(able, s.name)
		}
		switch {
		case s.name == name && err != nil:
			return nil, fmt.Errorf("busyPods.signal %q: %w; use from: HTTP or from: Annotation", name, err)
		case s.name == name:
			return s, nil
		case err != nil:
			reasons = append(reasons, fmt.Errorf("signals[%s]: %w", s.name, err))
		}
	}
	switch {
	case len(all) == 0:
		return nil, errNoSignals
	case name != "":
		return nil, fmt.Errorf("busyPods.signal %q: no such signal%s", name, spelled(name, all))
	case len(able) == 0:
		return nil, fmt.Errorf("busyPods.from Queue: %w; use from: HTTP or from: Annotation", reasons[0])
	case len(able) > 1:
		return nil, fmt.Errorf("busyPods.signal: missing; several signals could show which pods are busy, want one of %s", strings.Join(able, ", "))
	}
	return only, nil
}

// follow observes the workers while replicas are about to fall, and not otherwise. It reports
// whether what is known of them has changed, and returns when it may change without an event; zero
// is never. A nil receiver has no workers.
func (w *workers) follow(falling bool, now time.Time) (changed bool, until time.Time) {
	if w == nil {
		return false, time.Time{}
	}
	switch {
	case falling && w.observed == nil:
		observed, err := w.observer.Notify(w.interest, w.changed)
		if err != nil {
			// The signal has the same connection, and the same error.
			break
		}
		w.observed = observed
	case !falling:
		w.close()
	}
	before, known := w.busy, w.err
	w.busy, until, w.err = w.read(now)
	return text(w.err) != text(known) || !maps.Equal(before, w.busy), until
}

// read returns what is known of the workers, and until when it counts; or why it is not known.
func (w *workers) read(now time.Time) (busy map[string]bool, until time.Time, err error) {
	switch {
	case w.observed == nil:
		return nil, time.Time{}, policies.ErrWorkersUnread
	case w.observed.Gone():
		return nil, time.Time{}, errConnectionRemoved
	}
	seen := w.observed.Observation()
	if until = seen.Latest.At.Add(workersLife); seen.Latest.Workers != nil && now.Before(until) {
		return seen.Latest.Workers, until, nil
	}
	return nil, time.Time{}, cmp.Or(seen.Err, policies.ErrWorkersUnread)
}

func (w *workers) close() {
	if w != nil && w.observed != nil {
		w.observed.Close()
		w.observed = nil
	}
}

// BusyWorkers returns whether each worker of the queue of a policy is busy, by the name of its host.
// Every busy one is among them, or there is an error: any worker may be busy then. They are read
// only while replicas are about to fall, and before the first reading the error is
// policies.ErrWorkersUnread. The map is not to be modified.
//
// Changed delivers the policy when the answer has changed.
func (r *Runner) BusyWorkers(namespace, name string) (map[string]bool, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	e := r.entries[policies.Key{Namespace: namespace, Name: name}]
	if e == nil || e.workers == nil {
		return nil, policies.ErrWorkersUnread
	}
	busy, _, err := e.workers.read(r.now())
	return busy, err
}
