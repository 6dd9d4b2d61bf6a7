package policy_test

import (
	"cmp"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/backlog-scaler/backlog-scaler/internal/hpa"
	"github.com/backlog-scaler/backlog-scaler/internal/policy"
	"github.com/backlog-scaler/backlog-scaler/internal/schedule"
)

// A loop is a workload with a policy, KEDA and a HorizontalPodAutoscaler, as docs recommend to
// set them up: no tolerance, no window, and rates that leave steps to the policy.
type loop struct {
	policy *policy.Policy
	state  policy.State
	keda   *hpa.Activation
	hpa    *hpa.Autoscaler
	now    time.Time
	target policy.Target
	// startup is how long a pod takes to be available, and young are the pods that are not.
	startup time.Duration
	young   []time.Time
	last    policy.Decision
}

func newLoop(p *policy.Policy, most int32, startup time.Duration) *loop {
	rates := hpa.Rules{Policies: []hpa.Policy{{Percent: 900, Period: 15 * time.Second}, {Pods: 100, Period: 15 * time.Second}}}
	behavior := &hpa.Behavior{Up: rates, Down: hpa.Rules{Policies: []hpa.Policy{{Percent: 100, Period: 15 * time.Second}}}}
	object := hpa.ScaledObject{Max: most, Cooldown: 15 * time.Second, Created: start, Behavior: behavior}
	return &loop{policy: p, keda: hpa.NewActivation(object), hpa: hpa.New(object.Spec()), now: start, startup: startup}
}

// decide makes a decision as a replica of the scaler does for each call.
func (l *loop) decide(t *rapid.T, signals map[string]policy.Observation) policy.Decision {
	l.target.Available = l.target.Replicas - int32(len(l.young))
	d, err := l.policy.Decide(policy.Input{Signals: signals, Target: l.target, State: l.state}, l.now)
	if err != nil {
		t.Fatal(err)
	}
	l.state, l.last = d.State, d
	return d
}

// sync is 15 s of the HorizontalPodAutoscaler, and a poll of KEDA.
func (l *loop) sync(t *rapid.T, signals map[string]policy.Observation) {
	d := l.decide(t, signals)
	replicas := l.keda.Poll(l.now, l.target.Replicas, d.Active, false).Replicas
	if replicas == l.target.Replicas {
		metric := hpa.Metric{Name: "policy", Value: hpa.Thousandths(float64(d.Replicas)), Target: hpa.Thousandths(1)}
		replicas = l.hpa.Sync(l.now, hpa.Steady(replicas), []hpa.Metric{metric}).Replicas
	}
	for range replicas - l.target.Replicas {
		l.young = append(l.young, l.now)
	}
	l.target.Replicas = replicas
	l.now = l.now.Add(hpa.SyncPeriod)
	for len(l.young) > 0 && (l.now.Sub(l.young[0]) >= l.startup || len(l.young) > int(replicas)) {
		l.young = l.young[1:]
	}
}

// TestConstantWishIsReached is property 7 in a closed loop: no rise while too few replicas are
// available, no second step within a period, and a constant wish is reached and never left.
func TestConstantWishIsReached(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		spec := policy.Spec{
			MaxReplicas: 60, Signals: []policy.Signal{backlog()}, Up: stepsUp().Draw(t, "up"),
			Down: &policy.StepDown{Pods: rapid.Int32Range(1, 5).Draw(t, "pods"), Period: seconds(t, "period", 0, 60), Hold: seconds(t, "hold", 0, 300)},
		}
		if rapid.Bool().Draw(t, "at once") {
			spec.Up = nil
		}
		p, err := policy.New(spec)
		if err != nil {
			t.Fatal(err)
		}
		l := newLoop(p, spec.MaxReplicas, seconds(t, "startup", 0, 90))
		l.target.Replicas = rapid.Int32Range(0, 60).Draw(t, "replicas")
		wish := rapid.Int32Range(0, 60).Draw(t, "wish")
		signals := signals("backlog", float64(20*wish))
		var lastChange time.Time
		reached := 0
		for i := range 1000 {
			before, available, at := l.target.Replicas, l.target.Replicas-int32(len(l.young)), l.now
			l.sync(t, signals)
			after := l.target.Replicas
			l.rises(t, spec.Up, before, available, after, at, lastChange)
			if down := spec.Down; after < before && after > 0 && (before-after > down.Pods || !lastChange.IsZero() && at.Sub(lastChange) < down.Period) {
				t.Fatalf("%d became %d, %s after the last change: %s", before, after, at.Sub(lastChange), text(l.last))
			}
			if after != before {
				lastChange = at
			}
			if reached > 0 && after != wish {
				t.Fatalf("%d was reached at sync %d and left for %d at %d: %s", wish, reached, after, i, text(l.last))
			}
			if reached == 0 && after == wish && before == wish && len(l.young) == 0 {
				reached = i
			}
		}
		if reached == 0 {
			t.Fatalf("%d was not reached in 1000 syncs, but %d: %s", wish, l.target.Replicas, text(l.last))
		}
	})
}

