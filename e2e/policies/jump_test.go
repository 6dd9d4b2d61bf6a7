package policies_test

import (
	"testing"
	"time"

	"github.com/backlog-scaler/backlog-scaler/api/v1alpha1"
)

// seen reconciles until the watch has brought a number of replicas.
func (w *world) seen(t *testing.T, name string, replicas int32) {
	t.Helper()
	w.reconcile(t, name, "the watch brings the replicas", func() bool {
		target, known := w.runner.target(w.key(name))
		return known && target.Replicas == replicas
	})
}

// TestJump: after KEDA's 0 to 1 the replicas rise at once to the number that is reported, which is held.
func TestJump(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.deployment(t, "billing", 0)
	w.scaledObject(t, "billing", 30)
	w.policy(t, "billing", viaKEDA(v1alpha1.JumpFromZero))
	w.runner.want(w.key("billing"), 40)
	w.seen(t, "billing", 0)
	w.settle(t, "billing")
	if got := w.replicas(t, "billing"); got != 0 {
		t.Fatalf("%d replicas before KEDA woke the workload", got)
	}
	w.scale(t, 1, "keda")
	w.reconcile(t, "billing", "a jump, not above the ScaledObject's largest number", func() bool { return w.replicas(t, "billing") == 30 })
	w.reconcile(t, "billing", "the number is held", func() bool {
		target, _ := w.runner.target(w.key("billing"))
		return target.Replicas == 30 && target.HeldUntil.After(target.LastScale.Add(30*time.Second))
	})
	if events := w.events(t, "billing"); events["Jumped"] != 1 {
		t.Errorf("events %v, want Jumped once", events)
	}
	// Never downward.
	w.runner.want(w.key("billing"), 2)
	w.settle(t, "billing")
	if got := w.replicas(t, "billing"); got != 30 {
		t.Errorf("%d replicas, want those of the jump", got)
	}
}

// TestSecondJumpIsHeld: after KEDA wrote 0 the API server names no writer of the replicas any more. The next jump is held even so,
// also by a replica of the scaler that did not make it.
func TestSecondJumpIsHeld(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.deployment(t, "billing", 0)
	w.scaledObject(t, "billing", 100)
	w.policy(t, "billing", viaKEDA(v1alpha1.JumpFromZero))
	key := w.key("billing")
	w.runner.want(key, 40)
	for range 2 {
		w.seen(t, "billing", 0)
		w.scale(t, 1, "keda")
		w.reconcile(t, "billing", "a jump", func() bool { return w.replicas(t, "billing") == 40 })
		w.reconcile(t, "billing", "the number is held", func() bool {
			target, _ := w.runner.target(key)
			return target.Replicas == 40 && target.HeldUntil.After(target.LastScale.Add(30*time.Second))
		})
		w.clock.advance(time.Minute)
		w.scale(t, 0, "keda")
	}
	w.seen(t, "billing", 0)
	w.scale(t, 1, "keda")
	w.reconcile(t, "billing", "a third jump", func() bool { return w.replicas(t, "billing") == 40 })
	other := w.another(t)
	other.reconcile(t, "billing", "the number is held by another replica", func() bool {
		target, _ := other.runner.target(key)
		return target.Replicas == 40 && !target.HeldUntil.IsZero()
	})
}

// TestJumpIsGivenUp: KEDA writes its 1 over the jump again and again.
func TestJumpIsGivenUp(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.deployment(t, "billing", 0)
	w.scaledObject(t, "billing", 100)
	w.policy(t, "billing", viaKEDA(v1alpha1.JumpFromZero))
	w.runner.want(w.key("billing"), 40)
	w.seen(t, "billing", 0)
	w.scale(t, 1, "keda")
	for range 4 {
		w.reconcile(t, "billing", "a jump", func() bool { return w.replicas(t, "billing") == 40 })
		w.seen(t, "billing", 40)
		w.scale(t, 1, "keda")
	}
	w.reconcile(t, "billing", "the event", func() bool { return w.events(t, "billing")["JumpGivenUp"] == 1 })
	w.settle(t, "billing")
	if got := w.replicas(t, "billing"); got != 1 {
		t.Errorf("%d replicas after it was given up", got)
	}
}

// TestNoJump: each of these keeps replicas from being raised.
func TestNoJump(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for name, test := range map[string]struct {
		annotations []string
		change      func(*v1alpha1.AutoscalerPolicySpec)
		without     bool
	}{
		"paused":       {annotations: []string{"autoscaling.keda.sh/paused"}, change: viaKEDA(v1alpha1.JumpAlways)},
		"paused-out":   {annotations: []string{"autoscaling.keda.sh/paused-scale-out"}, change: viaKEDA(v1alpha1.JumpAlways)},
		"never":        {change: viaKEDA(v1alpha1.JumpNever)},
		"no-zero-seen": {change: viaKEDA(v1alpha1.JumpFromZero)},
		"no-trigger":   {change: viaKEDA(v1alpha1.JumpAlways), without: true},
		"observe": {change: func(s *v1alpha1.AutoscalerPolicySpec) {
			viaKEDA(v1alpha1.JumpAlways)(s)
			s.Mode = v1alpha1.Observe
		}},
	} {
		w.deployment(t, name, 1)
		if !test.without {
			w.scaledObject(t, name, 100, test.annotations...)
		}
		w.policy(t, name, test.change)
		w.runner.want(w.key(name), 40)
		w.seen(t, name, 1)
		want := "True/Accepted"
		if test.without {
			want = "False/NoTrigger"
		}
		w.reconcile(t, name, want, func() bool { return w.reason(t, name, v1alpha1.ConditionReady) == want })
		w.settle(t, name)
		if got := w.replicas(t, name); got != 1 {
			t.Errorf("%s: %d replicas", name, got)
		}
	}
}
