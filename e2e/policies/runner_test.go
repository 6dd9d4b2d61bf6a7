package policies_test

import (
	"maps"
	"sync"

	"github.com/backlog-scaler/backlog-scaler/internal/policies"
	"github.com/backlog-scaler/backlog-scaler/internal/policy"
)

// A runner decides by what a test says. It stands for what decides on signals.
type runner struct {
	mu       sync.Mutex // guards what follows
	policies map[policies.Key]policies.Policy
	targets  map[policies.Key]policies.Target
	decide   map[policies.Key]func(policies.Target) policies.Outcome
	workers  map[policies.Key]map[string]bool
	synced   bool

	changed chan policies.Key
}

func newRunner() *runner {
	return &runner{
		workers: make(map[policies.Key]map[string]bool), policies: make(map[policies.Key]policies.Policy), targets: make(map[policies.Key]policies.Target),
		decide: make(map[policies.Key]func(policies.Target) policies.Outcome), changed: make(chan policies.Key, 100),
	}
}

func (r *runner) Set(p policies.Policy) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.policies[p.Key] = p
}

func (r *runner) Remove(namespace, name string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	key := policies.Key{Namespace: namespace, Name: name}
	delete(r.policies, key)
	delete(r.targets, key)
}

func (r *runner) SetTarget(namespace, name string, target policies.Target) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.targets[policies.Key{Namespace: namespace, Name: name}] = target
}

func (r *runner) Synced() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.synced = true
}

func (r *runner) Outcome(namespace, name string) (policies.Outcome, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	key := policies.Key{Namespace: namespace, Name: name}
	p, known := r.policies[key]
	if !known {
		return policies.Outcome{}, false
	}
	if len(p.Problems) > 0 {
		return policies.Outcome{Generation: p.Generation, Problems: p.Problems}, true
	}
	decide, target := r.decide[key], r.targets[key]
	if decide == nil {
		return policies.Outcome{}, false
	}
	outcome := decide(target)
	outcome.Generation = p.Generation
	outcome.Decision.State.Replicas = target.Replicas
	return outcome, true
}

func (r *runner) BusyWorkers(namespace, name string) (map[string]bool, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	workers, known := r.workers[policies.Key{Namespace: namespace, Name: name}]
	if !known {
		return nil, policies.ErrWorkersUnread
	}
	return workers, nil
}

// busyWorkers says which workers the queue of a policy shows.
func (r *runner) busyWorkers(key policies.Key, workers map[string]bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.workers[key] = workers
}

func (r *runner) Changed() <-chan policies.Key { return r.changed }

// set says how is decided on a policy.
func (r *runner) set(key policies.Key, decide func(policies.Target) policies.Outcome) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.decide[key] = decide
}

// want decides on a number of replicas.
func (r *runner) want(key policies.Key, replicas int32, steps ...policy.Step) {
	r.set(key, func(target policies.Target) policies.Outcome {
		return policies.Outcome{Replicas: replicas, Decision: policy.Decision{
			Replicas: replicas, Active: replicas > 0, Wanted: replicas, Floor: 0, Ceiling: 100, Steps: steps, Falling: replicas < target.Replicas,
		}}
	})
}

// fall decides on fewer replicas, as a strict policy does: only by pods that are known to be idle.
func (r *runner) fall(key policies.Key, replicas int32) {
	r.set(key, func(target policies.Target) policies.Outcome {
		decided := target.Replicas
		if target.Pods.Known {
			decided = min(target.Replicas, max(replicas, int32(len(target.Pods.All)-target.Pods.Spare())))
		}
		return policies.Outcome{Replicas: decided, Decision: policy.Decision{
			Replicas: decided, Active: true, Wanted: replicas, Ceiling: 100, Falling: replicas < target.Replicas,
		}}
	})
}

// target returns what is known of the workload of a policy.
func (r *runner) target(key policies.Key) (policies.Target, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	target, known := r.targets[key]
	return target, known
}

// known returns the policies that were set.
func (r *runner) known() map[policies.Key]policies.Policy {
	r.mu.Lock()
	defer r.mu.Unlock()
	return maps.Clone(r.policies)
}
