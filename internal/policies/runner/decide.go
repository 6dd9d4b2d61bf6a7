package runner

import (
	"slices"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/policies"
)

// longestRest is the longest time between two decisions on a policy. It is shorter than the time
// after which policy.Decide holds a decision against a gap.
const longestRest = 30 * time.Second

// decideAll decides on the policies that are marked or due. It returns how long to rest if nothing
// happens, and a policy that Changed is to deliver; none is the zero Key.
func (r *Runner) decideAll() (rest time.Duration, changed policies.Key) {
	for _, key := range r.marks.take() {
		r.decide(key)
	}
	for {
		now := r.now()
		r.mu.Lock()
		next := r.due.next()
		if next == nil || next.due.After(now) {
			rest = longestRest
			if next != nil {
				rest = min(rest, next.due.Sub(now))
			}
			if len(r.pending) > 0 {
				changed = r.pending[0]
			}
			r.mu.Unlock()
			return rest, changed
		}
		key := next.policy.Key
		r.mu.Unlock()
		r.decide(key)
	}
}

// decide decides on a policy. The lock is held for one policy at a time, so that calls of KEDA do
// not wait for all.
func (r *Runner) decide(key policies.Key) {
	now := r.now()
	r.mu.Lock()
	defer r.mu.Unlock()
	e := r.entries[key]
	if e == nil {
		return
	}
	before, first := e.outcome, !e.decided
	e.decide(now)
	next := now.Add(longestRest)
	if !e.until.IsZero() && e.until.Before(next) {
		next = e.until
	}
	r.due.set(e, next)
	switch {
	case first || !same(&before, &e.outcome):
		r.announce(key)
	case e.workersChanged:
		r.pend(key)
	}
}

// announce notifies everybody of a changed outcome. mu is held.
//
// Run looks at pending before it rests; other goroutines ring afterwards.
func (r *Runner) announce(key policies.Key) {
	for sub := range r.subscribers[key] {
		sub.notify()
	}
	r.pend(key)
}

// pend has Changed deliver a policy. mu is held.
func (r *Runner) pend(key policies.Key) {
	if !r.isPending[key] {
		r.isPending[key] = true
		r.pending = append(r.pending, key)
	}
}

// delivered removes a policy that Changed has delivered. It was the first of the pending ones.
func (r *Runner) delivered(key policies.Key) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.isPending, key)
	r.pending = slices.Delete(r.pending, 0, 1)
}
