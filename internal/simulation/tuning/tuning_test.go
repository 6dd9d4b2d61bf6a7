package tuning_test

import (
	"errors"
	"math/rand/v2"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog/engines"
	"github.com/backlog-scaler/backlog-scaler/internal/simulation"
	"github.com/backlog-scaler/backlog-scaler/internal/simulation/candidate"
	"github.com/backlog-scaler/backlog-scaler/internal/simulation/trace"
	"github.com/backlog-scaler/backlog-scaler/internal/simulation/tuning"
)

const object = `kind: ScaledObject
spec:
  cooldownPeriod: 60
  maxReplicaCount: 40
  triggers: [{type: external-push, metadata: {connection: main, list: jobs, inFlightList: held, target: "1"}}]
`

// policyObject is a policy that asks for one replica for each message and falls in small steps, with a
// window in which all messages come.
const policyObject = `apiVersion: backlog-scaler.github.io/v1alpha1
kind: AutoscalerPolicy
metadata: {name: jobs}
spec:
  via: KEDA
  scaleTargetRef: {name: jobs}
  maxReplicas: 40
  signals: [{name: backlog, connection: main, trigger: {list: jobs, inFlightList: held, target: "1"}}]
  schedules: [{name: morning, timeZone: UTC, start: "0 0 * * *", duration: 1h, floor: 4}]
  steps:
    down: {percent: 10, period: 1m, hold: 5m}
---
kind: ScaledObject
metadata: {name: jobs}
spec:
  cooldownPeriod: 60
  maxReplicaCount: 40
  triggers: [{type: external-push, metadata: {policy: jobs}}]
`

// newSearch returns a search on half an hour with a burst each ten minutes. Today's target is one message for
// each replica, which costs more than is needed.
func newSearch(t *testing.T, goal tuning.Goal) *tuning.Search {
	t.Helper()
	return searchOf(t, object, goal)
}

// searchOf returns a search that begins with an object.
func searchOf(t *testing.T, object string, goal tuning.Goal) *tuning.Search {
	t.Helper()
	load := &trace.Trace{Header: trace.Header{End: 30 * time.Minute, Quality: trace.Exact}}
	for at := time.Minute; at < 30*time.Minute; at += 10 * time.Minute {
		load.Arrivals = append(load.Arrivals, trace.Arrival{At: at, Over: 2 * time.Minute, Count: 400}, trace.Arrival{At: at + 3*time.Minute, Over: 5 * time.Minute, Count: 50})
	}
	reader := &candidate.Reader{Engines: engines.All(), Notice: candidate.DefaultNotice}
	found, err := reader.Read("today", []byte(object))
	if err != nil {
		t.Fatal(err)
	}
	today := &found[0]
	return &tuning.Search{
		Trace: load, Today: today, Goal: goal, Points: 18, Seed: 1,
		Workers: &simulation.Workers{Service: simulation.LogNormal(time.Second, 3*time.Second), Startup: simulation.Fixed(8 * time.Second), Concurrency: 1, Grace: 30 * time.Second},
		Change:  func(s *candidate.Settings) (candidate.Candidate, error) { return reader.With(today, s) },
	}
}

// TestBetterThanToday: the proposal costs less, meets the goal on what it was not chosen by, and is what
// its YAML says.
func TestBetterThanToday(t *testing.T) {
	t.Parallel()
	for name, object := range map[string]string{"a trigger": object, "a policy": policyObject} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := searchOf(t, object, tuning.Goal{Percentile: 95, Wait: time.Minute})
			s.Points = 12
			v := s.Run()
			if v.Best == nil {
				t.Fatalf("nothing is better than today: %s", v.Why)
			}
			checkProposal(t, &v)
		})
	}
}

