package hpa

import (
	"errors"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// drawBehavior draws no Behavior, or any.
func drawBehavior(t *rapid.T) *Behavior {
	if rapid.Bool().Draw(t, "without behavior") {
		return nil
	}
	rules := func(label string) Rules {
		r := Rules{
			Stabilization: time.Duration(rapid.IntRange(0, 600).Draw(t, label+" window")) * time.Second,
			Tolerance:     rapid.Float64Range(0, 0.5).Draw(t, label+" tolerance"),
			Select:        Select(rapid.IntRange(0, 2).Draw(t, label+" select")),
		}
		for range rapid.IntRange(1, 3).Draw(t, label+" policies") {
			p := Policy{Period: time.Duration(rapid.IntRange(1, 120).Draw(t, "period")) * time.Second}
			if rapid.Bool().Draw(t, "pods") {
				p.Pods = rapid.Int32Range(1, 50).Draw(t, "pods")
			} else {
				p.Percent = rapid.Int32Range(1, 200).Draw(t, "percent")
			}
			r.Policies = append(r.Policies, p)
		}
		return r
	}
	return &Behavior{Up: rules("up"), Down: rules("down")}
}

// TestSyncProperties walks a workload through any metrics.
func TestSyncProperties(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		spec := Spec{Min: rapid.Int32Range(1, 20).Draw(t, "min"), Behavior: drawBehavior(t)}
		spec.Max = rapid.Int32Range(spec.Min, 200).Draw(t, "max")
		a := New(spec)
		current := rapid.Int32Range(0, 250).Draw(t, "current")
		now := epoch
		for range rapid.IntRange(1, 40).Draw(t, "syncs") {
			now = now.Add(time.Duration(rapid.IntRange(1, 60).Draw(t, "seconds")) * time.Second)
			m := backlog(rapid.Float64Range(0, 2000).Draw(t, "value"), rapid.Float64Range(0.001, 50).Draw(t, "target"))
			missing := rapid.Bool().Draw(t, "missing")
			if missing {
				m.Err = errors.New("gone")
			}
			got := a.Sync(now, Steady(current), []Metric{m})
			switch {
			case current == 0:
				if got.Replicas != 0 {
					t.Fatalf("%+v from zero replicas", got)
				}
			case got.Replicas < spec.Min || got.Replicas > spec.Max:
				t.Fatalf("%+v is out of bounds %d to %d", got, spec.Min, spec.Max)
			case missing && current >= spec.Min && current <= spec.Max && got.Replicas != current:
				t.Fatalf("%+v from %d without a metric", got, current)
			case spec.Behavior == nil && current >= spec.Min && got.Replicas > max(2*current, 4):
				t.Fatalf("%+v from %d in one sync", got, current)
			}
			current = got.Replicas
		}
	})
}

// TestSyncMonotone compares two metrics in the same situation.
func TestSyncMonotone(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		spec := Spec{Min: 1, Max: 100, Behavior: drawBehavior(t)}
		current := rapid.Int32Range(1, 100).Draw(t, "current")
		target := rapid.Float64Range(0.01, 50).Draw(t, "target")
		lower := rapid.Float64Range(0, 2000).Draw(t, "lower")
		higher := lower + rapid.Float64Range(0, 2000).Draw(t, "more")
		low := New(spec).Sync(epoch, Steady(current), []Metric{backlog(lower, target)})
		high := New(spec).Sync(epoch, Steady(current), []Metric{backlog(higher, target)})
		if low.Replicas > high.Replicas {
			t.Fatalf("%v wants %+v, but %v wants %+v", lower, low, higher, high)
		}
	})
}

// TestSyncHoldsFiveMinutes: without a Behavior no replica goes within five minutes of
// the last time when it was wanted.
func TestSyncHoldsFiveMinutes(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		a := New(Spec{Min: 1, Max: 1000})
		current := rapid.Int32Range(1, 100).Draw(t, "current")
		wanted := map[time.Time]int32{epoch: current}
		for i := range rapid.IntRange(1, 60).Draw(t, "syncs") {
			now := epoch.Add(time.Duration(i) * SyncPeriod)
			got := a.Sync(now, Steady(current), []Metric{backlog(rapid.Float64Range(0, 100).Draw(t, "value"), 1)})
			for at, count := range wanted {
				if now.Sub(at) <= DownscaleStabilization && got.Replicas < min(count, current) {
					t.Fatalf("%+v at %v, though %d were wanted at %v", got, now, count, at)
				}
			}
			wanted[now], current = got.Wanted, got.Replicas
		}
	})
}

func BenchmarkSync(b *testing.B) {
	a := New(Spec{Min: 1, Max: 100, Behavior: &Behavior{Up: DefaultUp(), Down: DefaultDown()}})
	metrics := []Metric{backlog(1800, 120)}
	b.ReportAllocs()
	now := epoch
	for b.Loop() {
		now = now.Add(SyncPeriod)
		a.Sync(now, Steady(10), metrics)
	}
}
