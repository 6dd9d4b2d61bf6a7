package policy_test

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"github.com/backlog-scaler/backlog-scaler/internal/policy"
	"github.com/backlog-scaler/backlog-scaler/internal/schedule"
)

var errDown = errors.New("connection refused")

// A world is a policy with what is known at one moment.
type world struct {
	spec policy.Spec
	in   policy.Input
}

// worlds are valid, and nothing in them is sensible.
func worlds() *rapid.Generator[world] {
	return rapid.Custom(func(t *rapid.T) world {
		w := world{spec: specs().Draw(t, "spec")}
		w.in = policy.Input{Signals: observations(w.spec.Signals).Draw(t, "signals"), Target: targets().Draw(t, "target")}
		w.in.State = states(w.spec).Draw(t, "state")
		return w
	})
}

func specs() *rapid.Generator[policy.Spec] {
	return rapid.Custom(func(t *rapid.T) policy.Spec {
		s := policy.Spec{MinReplicas: rapid.Int32Range(0, 5).Draw(t, "min")}
		s.MaxReplicas = rapid.Int32Range(max(1, s.MinReplicas), 60).Draw(t, "max")
		for _, name := range []string{"a", "b", "c"}[:rapid.IntRange(1, 3).Draw(t, "signals")] {
			s.Signals = append(s.Signals, policy.Signal{
				Name: name, Target: rapid.Float64Range(0.5, 50).Draw(t, "target"), MaxStaleness: time.Minute,
				WhenUnknown: policy.WhenUnknown(rapid.IntRange(0, 2).Draw(t, "when unknown")), Value: rapid.Float64Range(0, 500).Draw(t, "value"),
			})
		}
		s.Formula = rapid.SampledFrom([]string{"", "", "need.a + 1", "max(need.a * 2, a / 3)", "need.a + current / 2", "a > 100 ? need.a * 2 : need.a"}).Draw(t, "formula")
		s.Schedules = someWindows().Draw(t, "windows")
		for _, l := range []policy.Limiter{
			{Name: "one", When: "a > 300", Until: "a < 200"},
			{Name: "two", When: "a > 100", Action: policy.Lower, Ceiling: "current * 0.8"},
			{Name: "three", When: "current / a > 1"},
		} {
			if rapid.IntRange(0, 3).Draw(t, l.Name) == 0 {
				s.Limiters = append(s.Limiters, l)
			}
		}
		if rapid.Bool().Draw(t, "with up") {
			s.Up = stepsUp().Draw(t, "up")
		}
		if rapid.Bool().Draw(t, "with down") {
			s.Down = &policy.StepDown{
				Pods: rapid.Int32Range(0, 4).Draw(t, "pods"), Percent: rapid.Int32Range(0, 60).Draw(t, "percent"),
				Period: seconds(t, "period", 0, 60), Hold: seconds(t, "hold", 0, 300),
			}
		}
		if rapid.Bool().Draw(t, "with busy") {
			s.Busy = &policy.BusyPods{Keep: policy.Keep(rapid.IntRange(0, 1).Draw(t, "keep")), GiveUpAfter: seconds(t, "give up", 0, 300)}
		}
		return s
	})
}

func seconds(t *rapid.T, name string, least, most int64) time.Duration {
	return time.Duration(rapid.Int64Range(least, most).Draw(t, name)) * time.Second
}

func stepsUp() *rapid.Generator[*policy.StepUp] {
	return rapid.Custom(func(t *rapid.T) *policy.StepUp {
		return &policy.StepUp{
			First: rapid.Int32Range(0, 3).Draw(t, "first"),
			Pods:  rapid.Int32Range(1, 5).Draw(t, "pods"), Percent: rapid.Int32Range(0, 200).Draw(t, "percent"), Period: seconds(t, "period", 0, 60),
			ReadyPercent: rapid.Int32Range(0, 100).Draw(t, "ready"), StuckAfter: seconds(t, "stuck", 0, 600),
		}
	})
}