// checkProposal checks what is proposed.
func checkProposal(t *testing.T, v *tuning.Verdict) {
	t.Helper()
	if saved := 1 - v.Best.Checks[0].Cost/v.Today.Checks[0].Cost; saved < 0.1 {
		t.Errorf("%s saves %.1f %%, want at least 10 %%", &v.Best.Settings, 100*saved)
	}
	if len(v.Best.Checks) != 5 || v.Today.Settings.Changes() != 0 {
		t.Errorf("%d checks, and today is %s", len(v.Best.Checks), &v.Today.Settings)
	}
	for _, c := range v.Best.Checks {
		if !c.Meets || c.Within < 0.95 || c.Killed > 0 {
			t.Errorf("%s: %+v", c.Name, c)
		}
	}
	if v.Chosen != 21*time.Minute || v.Checked != 9*time.Minute {
		t.Errorf("chosen by %s and checked by %s", v.Chosen, v.Checked)
	}
	for i, c := range v.Curve[1:] {
		if before := v.Curve[i]; c.First.Cost <= before.First.Cost || c.First.Wait >= before.First.Wait {
			t.Errorf("point %d of the curve is %+v after %+v", i+1, c.First, before.First)
		}
	}
	text, err := v.Best.Candidate.YAML()
	if err != nil {
		t.Fatal(err)
	}
	again, err := (&candidate.Reader{Engines: engines.All(), Notice: candidate.DefaultNotice}).Read("again", text)
	if err != nil {
		t.Fatal(err)
	}
	again[0].Name = v.Best.Candidate.Name
	if v.Best.Candidate.Policy != nil { // compiled programs are not compared
		if diff := cmp.Diff(again[0].Policy, v.Best.Candidate.Policy); diff != "" {
			t.Errorf("the YAML is another policy: %s\n%s", diff, text)
		}
		again[0].Triggers, v.Best.Candidate.Triggers = nil, nil
	}
	if !reflect.DeepEqual(again[0].Candidate, v.Best.Candidate.Candidate) {
		t.Errorf("the YAML is another candidate: %+v, want %+v\n%s", again[0].Candidate, v.Best.Candidate.Candidate, text)
	}
}

// TestPolicyPoints: each setting of a policy is drawn, what is so today is no change, and no maximum is
// below a floor.
func TestPolicyPoints(t *testing.T) {
	t.Parallel()
	s := searchOf(t, policyObject, tuning.Goal{Percentile: 95, Wait: time.Minute})
	drawn := make(map[string]int)
	s.Points = 100
	s.Change = func(p *candidate.Settings) (candidate.Candidate, error) {
		least := int32(4) // the floor of today
		for _, f := range p.Floors {
			least = f.Replicas
			if f.Replicas == 4 {
				t.Errorf("the floor of today is drawn: %s", p)
			}
		}
		if p.Max != nil && *p.Max < least || p.Jump == "Never" || p.Up != nil && p.Up.Percent == 0 {
			t.Errorf("%s: below a floor, or as today", p)
		}
		for name, is := range map[string]bool{
			"up": p.Up != nil, "from": p.Up != nil && p.Up.First > 0, "down": p.Down != nil, "hold": p.Hold != nil, "floor": len(p.Floors) > 0,
			"HPA": p.Follow, "target": p.Target > 0, "drain time": p.DrainTime > 0, "jump " + string(p.Jump): p.Jump != "",
		} {
			if is {
				drawn[name]++
			}
		}
		return candidate.Candidate{}, errors.New("not simulated")
	}
	s.Run()
	for _, name := range []string{"up", "from", "down", "hold", "floor", "HPA", "target", "drain time", "jump FromZero", "jump Floor", "jump Always"} {
		if drawn[name] < 10 {
			t.Errorf("%s is drawn %d times of 100", name, drawn[name])
		}
	}
}

// TestSameSearchSameVerdict: the order in which candidates are replayed changes nothing.
func TestSameSearchSameVerdict(t *testing.T) {
	t.Parallel()
	verdict := func(each func(int, func(int))) string {
		s := newSearch(t, tuning.Goal{Percentile: 90, Wait: 30 * time.Second})
		s.Each, s.Points = each, 6
		v := s.Run()
		var b strings.Builder
		for i := range v.Finalists {
			b.WriteString(v.Finalists[i].Settings.String() + "\n")
		}
		for i := range v.Curve {
			b.WriteString(v.Curve[i].Settings.String() + "\n")
		}
		return b.String()
	}
	first := verdict(nil)
	if second := verdict(func(n int, f func(int)) {
		var group sync.WaitGroup
		for _, i := range rand.Perm(n) {
			group.Go(func() { f(i) })
		}
		group.Wait()
	}); first != second {
		t.Errorf("one after the other:\n%s\nat once:\n%s", first, second)
	}
}

