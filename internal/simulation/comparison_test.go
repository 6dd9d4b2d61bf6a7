package simulation_test

import (
	"encoding/json"
	"math"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog/engines"
	"github.com/backlog-scaler/backlog-scaler/internal/hpa"
	"github.com/backlog-scaler/backlog-scaler/internal/simulation"
	"github.com/backlog-scaler/backlog-scaler/internal/simulation/candidate"
	"github.com/backlog-scaler/backlog-scaler/internal/simulation/trace"
)

// agreement is how far the simulation may be from what the real KEDA and the real
// HorizontalPodAutoscaler did.
const agreement = 0.1

// creation is the time from a change of the replicas until the pods of the real run existed, which was
// not recorded. It follows from the first contender whose replicas are known from the beginning: of the
// policy that jumps to nine at 5.1 s, 135 messages were taken by 15 s, nine each half second. So the
// first nine were taken at 7.6 s, and not 2 s after the jump.
const creation = 500 * time.Millisecond

// A comparison is docs/comparison.json: what a real KEDA and a real HorizontalPodAutoscaler made of
// several triggers, each with copies that were made some ten seconds apart.
type comparison struct {
	Trace []struct {
		After    time.Duration
		Messages int64
	}
	Startup, PerMessage time.Duration
	Copies              int
	Contenders          []contender
}

// A contender is one trigger.
type contender struct {
	Name           string
	P50, P99       time.Duration
	ReplicaSeconds float64
	// Replicas is the mean of the copies, second by second.
	Replicas []float64
	// Made is how long before the trace the ScaledObject of each copy and its HorizontalPodAutoscaler were
	// made; empty for a run that did not record it.
	Made []made
}

type made struct {
	ScaledObject time.Duration
	HPA          time.Duration
}

// phases returns when KEDA's first poll and the first sync were after the beginning of the trace. KEDA polls
// when the ScaledObject is made, and the first sync is a period after the HorizontalPodAutoscaler was made.
func (m made) phases(c *simulation.Candidate) simulation.Phases {
	next := func(age, period time.Duration) time.Duration { return period - age%period }
	return simulation.Phases{Poll: next(m.ScaledObject, c.Polling), Sync: next(m.HPA, hpa.SyncPeriod+simulation.SyncTime)}
}

// A replay is a comparison to be simulated.
type replay struct {
	seen    comparison
	trace   *trace.Trace
	workers *simulation.Workers
}

func newReplay(t *testing.T, path string) replay {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	r := replay{trace: &trace.Trace{}}
	if err := json.Unmarshal(data, &r.seen); err != nil {
		t.Fatal(err)
	}
	r.trace.End = time.Duration(len(r.seen.Contenders[0].Replicas)) * time.Second
	for _, push := range r.seen.Trace {
		r.trace.Arrivals = append(r.trace.Arrivals, trace.Arrival{At: push.After, Count: push.Messages})
	}
	r.workers = &simulation.Workers{
		Startup: simulation.Fixed(r.seen.Startup + creation), Service: simulation.Fixed(r.seen.PerMessage), Concurrency: 1, Grace: 30 * time.Second,
	}
	return r
}

// A pooled is the outcome of all copies together.
type pooled struct {
	p50, p99, replicaSeconds float64
	// apart is how far the replicas are from the real ones, in the mean over time.
	apart float64
}

// moments are when the first copy was made, how long after KEDA's first poll its
// HorizontalPodAutoscaler was, and how much later the second and the third copy were made, in seconds.
type moments [4]float64

// phases returns the phases of the copies.
func (m moments) phases(c *simulation.Candidate) []simulation.Phases {
	var all []simulation.Phases
	for _, later := range []float64{0, m[2], m[3]} {
		all = append(all, simulation.Phases{Poll: within(m[0]+later, c.Polling), Sync: within(m[0]+m[1]+later, hpa.SyncPeriod)})
	}
	return all
}

