package simulation_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/backlog-scaler/backlog-scaler/internal/simulation"
	"github.com/backlog-scaler/backlog-scaler/internal/simulation/trace"
)

// TestVariations: each variation changes what it says and nothing else, and leaves what it is of as it is.
func TestVariations(t *testing.T) {
	t.Parallel()
	base := func() *trace.Trace {
		return &trace.Trace{Header: trace.Header{End: time.Hour}, Arrivals: []trace.Arrival{{At: time.Minute, Count: 100, Work: 10 * time.Second}}}
	}
	w := &simulation.Workers{
		Service: simulation.Fixed(time.Second), Startup: simulation.Fixed(10 * time.Second), Cold: simulation.Fixed(time.Minute), WarmUp: 20 * time.Second, Concurrency: 3,
	}
	type got struct {
		Messages                            int64
		Work, Service, Startup, Cold, Speed time.Duration
	}
	want := map[string]got{
		"as recorded":    {100, 10 * time.Second, time.Second, 10 * time.Second, time.Minute, 20 * time.Second},
		"arrivals -20 %": {80, 10 * time.Second, time.Second, 10 * time.Second, time.Minute, 20 * time.Second},
		"arrivals +20 %": {120, 10 * time.Second, time.Second, 10 * time.Second, time.Minute, 20 * time.Second},
		"work +20 %":     {100, 12 * time.Second, 1200 * time.Millisecond, 10 * time.Second, time.Minute, 20 * time.Second},
		"start-up x2":    {100, 10 * time.Second, time.Second, 20 * time.Second, 2 * time.Minute, 40 * time.Second},
	}
	all := simulation.Variations()
	if len(all) != len(want) || all[0].Name != "as recorded" {
		t.Fatalf("%+v", all)
	}
	for _, v := range all {
		of := base()
		changed, workers := v.Of(of, w)
		is := got{changed.Messages(), changed.Arrivals[0].Work, workers.Service.Mean(), workers.Startup.Mean(), workers.Cold.Mean(), workers.WarmUp}
		if diff := cmp.Diff(want[v.Name], is); diff != "" || workers.Concurrency != 3 {
			t.Errorf("%s (-want +got):\n%s", v.Name, diff)
		}
		if of.Messages() != 100 || of.Arrivals[0].Work != 10*time.Second || w.WarmUp != 20*time.Second {
			t.Errorf("%s changed what it is of: %+v, %+v", v.Name, of, w)
		}
	}
}

// TestCompareVaried: the variation that changes nothing gives what Compare gives, and more work makes
// messages wait for longer.
func TestCompareVaried(t *testing.T) {
	t.Parallel()
	candidates := []simulation.Candidate{*readCandidate(t, pushed)}
	options := simulation.Options{Goal: time.Minute, MostAfter: time.Hour}
	plain := simulation.Compare(candidates, workers(), bursts(), 5, options)
	varied := simulation.CompareVaried(candidates, workers(), bursts(), 20, options)
	if diff := cmp.Diff(plain[0].Outcomes, varied[0].Results[0].Outcomes, cmp.AllowUnexported(simulation.Outcome{})); diff != "" {
		t.Errorf("as recorded (-want +got):\n%s", diff)
	}
	if runs := simulation.VariedRuns(20); runs != 25 || simulation.VariedRuns(2) != 10 {
		t.Errorf("%d runs, want 25", runs)
	}
	p95 := func(i int) float64 {
		return varied[i].Results[0].Spread(func(o *simulation.Outcome) float64 { return o.P95.Seconds() }).Median
	}
	if p95(4) <= p95(0) {
		t.Errorf("p95 is %.1f s, and %.1f s with twice the start-up time", p95(0), p95(4))
	}
}

// TestWarmUp: a replica takes twice as long at its start, and as long as it should after its warm-up. One
// that was there from the beginning is warm.
func TestWarmUp(t *testing.T) {
	t.Parallel()
	c := steady(1)
	w := &simulation.Workers{Service: simulation.Fixed(10 * time.Second), Startup: simulation.Fixed(0), WarmUp: time.Minute, Concurrency: 1, Grace: time.Minute}
	load := &trace.Trace{Header: trace.Header{End: time.Minute}, Arrivals: []trace.Arrival{{At: time.Second, Count: 3}}}
	waits := func(c *simulation.Candidate) []time.Duration {
		o := simulation.Run(c, w, simulation.NewLoad(load, w, 1), simulation.Phases{}, simulation.Options{MostAfter: time.Hour}.KeepingWaits())
		return o.AllWaits()
	}
	if diff := cmp.Diff([]time.Duration{0, 10 * time.Second, 20 * time.Second}, waits(c)); diff != "" {
		t.Errorf("a warm replica (-want +got):\n%s", diff)
	}
	// A pod of its own for the second message: it is there at once, and takes 20 s for the first message that it gets.
	started := readCandidate(t, pushed)
	started.Object.Max, started.Object.Min, started.Start = 1, 0, 0
	got := waits(started)
	first := got[0]
	if took := got[1] - first; took != 20*time.Second {
		t.Errorf("the first message took %s, want 20s at half of the speed", took)
	}
	// At an age of 20 s the speed is 2/3.
	if took := got[2] - got[1]; took.Round(time.Millisecond) != 15*time.Second {
		t.Errorf("the second message took %s, want 15s at 2/3 of the speed", took)
	}
}
