package kube

import (
	"context"
	"errors"
	"reflect"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/backlog-scaler/backlog-scaler/api/v1alpha1"
	"github.com/backlog-scaler/backlog-scaler/internal/kube/conversion"
	"github.com/backlog-scaler/backlog-scaler/internal/policies"
	"github.com/backlog-scaler/backlog-scaler/internal/policy"
)

// The times of a reconciliation.
const (
	// liveInterval is the time between reads of a workload that is not watched, unless its policy
	// is looked at anyway. minLiveInterval is the least time between two of them.
	liveInterval    = 15 * time.Second
	minLiveInterval = time.Second
	// heldFor is how long a number counts after a jump: two syncs of the HPA, and the second by
	// which a time of the API server may be too early.
	heldFor = 31 * time.Second
)

// A record is what the controller remembers of a policy.
type record struct {
	uid        types.UID
	generation int64
	policy     policies.Policy
	target     policies.Target
	// seen reports that target was passed on.
	seen bool
	// replicas are those of the workload when it was read last, if counted is set, and changed is
	// when they were seen to change.
	replicas int32
	counted  bool
	changed  time.Time
	// live is a workload that is not watched, as it was read at liveAt; zero if it was not.
	live   workload
	liveAt time.Time
	// writing is what this replica remembers of its writes in the term of that number.
	writing writing
	term    uint64
}

// A subject is a policy with what is known of it, for one reconciliation.
type subject struct {
	record   *record
	object   *v1alpha1.AutoscalerPolicy
	policy   *policies.Policy
	workload workload
	// err is why the workload cannot be read.
	err    error
	owners owners
	// pods are those of the workload, if podsRead is set, and workers those of a queue that shows
	// which are busy.
	pods     []*corev1.Pod
	podsRead bool
	workers  queueWorkers
	now      time.Time
}

// Reconcile passes a policy and its workload on to the runner and, if this replica leads, writes
// what was decided. It returns after which time the policy is to be looked at again; zero if only a
// change makes that necessary.
func (c *Controller) Reconcile(ctx context.Context, key policies.Key) (time.Duration, error) {
	object, found := c.policies.Get(key.Namespace, key.Name)
	if !found {
		c.remove(key)
		return 0, nil
	}
	s, err := c.observe(ctx, key, object)
	if err != nil {
		return 0, err
	}
	again := c.passOn(s)
	if !c.leadership.Leads() {
		return again, nil
	}
	next, err := c.write(ctx, s)
	return sooner(again, next), err
}

// observe reads everything that is known of a policy.
func (c *Controller) observe(ctx context.Context, key policies.Key, object *v1alpha1.AutoscalerPolicy) (*subject, error) {
	r := c.recordOf(key)
	if r.uid != object.UID || r.generation != object.Generation {
		if r.uid != "" && r.uid != object.UID {
			c.runner.Remove(key.Namespace, key.Name)
			*r = record{}
		}
		r.uid, r.generation, r.policy = object.UID, object.Generation, conversion.Policy(object)
		c.runner.Set(r.policy)
	}
	s := &subject{record: r, object: object, policy: &r.policy, owners: c.readOwners(object), now: c.now()}
	if s.workload, s.err = c.readTarget(ctx, s); s.err != nil {
		if ctx.Err() != nil {
			return nil, s.err
		}
		return s, nil
	}
	r.count(&s.workload, s.now)
	if object.Spec.BusyPods != nil && c.sources.needPods() {
		c.readPods(s)
	}
	return s, nil
}

// readPods reads the pods of the workload, and what a queue shows of them.
func (c *Controller) readPods(s *subject) {
	s.pods, s.podsRead = c.listPods(&s.workload), true
	if s.policy.Workers != nil {
		s.workers = c.readWorkers(s.policy.Key)
	}
}

// readTarget reads the workload of a policy.
func (c *Controller) readTarget(ctx context.Context, s *subject) (workload, error) {
	ref, r := s.policy.Ref, s.record
	if isWatched(ref) {
		return c.readWorkload(ctx, s.policy.Namespace, ref)
	}
	if !r.liveAt.IsZero() && s.now.Before(r.liveAt.Add(minLiveInterval)) {
		return r.live, nil
	}
	w, err := c.readLive(ctx, s.policy.Namespace, ref)
	if err == nil {
		r.live, r.liveAt = w, s.now
	}
	return w, err
}

// count notes the replicas. The time of a change is when it was seen: the managed fields have none
// for the scale subresource, through which KEDA, the HPA and this package write.
func (r *record) count(w *workload, now time.Time) {
	if r.counted && r.replicas != w.replicas {
		r.changed = now
	}
	r.replicas, r.counted = w.replicas, true
	if r.changed.After(w.writtenAt) {
		w.writtenAt = r.changed
	}
}

