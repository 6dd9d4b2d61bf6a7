package hpa

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func TestActivation(t *testing.T) {
	t.Parallel()
	two := int32(2)
	object := ScaledObject{Max: DefaultMax, Cooldown: DefaultCooldown, Created: epoch}
	withMin := object
	withMin.Min = 3
	withIdle := withMin
	withIdle.Idle = &two
	slow := object
	slow.InitialCooldown = time.Minute

	// A sample is a poll, or a push if push is set.
	type look struct {
		after          time.Duration // since the test began
		current        int32
		active, failed bool
		push           bool
		want           Step
	}
	for _, tc := range []struct {
		name   string
		object ScaledObject
		looks  []look
	}{
		{"up by a push, down by polls", object, []look{
			{after: 0, want: Step{}},
			{after: time.Second, push: true, active: true, want: Step{1, Activated}},
			{after: 2 * time.Second, current: 1, push: true, want: Step{1, Ignored}},
			{after: 30 * time.Second, current: 7, active: true, want: Step{7, Nothing}},
			{after: time.Minute, current: 7, want: Step{7, CoolingDown}},
			{after: 330 * time.Second, current: 7, want: Step{7, CoolingDown}},
			{after: 331 * time.Second, current: 7, want: Step{0, Deactivated}},
		}},
		{"a push starts the cooldown again", object, []look{
			{after: 0, active: true, want: Step{1, Activated}},
			{after: 200 * time.Second, current: 1, push: true, active: true, want: Step{1, Nothing}},
			{after: 400 * time.Second, current: 1, want: Step{1, CoolingDown}},
			{after: 501 * time.Second, current: 1, want: Step{0, Deactivated}},
		}},
		{"the time of activity has whole seconds", object, []look{
			{after: 900 * time.Millisecond, active: true, want: Step{1, Activated}},
			{after: 300*time.Second + time.Millisecond, current: 1, want: Step{0, Deactivated}},
		}},
		{"a failure holds what is there", object, []look{
			{after: 0, active: true, want: Step{1, Activated}},
			{after: time.Hour, current: 5, failed: true, want: Step{5, Held}},
			{after: time.Hour, failed: true, want: Step{0, Held}},
			{after: time.Hour, current: 5, want: Step{0, Deactivated}},
		}},
		{"a failure next to an active trigger uses the cooldown up", object, []look{
			{after: 0, active: true, want: Step{1, Activated}},
			{after: 299 * time.Second, current: 5, active: true, failed: true, want: Step{5, Nothing}},
			{after: 301 * time.Second, current: 5, want: Step{0, Deactivated}},
		}},
		{"a failure next to an active trigger activates", object, []look{
			{after: 0, active: true, failed: true, want: Step{1, Activated}},
		}},
		{"never active", object, []look{
			{after: time.Second, current: 4, want: Step{0, Deactivated}},
		}},
		{"never active, with a first cooldown", slow, []look{
			{after: time.Minute, current: 4, want: Step{4, CoolingDown}},
			{after: time.Minute + time.Second, current: 4, want: Step{0, Deactivated}},
		}},
		{"with a minimum", withMin, []look{
			{after: 0, want: Step{3, Raised}},
			{after: 0, active: true, want: Step{3, Activated}},
			{after: time.Second, current: 2, active: true, want: Step{2, Nothing}},
			{after: time.Hour, current: 3, want: Step{3, Nothing}},
		}},
		{"with idle replicas", withIdle, []look{
			{after: 0, current: 2, want: Step{2, Nothing}},
			{after: 0, current: 2, active: true, want: Step{3, Activated}},
			{after: time.Minute, current: 9, want: Step{9, CoolingDown}},
			{after: time.Hour, current: 9, want: Step{2, Deactivated}},
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			a := NewActivation(tc.object)
			for i, l := range tc.looks {
				now := epoch.Add(l.after)
				var got Step
				if l.push {
					got = a.Push(now, l.current, l.active)
				} else {
					got = a.Poll(now, l.current, l.active, l.failed)
				}
				if diff := cmp.Diff(l.want, got); diff != "" {
					t.Errorf("look %d (-want +got):\n%s", i, diff)
				}
			}
		})
	}
}

func TestSpecOfScaledObject(t *testing.T) {
	t.Parallel()
	if got := (ScaledObject{Max: 7}).Spec(); got.Min != 1 || got.Max != 7 {
		t.Errorf("Spec = %+v, want 1 to 7", got)
	}
	if got := (ScaledObject{Min: 3, Max: 7}).Spec(); got.Min != 3 {
		t.Errorf("Spec = %+v, want 3 to 7", got)
	}
}

// TestActivationProperties: only inactivity without a failure, for as long as the
// cooldown, takes a workload to zero, and activity never leaves it there.
func TestActivationProperties(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		cooldown := time.Duration(rapid.IntRange(0, 100).Draw(t, "cooldown")) * time.Second
		a := NewActivation(ScaledObject{Max: DefaultMax, Cooldown: cooldown, Created: epoch})
		now, current := epoch, int32(0)
		lastActive := epoch.Add(-time.Hour)
		for range rapid.IntRange(1, 100).Draw(t, "looks") {
			now = now.Add(time.Duration(rapid.IntRange(1, 60_000).Draw(t, "milliseconds")) * time.Millisecond)
			active, failed := rapid.Bool().Draw(t, "active"), rapid.Bool().Draw(t, "failed")
			push := rapid.Bool().Draw(t, "push")
			var step Step
			if push {
				step = a.Push(now, current, active)
			} else {
				step = a.Poll(now, current, active, failed)
			}
			if active && step.Replicas == 0 {
				t.Fatalf("%+v though active", step)
			}
			if step.Replicas < current && (push || failed || active || now.Sub(lastActive) < cooldown) {
				t.Fatalf("%+v from %d, last active %v ago", step, current, now.Sub(lastActive))
			}
			if active && (push || !failed || current == 0) {
				lastActive = now.Truncate(time.Second)
			}
			current = step.Replicas
		}
	})
}