// run simulates the copies of a contender.
func (r *replay) run(c *simulation.Candidate, phases []simulation.Phases, replicas []float64) pooled {
	load := simulation.NewLoad(r.trace, r.workers, 1)
	var waits []time.Duration
	var p pooled
	mean := make([]float64, len(replicas))
	share := 1 / float64(len(phases))
	for _, own := range phases {
		o := simulation.Run(c, r.workers, load, own, simulation.Options{MostAfter: simulation.DefaultMostAfter}.KeepingWaits())
		waits = append(waits, o.AllWaits()...)
		p.replicaSeconds += share * o.ReplicaSeconds
		for second := range mean {
			if step := int(time.Duration(second) * time.Second / o.Series.Step); step < len(o.Series.Replicas) {
				mean[second] += share * o.Series.Replicas[step]
			}
		}
	}
	slices.Sort(waits)
	rank := func(part float64) float64 { return waits[int(math.Ceil(part*float64(len(waits))))-1].Seconds() }
	p.p50, p.p99 = rank(0.50), rank(0.99)
	for second, seen := range replicas {
		p.apart += math.Abs(seen-mean[second]) / float64(len(replicas))
	}
	return p
}

// within returns a time within a period.
func within(seconds float64, period time.Duration) time.Duration {
	return time.Duration(seconds*float64(time.Second)+float64(period)) % period
}

// fit returns the outcome of the moments with which the simulated replicas are closest to the real
// ones. KEDA makes a HorizontalPodAutoscaler and polls for the first time when a ScaledObject is made,
// so the two begin together.
func (r *replay) fit(c *simulation.Candidate, replicas []float64) pooled {
	best, at := pooled{apart: math.Inf(1)}, moments{}
	try := func(m moments) bool {
		p := r.run(c, m.phases(c), replicas)
		if p.apart >= best.apart {
			return false
		}
		best, at = p, m
		return true
	}
	for first := 0.1; first < 30; first += 0.5 {
		for _, lead := range []float64{-0.05, 0.05} {
			for _, apart := range []float64{10, 11} {
				try(moments{first, lead, apart, 2 * apart})
			}
		}
	}
	for _, step := range []float64{1, 0.5, 0.2, 0.1} {
		for improved := true; improved; {
			improved = false
			for i := range at {
				for _, sign := range []float64{-step, step} {
					m := at
					m[i] += sign
					improved = try(m) || improved
				}
			}
		}
	}
	return best
}

// leastPolling is the interval from which recorded phases of polls are exact enough. KEDA's loop begins some
// tenths of a second after the ScaledObject was made, which are not recorded, and are much of a second:
// https://github.com/kedacore/keda/blob/v2.21.0/pkg/scaling/scale_handler.go#L282
const leastPolling = 10 * time.Second

// latestLoop is how long after its ScaledObject was made KEDA's loop of polls begins at the latest: KEDA first writes a
// finalizer, conditions and the HorizontalPodAutoscaler. A poll next to a burst of messages may be before or after it.
const latestLoop = 600 * time.Millisecond

// replayed returns the outcome of the copies of a contender, with the phases that were recorded or fit.
func (r *replay) replayed(c *simulation.Candidate, k *contender) pooled {
	if len(k.Made) == 0 || c.Polling < leastPolling {
		return r.fit(c, k.Replicas)
	}
	phases := make([]simulation.Phases, len(k.Made))
	best := pooled{apart: math.Inf(1)}
	var try func(copies int)
	try = func(copies int) {
		if copies == len(k.Made) {
			if p := r.run(c, phases, k.Replicas); p.apart < best.apart {
				best = p
			}
			return
		}
		recorded := k.Made[copies].phases(c)
		for lag := time.Duration(0); lag <= latestLoop; lag += latestLoop / 6 {
			phases[copies] = simulation.Phases{Poll: (recorded.Poll + lag) % c.Polling, Sync: recorded.Sync}
			try(copies + 1)
		}
	}
	try(0)
	return best
}