// rises checks a growth from before to after. The first step may take two changes, because KEDA
// begins it with one replica.
func (l *loop) rises(t *rapid.T, up *policy.StepUp, before, available, after int32, at, lastChange time.Time) {
	if up == nil || after <= before || before == 0 || after <= cmp.Or(up.First, up.Pods) {
		return
	}
	size := max(up.Pods, (before*up.Percent+99)/100)
	if after-before > size {
		t.Fatalf("%d became %d, and a step is %d: %s", before, after, size, text(l.last))
	}
	if available*100 < up.ReadyPercent*before {
		t.Fatalf("%d became %d with %d available: %s", before, after, available, text(l.last))
	}
	if !lastChange.IsZero() && at.Sub(lastChange) < up.Period {
		t.Fatalf("%d became %d, %s after the last change: %s", before, after, at.Sub(lastChange), text(l.last))
	}
}

// TestReplayEndsInTheSameState is property 5: a scaler that decides each sync for a week, and
// one that was down for the week, end at the same number.
func TestReplayEndsInTheSameState(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		spec := policy.Spec{
			MaxReplicas: 60, MinReplicas: rapid.Int32Range(0, 3).Draw(t, "min"), Signals: []policy.Signal{backlog()},
			Schedules: []schedule.Spec{
				{Name: "office", TimeZone: "Europe/Berlin", Start: "0 7 * * 1-5", End: "0 20 * * 1-5", Floor: new(rapid.Int32Range(0, 40).Draw(t, "floor")), Ramp: seconds(t, "ramp", 0, 3600)},
				{Name: "night", TimeZone: "America/New_York", Start: "0 22 * * *", Duration: 8 * time.Hour, Ceiling: new(rapid.Int32Range(0, 40).Draw(t, "ceiling"))},
			},
			Up:   &policy.StepUp{Pods: 5, Period: 30 * time.Second},
			Down: &policy.StepDown{Pods: 5, Period: 30 * time.Second, Hold: seconds(t, "hold", 0, 300)},
		}
		p, err := policy.New(spec)
		if err != nil {
			t.Fatal(err)
		}
		signals := signals("backlog", rapid.Float64Range(0, 1000).Draw(t, "backlog"))
		up, down := newLoop(p, 60, 0), newLoop(p, 60, 0)
		end := start.AddDate(0, 0, 7).Add(seconds(t, "end", 0, 86_400))
		if p.Schedule().At(end).Until.Before(end.Add(20 * time.Minute)) {
			return // the bounds change again before replicas have followed
		}
		// The first decides each 15 min until shortly before the end, then each sync.
		for up.now.Before(end.Add(-time.Hour)) {
			up.sync(t, signals)
			up.now = up.now.Add(15 * time.Minute)
		}
		down.sync(t, signals)
		up.now, down.now = end, end
		for range 80 {
			up.sync(t, signals)
			down.sync(t, signals)
		}
		if up.target.Replicas != down.target.Replicas || up.last.Replicas != down.last.Replicas {
			t.Fatalf("%s with %d replicas, and after downtime %s with %d", text(up.last), up.target.Replicas, text(down.last), down.target.Replicas)
		}
	})
}

