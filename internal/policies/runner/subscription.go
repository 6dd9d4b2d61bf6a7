package runner

import (
	"errors"
	"fmt"
	"slices"

	"github.com/backlog-scaler/backlog-scaler/internal/policies"
)

// The reasons why nothing can be said of a policy.
var (
	// ErrUnread is a policy that may exist: the API server was not read yet.
	ErrUnread = errors.New("policies are not read from the API server yet")
	// ErrUndecided is a policy that was not decided on yet.
	ErrUndecided = errors.New("not decided on yet")
)

// Answer returns what is to be answered to KEDA about a policy. The error is
// policies.ErrNoPolicy, policies.ErrNotAnswering, ErrUnread or ErrUndecided, with what to change.
func (r *Runner) Answer(key policies.Key) (policies.Outcome, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	e := r.entries[key]
	switch {
	case e == nil && !r.synced:
		return policies.Outcome{}, ErrUnread
	case e == nil:
		return policies.Outcome{}, fmt.Errorf("%w in namespace %q%s", policies.ErrNoPolicy, key.Namespace, r.suggest(key))
	case e.policy.Via == policies.ViaScale:
		return policies.Outcome{}, fmt.Errorf("%w: it says via: Scale, so the scaler writes the replicas itself", policies.ErrNotAnswering)
	case e.policy.Mode == policies.Observe:
		return policies.Outcome{}, fmt.Errorf("%w: it says mode: Observe", policies.ErrNotAnswering)
	case !e.decided:
		return policies.Outcome{}, ErrUndecided
	}
	return e.outcome, nil
}

// suggest names the policies of the namespace. mu is held.
func (r *Runner) suggest(key policies.Key) string {
	var names []string
	for other := range r.entries {
		if other.Namespace == key.Namespace {
			names = append(names, other.Name)
		}
	}
	slices.Sort(names)
	return spelled(key.Name, names)
}

// A Subscription notifies of changes of the outcome of a policy until it is closed.
type Subscription struct {
	runner *Runner
	key    policies.Key
	// changed has room for one: several changes are one notification.
	changed chan struct{}
}

// Follow notifies of changes of the outcome of a policy, which need not exist.
func (r *Runner) Follow(key policies.Key) *Subscription {
	sub := &Subscription{runner: r, key: key, changed: make(chan struct{}, 1)}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.subscribers[key] == nil {
		r.subscribers[key] = make(map[*Subscription]struct{})
	}
	r.subscribers[key][sub] = struct{}{}
	return sub
}

// Changed delivers after the outcome has changed. It is never closed.
func (s *Subscription) Changed() <-chan struct{} { return s.changed }

// Close ends the subscription. It is idempotent.
func (s *Subscription) Close() {
	s.runner.mu.Lock()
	defer s.runner.mu.Unlock()
	delete(s.runner.subscribers[s.key], s)
	if len(s.runner.subscribers[s.key]) == 0 {
		delete(s.runner.subscribers, s.key)
	}
}

// notify notifies the subscriber without waiting for it.
func (s *Subscription) notify() {
	select {
	case s.changed <- struct{}{}:
	default:
	}
}