// passOn passes the state of the workload on to the runner if it has changed. It returns after
// which time it has to be read again.
func (c *Controller) passOn(s *subject) (again time.Duration) {
	target := c.targetOf(s)
	if r := s.record; !r.seen || !sameTarget(&r.target, &target) {
		r.target, r.seen = target, true
		c.runner.SetTarget(s.policy.Namespace, s.policy.Name, target)
	}
	busy := s.object.Spec.BusyPods
	if busy != nil && busy.From == v1alpha1.BusyFromHTTP && len(s.pods) > 0 {
		if outcome, ok := c.runner.Outcome(s.policy.Namespace, s.policy.Name); ok && outcome.Decision.Falling {
			c.probes.add(s.policy.Key)
		}
	}
	if s.err != nil || !isWatched(s.policy.Ref) {
		return liveInterval
	}
	return 0
}

// targetOf returns what a decision needs to know of the workload.
func (c *Controller) targetOf(s *subject) policies.Target {
	if s.err != nil {
		return policies.Target{Err: s.err}
	}
	w := &s.workload
	target := policies.Target{Target: policy.Target{
		Replicas: w.replicas, Available: w.available, LastScale: w.writtenAt, Paused: s.owners.paused(),
	}}
	if last := s.object.Status.LastScale; last != nil && last.To == w.replicas && last.At.After(target.LastScale) {
		target.LastScale = last.At.Time
	}
	if s.policy.Via == policies.ViaKEDA && s.policy.Jump != policies.JumpNever && s.jumped() && !target.LastScale.IsZero() {
		target.HeldUntil = target.LastScale.Add(heldFor)
	}
	// The watch of pods may have begun since they were to be read.
	if s.podsRead {
		target.Pods = c.decidedPods(s)
	}
	return target
}

// jumped reports whether a jump wrote the current replicas, as the managed fields of the workload
// say. They say nothing once KEDA has written 0: the field is then missing in the scale subresource,
// and no later write of that subresource makes its manager the owner of the replicas. What this
// replica remembers counts then, or what the leader wrote into the status.
func (s *subject) jumped() bool {
	w, jump, last := &s.workload, &s.record.writing.jump, s.object.Status.LastScale
	switch {
	case w.writer != "":
		return w.writer == fieldManager
	case jump.to == w.replicas && s.now.Before(jump.at.Add(heldFor)):
		return true
	default:
		return last != nil && last.To == w.replicas && last.Manager == fieldManager
	}
}

func sameTarget(a, b *policies.Target) bool {
	if (a.Err == nil) != (b.Err == nil) || a.Err != nil && a.Err.Error() != b.Err.Error() {
		return false
	}
	return a.LastScale.Equal(b.LastScale) && a.HeldUntil.Equal(b.HeldUntil) && a.Replicas == b.Replicas && a.Available == b.Available &&
		a.Paused == b.Paused && reflect.DeepEqual(a.Pods, b.Pods)
}

// probe asks the pods of a policy whether they are busy, and looks at the policy again.
func (c *Controller) probe(ctx context.Context, key policies.Key) (time.Duration, error) {
	object, found := c.policies.Get(key.Namespace, key.Name)
	if !found || object.Spec.BusyPods == nil || object.Spec.BusyPods.HTTP == nil {
		return 0, nil
	}
	outcome, ok := c.runner.Outcome(key.Namespace, key.Name)
	if !ok || !outcome.Decision.Falling {
		return 0, nil
	}
	w, err := c.readWorkload(ctx, key.Namespace, conversion.Policy(object).Ref)
	if err != nil {
		return 0, ignoreNoWorkload(err)
	}
	c.prober.ask(ctx, object.Spec.BusyPods.HTTP, c.listPods(&w))
	c.queue.add(key)
	return probeInterval, nil
}

func ignoreNoWorkload(err error) error {
	if errors.Is(err, errNoWorkload) {
		return nil
	}
	return err
}

// recordOf returns the record of a policy.
func (c *Controller) recordOf(key policies.Key) *record {
	c.mu.Lock()
	defer c.mu.Unlock()
	r := c.records[key]
	if r == nil {
		r = &record{}
		c.records[key] = r
	}
	return r
}

func (c *Controller) remove(key policies.Key) {
	c.mu.Lock()
	delete(c.records, key)
	c.mu.Unlock()
	c.runner.Remove(key.Namespace, key.Name)
}

// sooner returns the shorter of two times; zero is none.
func sooner(a, b time.Duration) time.Duration {
	if a == 0 || b != 0 && b < a {
		return b
	}
	return a
}