// TestRecordedPhases: a ScaledObject that was made 65 s before the trace is polled each 30 s, so next after 25
// s, and its HorizontalPodAutoscaler is synced some 15 s after it was made, and again each time.
func TestRecordedPhases(t *testing.T) {
	t.Parallel()
	c := &simulation.Candidate{Polling: 30 * time.Second}
	period := hpa.SyncPeriod + simulation.SyncTime
	got := made{ScaledObject: 65 * time.Second, HPA: 4*period + 2*time.Second}.phases(c)
	if want := (simulation.Phases{Poll: 25 * time.Second, Sync: period - 2*time.Second}); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
}

// TestComparison holds the simulation against reality: docs/comparison.json is what a real KEDA and a
// real HorizontalPodAutoscaler did on a trace. Their phases decide by up to half a minute. What the run did
// not record of them is taken from the replicas over time: that with which the simulated replicas are
// closest. With them how long messages waited, and what the replicas cost, have to agree.
func TestComparison(t *testing.T) {
	t.Parallel()
	r := newReplay(t, "../../docs/comparison.json")
	if len(r.seen.Contenders) < 6 {
		t.Fatalf("%d contenders, want 6", len(r.seen.Contenders))
	}
	r.agrees(t, func(*simulation.Candidate) {})
}

// TestShortComparison holds the simulation against a short run whose phases were recorded, as the scenario
// "comparison" of the folder e2e makes it: ten messages at once, with polls each 20 s. Nothing is fit but when
// KEDA's loops begin.
func TestShortComparison(t *testing.T) {
	t.Parallel()
	r := newReplay(t, "testdata/short.json")
	recorded := 0
	for _, k := range r.seen.Contenders {
		recorded += len(k.Made)
	}
	if len(r.seen.Contenders) != 4 || recorded != 12 {
		t.Fatalf("%d contenders and %d recorded phases, want 4 and 12", len(r.seen.Contenders), recorded)
	}
	r.agrees(t, func(c *simulation.Candidate) {
		if c.Polling >= leastPolling {
			c.Polling, c.Object.Cooldown = 20*time.Second, 3*time.Second
			if q := c.Triggers[0].Queue; q != nil && q.Spec.RateWindow > 0 {
				q.Spec.RateWindow = 10 * time.Second
			}
		}
	})
}

// agrees compares what was simulated of each contender with what was real. change makes the candidates of the
// long run those of another.
func (r *replay) agrees(t *testing.T, change func(*simulation.Candidate)) {
	t.Helper()
	for _, k := range r.seen.Contenders {
		t.Run(k.Name, func(t *testing.T) {
			t.Parallel()
			c := readCandidate(t, "testdata/comparison/"+k.Name+".yaml")
			change(c)
			best := r.replayed(c, &k)
			for _, value := range []struct {
				name      string
				seen, got float64
			}{
				{"waiting p50", k.P50.Seconds(), best.p50},
				{"waiting p99", k.P99.Seconds(), best.p99},
				{"replica-seconds", k.ReplicaSeconds, best.replicaSeconds},
			} {
				off := math.Abs(value.got/value.seen - 1)
				t.Logf("%-16s real %7.1f, simulated %7.1f, %4.1f %% off; replicas %.2f apart", value.name, value.seen, value.got, 100*off, best.apart)
				if off > agreement {
					t.Errorf("%s is %.1f, and the real one %.1f: %.1f %% off, want at most %g %%", value.name, value.got, value.seen, 100*off, 100*agreement)
				}
			}
		})
	}
}

// readCandidate reads the only candidate of a file.
func readCandidate(t *testing.T, path string) *simulation.Candidate {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	reader := candidate.Reader{Engines: engines.All(), Notice: candidate.DefaultNotice}
	candidates, err := reader.Read("candidate", data)
	if err != nil {
		t.Fatal(err)
	}
	if len(candidates) != 1 {
		t.Fatalf("%s has %d candidates, want 1", path, len(candidates))
	}
	return &candidates[0].Candidate
}
