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
}

// A replay is a comparison to be simulated.
type replay struct {
	seen    comparison
	trace   *trace.Trace
	workers *simulation.Workers
}

func newReplay(t *testing.T) replay {
	t.Helper()
	data, err := os.ReadFile("../../docs/comparison.json")
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

// run simulates the copies of a contender.
func (r *replay) run(c *simulation.Candidate, m moments, replicas []float64) pooled {
	load := simulation.NewLoad(r.trace, r.workers, 1)
	var waits []time.Duration
	var p pooled
	mean := make([]float64, len(replicas))
	share := 1 / float64(r.seen.Copies)
	for copied := range r.seen.Copies {
		later := []float64{0, m[2], m[3]}[copied]
		own := simulation.Phases{Poll: within(m[0]+later, c.Polling), Sync: within(m[0]+m[1]+later, hpa.SyncPeriod)}
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
		p := r.run(c, m, replicas)
		if p.apart >= best.apart {
			return false
		}
		best, at = p, m
		return true
	}
	for made := 0.1; made < 30; made += 0.5 {
		for _, lead := range []float64{-0.05, 0.05} {
			for _, apart := range []float64{10, 11} {
				try(moments{made, lead, apart, 2 * apart})
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

// TestComparison holds the simulation against reality: docs/comparison.json is what a real KEDA and a
// real HorizontalPodAutoscaler did on a trace. Their phases were not recorded, and decide by up to half
// a minute. So they are taken from the replicas over time: those with which the simulated replicas are
// closest. With them how long messages waited, and what the replicas cost, have to agree.
func TestComparison(t *testing.T) {
	t.Parallel()
	r := newReplay(t)
	if len(r.seen.Contenders) < 6 {
		t.Fatalf("%d contenders, want 6", len(r.seen.Contenders))
	}
	for _, k := range r.seen.Contenders {
		t.Run(k.Name, func(t *testing.T) {
			t.Parallel()
			c := readCandidate(t, "testdata/comparison/"+k.Name+".yaml")
			best := r.fit(c, k.Replicas)
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
