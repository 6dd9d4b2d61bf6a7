package simulation_test

import (
	"math"
	"reflect"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog/engines"
	"github.com/backlog-scaler/backlog-scaler/internal/hpa"
	"github.com/backlog-scaler/backlog-scaler/internal/simulation"
	"github.com/backlog-scaler/backlog-scaler/internal/simulation/candidate"
	"github.com/backlog-scaler/backlog-scaler/internal/simulation/trace"
)

// pushed is the external-push trigger of the comparison.
const pushed = "testdata/comparison/external-push.yaml"

// bursts is a trace of two bursts.
func bursts() *trace.Trace {
	return &trace.Trace{
		Header: trace.Header{End: 10 * time.Minute, Quality: trace.Exact},
		Arrivals: []trace.Arrival{
			{At: 20 * time.Second, Over: 10 * time.Second, Count: 200}, {At: 5 * time.Minute, Over: time.Minute, Count: 300},
		},
	}
}

func workers() *simulation.Workers {
	return &simulation.Workers{
		Service: simulation.LogNormal(500*time.Millisecond, 2*time.Second), Startup: simulation.LogNormal(5*time.Second, 20*time.Second),
		Cold: simulation.Fixed(30 * time.Second), ColdShare: 0.2, Concurrency: 2, Grace: 30 * time.Second,
	}
}

// TestSameInputSameOutcome: candidates and seeds decide alone.
func TestSameInputSameOutcome(t *testing.T) {
	t.Parallel()
	compare := func() []simulation.Result {
		candidates := []simulation.Candidate{*readCandidate(t, pushed), *readCandidate(t, "testdata/comparison/policy that jumps.yaml")}
		return simulation.Compare(candidates, workers(), bursts(), 5, simulation.Options{Goal: time.Minute, MostAfter: time.Hour})
	}
	first, second := compare(), compare()
	for i := range first {
		if !reflect.DeepEqual(first[i].Outcomes, second[i].Outcomes) {
			t.Errorf("candidate %d differs from one run to the next", i)
		}
		if reflect.DeepEqual(first[i].Outcomes[0], first[i].Outcomes[1]) {
			t.Errorf("candidate %d does not differ from one seed to the next", i)
		}
	}
	if reflect.DeepEqual(first[0].Outcomes, first[1].Outcomes) {
		t.Error("the candidates do not differ")
	}
}

// TestShiftedTrace: a trace that begins later, with everything else as much later, has the same
// outcome.
func TestShiftedTrace(t *testing.T) {
	t.Parallel()
	const later = 10 * time.Second
	c := readCandidate(t, pushed)
	run := func(start time.Time, shift time.Duration) simulation.Outcome {
		load := bursts()
		load.Start, load.End = start, load.End+shift
		for i := range load.Arrivals {
			load.Arrivals[i].At += shift
		}
		phases := simulation.Phases{Poll: 7*time.Second + shift, Sync: 2*time.Second + shift}
		o := simulation.Run(c, workers(), simulation.NewLoad(load, workers(), 1), phases, simulation.Options{From: shift, Goal: time.Minute, MostAfter: time.Hour})
		o.Series = simulation.Series{}
		return o
	}
	day := time.Date(2026, time.March, 28, 23, 59, 50, 0, time.UTC)
	want := run(day, 0)
	if want.Messages != 500 || want.P95 == 0 {
		t.Fatalf("%+v", want)
	}
	for _, tc := range []struct {
		name  string
		start time.Time
		shift time.Duration
	}{{"another day", day.AddDate(0, 3, 1), 0}, {"later", day, later}} {
		if diff := cmp.Diff(want, run(tc.start, tc.shift), cmp.AllowUnexported(simulation.Outcome{})); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tc.name, diff)
		}
	}
}

// TestStoppedReplicas: a replica that is stopped finishes its message within the grace period. After
// it the message is queued again, and its whole work is done again.
func TestStoppedReplicas(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name        string
		work, grace time.Duration
		killed      bool
	}{
		{name: "it finishes", work: 50 * time.Second, grace: time.Minute},
		{name: "it is killed", work: 50 * time.Second, grace: time.Second, killed: true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			// KEDA's own trigger does not count what is in flight, so that it deletes busy pods.
			c := &simulation.Candidate{
				Name: "waiting alone", Polling: time.Second, Object: hpa.ScaledObject{Max: 4, Cooldown: 5 * time.Second},
				Triggers: []simulation.Trigger{{BuiltIn: &simulation.BuiltIn{Target: 1, Waiting: true}}},
			}
			w := &simulation.Workers{Service: simulation.Fixed(tc.work), Concurrency: 1, Grace: tc.grace}
			load := simulation.NewLoad(&trace.Trace{Header: trace.Header{End: 5 * time.Minute}, Arrivals: []trace.Arrival{{Count: 1}}}, w, 1)
			o := simulation.Run(c, w, load, simulation.Phases{Sync: time.Second}, simulation.Options{})
			if got := o.Killed > 0; got != tc.killed {
				t.Errorf("%d were killed", o.Killed)
			}
			if tc.killed && o.FromZero < 2 {
				t.Errorf("the replicas left zero %d times, want a second time for the message that was queued again", o.FromZero)
			}
			if o.PodSeconds <= o.ReplicaSeconds {
				t.Errorf("%.1f pod-seconds and %.1f replica-seconds: the stopping pod does not count", o.PodSeconds, o.ReplicaSeconds)
			}
		})
	}
}