// someWindows are open, close soon, or open soon.
func someWindows() *rapid.Generator[[]schedule.Spec] {
	return rapid.Custom(func(t *rapid.T) []schedule.Spec {
		var all []schedule.Spec
		for i := range rapid.IntRange(0, 3).Draw(t, "windows") {
			w := schedule.Spec{
				Name: fmt.Sprintf("w%d", i), TimeZone: "Europe/Berlin", Start: rapid.SampledFrom([]string{"0 13 * * *", "0 7 * * *", "5 13 * * *"}).Draw(t, "start"),
				Duration: 6 * time.Hour, Priority: rapid.Int32Range(0, 1).Draw(t, "priority"),
			}
			if rapid.Bool().Draw(t, "with a floor") {
				w.Floor, w.Ramp = new(rapid.Int32Range(0, 40).Draw(t, "floor")), seconds(t, "ramp", 0, 3600)
			} else {
				w.Ceiling = new(rapid.Int32Range(0, 40).Draw(t, "ceiling"))
			}
			all = append(all, w)
		}
		return all
	})
}

func observations(signals []policy.Signal) *rapid.Generator[map[string]policy.Observation] {
	return rapid.Custom(func(t *rapid.T) map[string]policy.Observation {
		all := make(map[string]policy.Observation)
		for _, s := range signals {
			seen := policy.Observation{Value: rapid.Float64Range(0, 1000).Draw(t, s.Name), At: start}
			switch rapid.IntRange(0, 9).Draw(t, "state of "+s.Name) {
			case 0:
				seen.Err, seen.At = errDown, start.Add(-seconds(t, "age", 1, 120))
			case 1:
				seen = policy.Observation{Err: errDown}
			}
			all[s.Name] = seen
		}
		return all
	})
}

func targets() *rapid.Generator[policy.Target] {
	return rapid.Custom(func(t *rapid.T) policy.Target {
		target := policy.Target{Replicas: rapid.Int32Range(0, 80).Draw(t, "replicas"), Pods: somePods().Draw(t, "pods")}
		target.Available = rapid.Int32Range(0, target.Replicas).Draw(t, "available")
		if rapid.Bool().Draw(t, "changed") {
			target.LastScale = start.Add(-seconds(t, "last change", 0, 120))
		}
		return target
	})
}

func states(spec policy.Spec) *rapid.Generator[policy.State] {
	return rapid.Custom(func(t *rapid.T) policy.State {
		var s policy.State
		if !rapid.Bool().Draw(t, "with state") {
			return s
		}
		s.At, s.Replicas = start.Add(-seconds(t, "at", 1, 400)), rapid.Int32Range(0, 80).Draw(t, "replicas")
		wanted := spec.MaxReplicas
		for age := int64(300); age > 1 && wanted > 0 && rapid.IntRange(0, 2).Draw(t, "more") > 0; {
			age, wanted = rapid.Int64Range(1, age).Draw(t, "age"), rapid.Int32Range(0, wanted-1).Draw(t, "wanted")
			s.Held = append(s.Held, policy.Wanted{At: start.Add(-time.Duration(age) * time.Second), Replicas: wanted})
		}
		for _, l := range spec.Limiters {
			if rapid.Bool().Draw(t, l.Name+" is active") {
				if s.Limiters == nil {
					s.Limiters = make(map[string]policy.ActiveLimiter)
				}
				s.Limiters[l.Name] = policy.ActiveLimiter{Since: s.At, Ceiling: rapid.Int32Range(0, 80).Draw(t, "ceiling")}
			}
		}
		if rapid.Bool().Draw(t, "in a step") {
			s.Step = policy.LastStep{From: rapid.Int32Range(0, 40).Draw(t, "from"), To: rapid.Int32Range(0, 80).Draw(t, "to"), At: s.At}
		}
		if rapid.Bool().Draw(t, "waits") {
			s.Waiting, s.Sparing = start.Add(-seconds(t, "waiting", 0, 700)), start.Add(-seconds(t, "sparing", 0, 400))
		}
		return s
	})
}