// TestNoBetterThanToday: a goal that start-up times rule out is an answer, too.
func TestNoBetterThanToday(t *testing.T) {
	t.Parallel()
	s := newSearch(t, tuning.Goal{Percentile: 99, Wait: time.Millisecond})
	s.Points = 6
	v := s.Run()
	if v.Best != nil || !strings.Contains(v.Why, "none of the best settings keeps p99 at 1ms or below in every check") {
		t.Errorf("%+v, %q", v.Best, v.Why)
	}
	empty := newSearch(t, tuning.Goal{Percentile: 99, Wait: time.Minute})
	empty.Trace.End = 10 * time.Hour
	if v := empty.Run(); v.Best != nil || v.Why != "one of the two parts of the trace has no messages" {
		t.Errorf("%+v, %q", v.Best, v.Why)
	}
}

// TestShortTraces: by a trace that is short or vague nothing but the bounds is chosen.
func TestShortTraces(t *testing.T) {
	t.Parallel()
	policy := searchOf(t, policyObject, tuning.Goal{Percentile: 95, Wait: time.Minute})
	policy.Bounds, policy.Points = true, 6
	s := newSearch(t, tuning.Goal{Percentile: 95, Wait: time.Minute})
	if got := tuning.Short(s); got != "the trace is shorter than two days" {
		t.Errorf("%q", got)
	}
	s.Bounds, s.Points = true, 6
	v := s.Run()
	for _, f := range append(v.Finalists, policy.Run().Finalists...) {
		if f.Settings.Target > 0 || f.Settings.DrainTime > 0 || f.Settings.Hold != nil || f.Settings.FastUp || f.Settings.Tolerance != nil || f.Settings.DownWindow != nil || len(f.Settings.Floors) > 0 || f.Settings.Up != nil {
			t.Errorf("more than the bounds is changed: %s", &f.Settings)
		}
	}
	s.Trace.Quality = trace.LowerBound
	if got := tuning.Short(s); got != "the arrivals are a lower bound" {
		t.Errorf("%q", got)
	}
	s.Trace.Quality, s.Trace.End = trace.Exact, 48*time.Hour
	if got := tuning.Short(s); got != "" {
		t.Errorf("%q", got)
	}
}

func TestReplicas(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		rate        float64
		concurrency int
		goal        tuning.Goal
		want        int32
	}{
		{8, 1, tuning.Goal{Percentile: 80, Wait: time.Millisecond}, 12}, // 14 % wait with 12, and 24 % with 11
		{8, 1, tuning.Goal{Percentile: 95, Wait: time.Hour}, 9},
		{8, 4, tuning.Goal{Percentile: 80, Wait: time.Millisecond}, 3},
		{0, 1, tuning.Goal{Percentile: 80, Wait: time.Second}, 1},
		{1e9, 1, tuning.Goal{Percentile: 80, Wait: time.Second}, 10_000},
	} {
		if got := tuning.Replicas(tc.rate, time.Second, tc.concurrency, tc.goal); got != tc.want {
			t.Errorf("%g messages a second with concurrency %d: %d, want %d", tc.rate, tc.concurrency, got, tc.want)
		}
	}
	rates := tuning.RatesOf(&trace.Trace{Header: trace.Header{End: 10 * time.Minute}, Arrivals: []trace.Arrival{{At: time.Minute, Count: 60}, {At: 5 * time.Minute, Over: 2 * time.Minute, Count: 90}}})
	if rates.Mean != 0.25 || rates.Most != 1 {
		t.Errorf("%+v, want 0.25 and 1", rates)
	}
}
