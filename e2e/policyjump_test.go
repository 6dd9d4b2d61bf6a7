package e2e_test

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/backlog-scaler/backlog-scaler/api/v1alpha1"
	"github.com/backlog-scaler/backlog-scaler/bench/measurement"
	"github.com/backlog-scaler/backlog-scaler/e2e/workload"
)

const (
	// jumpRounds is the number of jumps that are timed, and jumpReplicas where each goes.
	jumpRounds   = 20
	jumpReplicas = 40
	// jumpMessages need that many replicas.
	jumpMessages = 5 * jumpReplicas
	// jumpMedian is more than a busy machine takes, and far less than the syncs of the HPA would.
	jumpMedian = time.Second
	// twoSyncs is less than two syncs of the HPA by the second that a watch may be late.
	twoSyncs = 29 * time.Second
)

// jump writes work for forty replicas to empty lists, one after the other, and times how soon spec.replicas is forty. From
// every second list the work is gone a second later. The next two syncs of the HPA change nothing in either case.
func (s *policySuite) jump(t *testing.T) {
	const namespace = "e2e-jump"
	options := make([]workload.Options, jumpRounds)
	for i := range options {
		name := list("jump", i)
		s.policy(t, namespace, name, func(p *v1alpha1.AutoscalerPolicySpec) { p.Jump = v1alpha1.JumpFromZero })
		options[i] = policyOptions(s.scaler.Address(), namespace, name)
		options[i].PollingInterval = 0 // KEDA's default, as most users have it
		// Without it KEDA goes to zero when the work is gone, as is right; what the HPA does would not be seen.
		options[i].Cooldown = 2 * time.Minute
	}
	workloads, err := workload.NewFleet(s.ctx, s.stage.Clients, time.Minute, options)
	check(t, err)
	for i := range options {
		s.condition(t, namespace, options[i].Name, v1alpha1.ConditionReady, "True/"+v1alpha1.ReasonAccepted)
	}
	check(t, s.stage.Cluster.WaitSettled(s.ctx, time.Minute))
	samples, at := make([]time.Duration, jumpRounds), make([]time.Time, jumpRounds)
	for i, w := range workloads {
		s.pause(t, rand.N(200*time.Millisecond))
		written := time.Now()
		check(t, s.redis.Push(s.ctx, w.Key().Name, jumpMessages))
		samples[i] = s.reach(t, w, written, time.Minute, jumpReplicas)
		at[i] = written.Add(samples[i])
		if i%2 == 1 {
			s.pause(t, time.Until(written.Add(time.Second)))
			check(t, s.redis.Drain(s.ctx, w.Key().Name))
		}
	}
	s.pause(t, time.Until(at[jumpRounds-1].Add(twoSyncs)))
	for i, w := range workloads {
		s.stays(t, w, at[i])
	}
	t.Logf("jumps took %v", samples)
	note := func(name string, q float64, bound measurement.Bound) {
		s.note(t, measurement.Measurement{
			Name: name, Value: milliseconds(quantile(samples, q)), Unit: "ms", Bound: bound, Note: fmt.Sprintf("%d rounds, 0 to %d replicas", jumpRounds, jumpReplicas),
		})
	}
	note("jump_p50", 0.5, measurement.AtMost(milliseconds(jumpMedian)))
	note("jump_p99", 0.99, measurement.Bound{})
	for _, w := range workloads {
		check(t, s.redis.Drain(s.ctx, w.Key().Name))
	}
}

// stays fails when the replicas change within two syncs of the HPA after a jump. A sync that was under way during the jump is none
// of them: the HPA writes its number over the jump, which is repeated at once.
// https://github.com/kubernetes/kubernetes/blob/v1.36.3/pkg/controller/podautoscaler/horizontal.go#L940
func (s *policySuite) stays(t *testing.T, w *workload.Workload, jumped time.Time) {
	t.Helper()
	changes := w.Since(jumped)[1:]
	if len(changes) >= 2 && changes[0].Replicas < jumpReplicas && changes[1].Replicas == jumpReplicas && changes[1].At.Before(jumped.Add(jumpMedian)) {
		t.Logf("%s: the HPA wrote %d over the jump, which was repeated %s later", w.Key(), changes[0].Replicas, changes[1].At.Sub(changes[0].At))
		changes = changes[2:]
	}
	for _, change := range changes {
		if after := change.At.Sub(jumped); after < twoSyncs {
			t.Errorf("%s: %d replicas %s after the jump: %v", w.Key(), change.Replicas, after, w.Since(jumped))
		}
	}
}

// jumpByBuiltin times what the built-in trigger and the HPA need for the same, with KEDA's defaults.
func (s *policySuite) jumpByBuiltin(t *testing.T) {
	const name = "by-builtin"
	w := s.workload(t, workload.Options{Namespace: s.namespace(t, name), Name: name, Triggers: []workload.Trigger{s.builtin(s.redis, name)}})
	written := time.Now()
	check(t, s.redis.Push(s.ctx, name, jumpMessages))
	s.took(t, "jump", "by builtin", s.reach(t, w, written, 5*time.Minute, jumpReplicas))
}