// decide decides on a world; ok is false if a signal holds, or the formula has no result.
func decide(t *rapid.T, w world) (d policy.Decision, ok bool) {
	p, err := policy.New(w.spec)
	if err != nil {
		t.Fatal(err)
	}
	d, err = p.Decide(w.in, start)
	if err != nil && !errors.Is(err, policy.ErrUnknown) && !errors.Is(err, policy.ErrFormula) {
		t.Fatalf("error %v is neither ErrUnknown nor ErrFormula", err)
	}
	return d, err == nil
}

// bounded is properties 1, 2 and 12.
func bounded(t *rapid.T) {
	w := worlds().Draw(t, "world")
	d, ok := decide(t, w)
	if held(&w) == ok {
		t.Fatalf("a decision: %t, though a signal that is used holds: %t", ok, held(&w))
	}
	if !ok {
		return
	}
	current := w.in.Target.Replicas
	if d.Replicas > w.spec.MaxReplicas || d.Replicas < w.spec.MinReplicas {
		t.Fatalf("%s is not within %d and %d", text(d), w.spec.MinReplicas, w.spec.MaxReplicas)
	}
	if least := min(d.Floor, d.Ceiling, current, w.spec.MaxReplicas); d.Replicas < least {
		t.Fatalf("%s is less than %d", text(d), least)
	}
	if most := max(d.Ceiling, current); d.Replicas > most {
		t.Fatalf("%s is more than %d", text(d), most)
	}
	if !d.Until.IsZero() && !d.Until.After(start) {
		t.Fatalf("may change at %s, which is not in the future", d.Until)
	}
	ending := w.spec.Down != nil && current > 1
	if d.Replicas > 0 && !d.Active || d.Active && d.Replicas == 0 && w.spec.Busy == nil && !ending {
		t.Fatalf("%s, active %t", text(d), d.Active)
	}
	if down := w.spec.Down; !d.Active && down != nil && current <= w.spec.MaxReplicas {
		if step := max(down.Pods, current*down.Percent/100, 1); down.Pods+down.Percent > 0 && current > step {
			t.Fatalf("inactive at %d, and a step is %d", current, step)
		}
	}
	connected(t, &d)
}

// held reports whether a signal that the policy uses is unknown and holds, by rules that are
// simpler than those of the policy.
func held(w *world) bool {
	for _, s := range w.spec.Signals {
		seen := w.in.Signals[s.Name]
		used := s.Name == "a" && (w.spec.Formula != "" || len(w.spec.Limiters) > 0) || w.spec.Formula == ""
		unknown := seen.At.IsZero() || seen.Err != nil && start.Sub(seen.At) >= s.MaxStaleness
		if used && unknown && s.WhenUnknown == policy.Hold {
			return true
		}
	}
	return false
}

// connected checks that each step starts where the one before it ended, and has a documented
// reason.
func connected(t *rapid.T, d *policy.Decision) {
	documented := make(map[policy.Reason]bool)
	for _, reason := range policy.Reasons() {
		documented[reason.Reason] = true
	}
	number := int32(0)
	for _, step := range d.Steps {
		if step.Before != number || !documented[step.Reason] {
			t.Fatalf("step %+v after %d: %s", step, number, text(*d))
		}
		number = step.After
	}
	if number != d.Replicas {
		t.Fatalf("the steps end at %d: %s", number, text(*d))
	}
}

func TestBounded(t *testing.T) {
	t.Parallel()
	rapid.Check(t, bounded)
}

// FuzzDecide lets the fuzzer look for worlds. It starts with bytes that are long enough for one.
func FuzzDecide(f *testing.F) {
	for seed := range byte(20) {
		random := rand.NewChaCha8([32]byte{seed})
		world := make([]byte, 4096)
		_, _ = random.Read(world)
		f.Add(world)
	}
	f.Fuzz(rapid.MakeFuzz(bounded))
}

