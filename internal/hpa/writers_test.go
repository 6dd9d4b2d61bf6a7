package hpa

import (
	"encoding/json"
	"os"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// A sequence is what other clients write to a workload between the syncs of the real HorizontalPodAutoscaler, and what that made
// of it. The workload begins with one replica and the value 1, at target 1.
type sequence struct {
	Name, Behavior string
	Max, Pods      int32
	Syncs          []struct{ Write, Value, Want int32 }
}

// TestOtherWriters holds the model to what the real HorizontalPodAutoscaler did with the writes of other clients. The
// end-to-end tests hold the file to it.
func TestOtherWriters(t *testing.T) {
	t.Parallel()
	contents, err := os.ReadFile("testdata/writers.json")
	if err != nil {
		t.Fatal(err)
	}
	var file struct{ Sequences []sequence }
	if err := json.Unmarshal(contents, &file); err != nil {
		t.Fatal(err)
	}
	if least := 10; len(file.Sequences) < least {
		t.Errorf("there are %d sequences, want at least %d", len(file.Sequences), least)
	}
	behaviors := readRecording(t).Behaviors
	for _, q := range file.Sequences {
		t.Run(q.Name, func(t *testing.T) {
			t.Parallel()
			limit := q.Max
			if limit == 0 {
				limit = DefaultMax
			}
			spec, known := recorded{Max: limit, Behavior: q.Behavior}.spec(behaviors)
			if !known {
				t.Fatalf("unknown behavior %q", q.Behavior)
			}
			autoscaler, replicas, now := New(spec), int32(1), epoch
			sync := func(value int32) {
				scale := Steady(replicas)
				if q.Pods > 0 {
					scale.Status = min(scale.Status, q.Pods)
				}
				replicas = autoscaler.Sync(now, scale, []Metric{backlog(float64(value), 1)}).Replicas
				now = now.Add(SyncPeriod)
			}
			sync(1)
			for i, s := range q.Syncs {
				if s.Write > 0 {
					replicas = s.Write
				}
				sync(s.Value)
				if replicas != s.Want {
					t.Fatalf("%d replicas after sync %d, want %d", replicas, i+1, s.Want)
				}
			}
		})
	}
}

// A race is a workload at zero with the three clients that write its replicas: KEDA, the HorizontalPodAutoscaler, and a client
// that raises them to the reported number as soon as it sees the first replica.
type race struct {
	keda       *Activation
	autoscaler *Autoscaler
	replicas   int32
}

func newRace(b *Behavior) *race {
	object := ScaledObject{Max: DefaultMax, Cooldown: time.Second, Created: epoch, Behavior: b}
	return &race{keda: NewActivation(object), autoscaler: New(object.Spec())}
}

// exact is the behavior that follows every reported number at the next sync.
func exact() *Behavior {
	return &Behavior{
		Up:   Rules{Policies: []Policy{{Percent: 900, Period: SyncPeriod}}},
		Down: Rules{Policies: []Policy{{Percent: 100, Period: SyncPeriod}}},
	}
}

// TestJumpHeld: a jump whose number is reported for two syncs is changed by none of them, whatever their phase, however many
// of the pods there are by then, and though the work is gone a second later. KEDA writes its 1 over the jump, because it looks
// at an older number, before the jump is repeated. Without the hold the first sync takes the replicas back.
func TestJumpHeld(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		wanted := rapid.Int32Range(2, DefaultMax).Draw(t, "wanted")
		phase := time.Duration(rapid.Int64Range(1, int64(SyncPeriod)).Draw(t, "phase"))
		held := rapid.Bool().Draw(t, "held")
		r := newRace(exact())
		for range rapid.IntRange(0, 3).Draw(t, "overwritten") {
			// What KEDA's cache shows is from before the jump.
			r.replicas = wanted
			r.replicas = r.keda.Push(epoch, 0, true).Replicas
			if r.replicas != 1 {
				t.Fatalf("KEDA writes %d over a jump that it does not see, want 1", r.replicas)
			}
		}
		r.replicas = wanted
		for sync := range 2 {
			reported, pods := wanted, rapid.Int32Range(1, wanted).Draw(t, "pods")
			if !held {
				reported = 0
			}
			got := r.autoscaler.Sync(epoch.Add(phase+time.Duration(sync)*SyncPeriod), Scale{Spec: r.replicas, Status: pods, Ready: pods}, []Metric{backlog(float64(reported), 1)})
			if held && got.Replicas != wanted {
				t.Fatalf("%+v at sync %d, want %d", got, sync+1, wanted)
			}
			if !held && sync == 0 && got.Replicas != 1 {
				t.Fatalf("%+v at the first sync without a hold, want 1", got)
			}
			r.replicas = got.Replicas
		}
	})
}