// TestUnfinished: what waits at the end counts as having waited until then.
func TestUnfinished(t *testing.T) {
	t.Parallel()
	c := &simulation.Candidate{Name: "nothing", Polling: time.Second, Object: hpa.ScaledObject{Max: 1}}
	w := &simulation.Workers{Concurrency: 1}
	load := simulation.NewLoad(&trace.Trace{Header: trace.Header{End: time.Minute}, Arrivals: []trace.Arrival{{At: 10 * time.Second, Count: 3}}}, w, 1)
	o := simulation.Run(c, w, load, simulation.Phases{}, simulation.Options{MostAfter: time.Minute})
	if o.Unfinished != 3 || o.P50 != 110*time.Second || o.MostWaiting != 3 || o.ReplicaSeconds != 0 {
		t.Errorf("%d unfinished, p50 %s, %g waiting, %g replica-seconds; want 3, 1m50s, 3 and 0", o.Unfinished, o.P50, o.MostWaiting, o.ReplicaSeconds)
	}
}

// TestConcurrency: a replica that works on several messages does as much as several replicas.
func TestConcurrency(t *testing.T) {
	t.Parallel()
	run := func(replicas int32, concurrency int) simulation.Outcome {
		w := &simulation.Workers{Service: simulation.LogNormal(time.Second, 3*time.Second), Concurrency: concurrency, Grace: time.Minute}
		load := simulation.NewLoad(poisson(3, 10*time.Minute, 1), w, 1)
		return simulation.Run(steady(replicas), w, load, simulation.Phases{}, simulation.Options{MostAfter: time.Hour})
	}
	several, one := run(6, 1), run(1, 6)
	if several.P95 != one.P95 || math.Abs(several.ReplicaSeconds-6*one.ReplicaSeconds) > 1e-6 {
		t.Errorf("six replicas: p95 %s for %g; one that does six at once: %s for %g", several.P95, several.ReplicaSeconds, one.P95, one.ReplicaSeconds)
	}
}

func TestParseDistribution(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{"500ms": "500ms", "2s/8s": "2s/8s", "0s": "0s", "1s/1s": "1s"} {
		d, err := simulation.ParseDistribution(text)
		if err != nil || d.String() != want {
			t.Errorf("%q is %q, %v, want %q", text, d, err, want)
		}
	}
	for _, text := range []string{"", "x", "2s/1s", "-1s", "1s/", "0s/1s", "1s/2s/3s", "9999h"} {
		if d, err := simulation.ParseDistribution(text); err == nil {
			t.Errorf("%q is %q, want an error", text, d)
		}
	}
}

// TestUnknownSignal: a limiter whose signal is ignored while it is unknown changes nothing, and a policy whose
// only signal is unknown does what its schedule says.
func TestUnknownSignal(t *testing.T) {
	t.Parallel()
	run := func(spec string) simulation.Outcome {
		reader := candidate.Reader{Engines: engines.All(), Notice: candidate.DefaultNotice}
		found, err := reader.Read("policy", []byte(`apiVersion: backlog-scaler.github.io/v1alpha1
kind: AutoscalerPolicy
metadata: {name: jobs}
spec:
  via: KEDA
  scaleTargetRef: {name: jobs}
  maxReplicas: 20
`+spec+`---
kind: ScaledObject
metadata: {name: jobs}
spec: {maxReplicaCount: 20, triggers: [{type: external-push, metadata: {policy: jobs}}]}
`))
		if err != nil {
			t.Fatal(err)
		}
		load := simulation.NewLoad(bursts(), workers(), 1)
		return simulation.Run(&found[0].Candidate, workers(), load, load.Phases(&found[0].Candidate), simulation.Options{MostAfter: time.Hour})
	}
	const backlog = "  signals:\n    - {name: backlog, connection: main, trigger: {list: jobs, inFlightList: held, target: \"5\"}}\n"
	const load = "    - {name: load, connection: metrics, trigger: {query: max(load)}, whenUnknown: Ignore}\n"
	plain, limited := run(backlog), run(backlog+load+"  limiters: [{name: database, when: load > 0.9}]\n")
	if diff := cmp.Diff(plain, limited, cmp.AllowUnexported(simulation.Outcome{})); diff != "" || plain.MostReplicas < 5 {
		t.Errorf("%d replicas; with a limiter on what is unknown (-without +with):\n%s", plain.MostReplicas, diff)
	}
	office := "  schedules: [{name: office, timeZone: UTC, start: \"0 0 * * *\", duration: 1h, floor: 4}]\n"
	if o := run("  signals:\n" + load + "  formula: load * 0\n" + office); o.MostReplicas != 4 {
		t.Errorf("%d replicas, want the 4 of the schedule", o.MostReplicas)
	}
}