// TestMonotone is property 3: more of a signal, a higher floor or a higher ceiling never give
// fewer replicas. Limiters are left out: their conditions need not be monotone.
func TestMonotone(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		w := worlds().Draw(t, "world")
		w.spec.Limiters, w.in.State.Limiters = nil, nil
		before, ok := decide(t, w)
		if !ok {
			return
		}
		more := w
		switch which := rapid.SampledFrom([]string{"signal", "floor", "ceiling"}).Draw(t, "which"); which {
		case "signal":
			more.in.Signals = make(map[string]policy.Observation)
			for name, seen := range w.in.Signals {
				seen.Value += rapid.Float64Range(0, 100).Draw(t, "more of "+name)
				more.in.Signals[name] = seen
			}
		default:
			more.spec.Schedules = nil
			for _, window := range w.spec.Schedules {
				raised := rapid.Int32Range(0, 10).Draw(t, "raised")
				if window.Floor != nil && which == "floor" {
					window.Floor = new(*window.Floor + raised)
				}
				if window.Ceiling != nil && which == "ceiling" {
					window.Ceiling = new(*window.Ceiling + raised)
				}
				more.spec.Schedules = append(more.spec.Schedules, window)
			}
		}
		if after, _ := decide(t, more); after.Replicas < before.Replicas {
			t.Fatalf("%s became %s", text(before), text(after))
		}
	})
}

// TestOrderDoesNotMatter is property 4.
func TestOrderDoesNotMatter(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		w := worlds().Draw(t, "world")
		other := w
		other.spec.Signals = rapid.Permutation(w.spec.Signals).Draw(t, "signals")
		if len(w.spec.Schedules) > 0 {
			other.spec.Schedules = rapid.Permutation(w.spec.Schedules).Draw(t, "windows")
		}
		if len(w.spec.Limiters) > 0 {
			other.spec.Limiters = rapid.Permutation(w.spec.Limiters).Draw(t, "limiters")
		}
		a, okA := decide(t, w)
		b, okB := decide(t, other)
		if okA != okB || a.Replicas != b.Replicas || a.Active != b.Active || a.Wanted != b.Wanted || a.Floor != b.Floor ||
			a.Ceiling != b.Ceiling || a.Why() != b.Why() || !a.Until.Equal(b.Until) {
			t.Fatalf("%s, and in another order %s", text(a), text(b))
		}
		if diff := cmp.Diff(a.State, b.State, cmpopts.IgnoreFields(policy.State{}, "Windows")); diff != "" {
			t.Fatalf("state (-one +other):\n%s", diff)
		}
	})
}

// TestNothingChangesBefore: until the moment that a decision names, the same input gives the
// same number.
func TestNothingChangesBefore(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		w := worlds().Draw(t, "world")
		d, ok := decide(t, w)
		if !ok {
			return
		}
		p, err := policy.New(w.spec)
		if err != nil {
			t.Fatal(err)
		}
		ahead := int64(time.Hour)
		if !d.Until.IsZero() {
			ahead = min(ahead, int64(d.Until.Sub(start)-1))
		}
		if down := w.spec.Down; down != nil && down.Hold > 0 {
			// After a longer time without a decision replicas do not fall.
			ahead = min(ahead, int64(down.Hold))
		}
		w.in.State = d.State
		now := start.Add(time.Duration(rapid.Int64Range(0, ahead).Draw(t, "later")))
		later, err := p.Decide(w.in, now)
		if err != nil || later.Replicas != d.Replicas || later.Active != d.Active {
			t.Fatalf("%s became %s after %s, before %s: %v", text(d), text(later), now.Sub(start), d.Until.Sub(start), err)
		}
	})
}

// TestValuesOfAnySize never give a number that is out of bounds.
func TestValuesOfAnySize(t *testing.T) {
	t.Parallel()
	p := compiled(t, policy.Spec{MaxReplicas: math.MaxInt32, Signals: []policy.Signal{backlog()}, Up: &policy.StepUp{Pods: math.MaxInt32, Percent: math.MaxInt32}})
	for _, value := range []float64{math.MaxFloat64, -math.MaxFloat64, math.SmallestNonzeroFloat64, 0, 1e300} {
		for _, current := range []int32{0, 1, math.MaxInt32} {
			d, err := p.Decide(policy.Input{Signals: signals("backlog", value), Target: steady(current)}, start)
			if err != nil || d.Replicas < 0 {
				t.Errorf("value %v at %d: %s, %v", value, current, text(d), err)
			}
		}
	}
}