// TestTwoScalersAgree is property 8: two scalers whose caches are up to a second old differ by at
// most one step, and agree once both have seen the last change. Where a hold ends for one a second
// before it ends for the other, it is one step in each direction.
func TestTwoScalersAgree(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		spec := policy.Spec{
			MaxReplicas: 60, Signals: []policy.Signal{backlog()},
			Up:   &policy.StepUp{Pods: rapid.Int32Range(1, 5).Draw(t, "up"), Period: 15 * time.Second},
			Down: &policy.StepDown{Pods: rapid.Int32Range(1, 5).Draw(t, "down"), Period: 15 * time.Second, Hold: seconds(t, "hold", 0, 60)},
		}
		p, err := policy.New(spec)
		if err != nil {
			t.Fatal(err)
		}
		l := newLoop(p, 60, 0)
		var other policy.State
		for range rapid.IntRange(1, 40).Draw(t, "syncs") {
			seen := signals("backlog", float64(20*rapid.Int32Range(0, 60).Draw(t, "wish")))
			for range rapid.IntRange(1, 8).Draw(t, "repeated") {
				stale := l.target
				l.sync(t, seen)
				changed := l.now.Add(-hpa.SyncPeriod)
				// The other scaler sees the change a second late, and both decide meanwhile.
				own := l.decideAt(t, seen, changed.Add(time.Second), l.target, &l.state)
				late := l.decideAt(t, seen, changed.Add(time.Second), stale, &other)
				step := spec.Up.Pods + spec.Down.Pods
				if apart := own.Replicas - late.Replicas; (apart > step || -apart > step) && l.target.Replicas > 0 && stale.Replicas > 0 {
					t.Fatalf("%s with %d replicas, the other %s with %d", text(own), l.target.Replicas, text(late), stale.Replicas)
				}
				l.decideAt(t, seen, changed.Add(2*time.Second), l.target, &other)
			}
			// A sync without a change after the period: both agree.
			at := l.now.Add(time.Minute)
			own := l.decideAt(t, seen, at, l.target, &l.state)
			same := l.decideAt(t, seen, at, l.target, &other)
			if own.Replicas != same.Replicas || own.Active != same.Active {
				t.Fatalf("%s, the other %s", text(own), text(same))
			}
			l.now = at
		}
	})
}

// decideAt decides for a scaler with a state of its own.
func (l *loop) decideAt(t *rapid.T, signals map[string]policy.Observation, at time.Time, target policy.Target, state *policy.State) policy.Decision {
	target.Available = target.Replicas
	d, err := l.policy.Decide(policy.Input{Signals: signals, Target: target, State: *state}, at)
	if err != nil {
		t.Fatal(err)
	}
	*state = d.State
	return d
}

// TestNightToZeroInSteps: replicas fall in steps to zero, and the workload stays active until
// the last step, so that KEDA never deletes more than one.
func TestNightToZeroInSteps(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		step := rapid.Int32Range(1, 7).Draw(t, "step")
		spec := policy.Spec{
			MaxReplicas: 60, Signals: []policy.Signal{backlog()}, Down: &policy.StepDown{Pods: step, Period: 30 * time.Second},
			Schedules: []schedule.Spec{{Name: "night", From: start.Add(time.Minute), Until: start.Add(24 * time.Hour), Ceiling: new(int32(0))}},
		}
		p, err := policy.New(spec)
		if err != nil {
			t.Fatal(err)
		}
		l := newLoop(p, 60, 0)
		l.target.Replicas = rapid.Int32Range(1, 60).Draw(t, "replicas")
		for i := 0; l.target.Replicas > 0; i++ {
			before := l.target.Replicas
			l.sync(t, signals("backlog", 2000))
			if i > 400 || l.now.After(start.Add(2*time.Minute)) && before-l.target.Replicas > step {
				t.Fatalf("sync %d: %d became %d: %s", i, before, l.target.Replicas, text(l.last))
			}
		}
	})
}
