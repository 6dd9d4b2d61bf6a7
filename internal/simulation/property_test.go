package simulation_test

import (
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog/engines"
	"github.com/backlog-scaler/backlog-scaler/internal/simulation"
	"github.com/backlog-scaler/backlog-scaler/internal/simulation/candidate"
	"github.com/backlog-scaler/backlog-scaler/internal/simulation/trace"
)

// TestEveryRun: whatever comes, no message is lost or counted twice, nothing waits for less than no time,
// and nothing costs more than the largest number of replicas all the time.
func TestEveryRun(t *testing.T) {
	t.Parallel()
	names := []string{"built-in redis", "drain time", "external-push", "external-push, 1 s", "policy that jumps"}
	candidates := make(map[string]*simulation.Candidate)
	for _, name := range names {
		candidates[name] = readCandidate(t, "testdata/comparison/"+name+".yaml")
	}
	rapid.Check(t, func(t *rapid.T) {
		c := candidates[rapid.SampledFrom(names).Draw(t, "candidate")]
		load := &trace.Trace{Header: trace.Header{End: 10 * time.Minute}}
		at := time.Duration(0)
		for range rapid.IntRange(1, 8).Draw(t, "arrivals") {
			a := trace.Arrival{At: at, Over: seconds(t, "over", 30), Count: rapid.Int64Range(1, 100).Draw(t, "count")}
			load.Arrivals = append(load.Arrivals, a)
			at += a.Over + seconds(t, "pause", 40)
		}
		w := &simulation.Workers{
			Service: simulation.LogNormal(time.Second+seconds(t, "p50", 20), 2*time.Second+seconds(t, "p95", 60)), Startup: simulation.Fixed(seconds(t, "startup", 60)),
			Concurrency: rapid.IntRange(1, 5).Draw(t, "concurrency"), Grace: seconds(t, "grace", 30),
		}
		drawn := simulation.NewLoad(load, w, rapid.Uint64().Draw(t, "seed"))
		o := simulation.Run(c, w, drawn, drawn.Phases(c), simulation.Options{Goal: time.Minute, MostAfter: time.Hour})
		most := float64(c.Object.Max) * o.Length.Seconds()
		switch {
		case int64(o.Messages) != load.Messages():
			t.Errorf("%d messages, want %d", o.Messages, load.Messages())
		case o.Waits[0] < 0 || o.P50 > o.P95 || o.P95 > o.P99 || o.P99 > o.Longest:
			t.Errorf("they wait %s, %s, %s, %s and %s", o.Waits[0], o.P50, o.P95, o.P99, o.Longest)
		case o.ReplicaSeconds <= 0 || o.ReplicaSeconds > most*1.0001 || o.PodSeconds < o.ReplicaSeconds*0.9999:
			t.Errorf("%g replica-seconds of at most %g, and %g pod-seconds", o.ReplicaSeconds, most, o.PodSeconds)
		case o.Busy < 0 || o.Busy > 1 || o.WithinGoal < 0 || o.WithinGoal > 1 || math.IsNaN(o.MeanWaiting):
			t.Errorf("busy %g, within the goal %g, waiting %g", o.Busy, o.WithinGoal, o.MeanWaiting)
		case o.Unfinished == 0 && o.Length < load.End, o.Length > load.End+time.Hour:
			t.Errorf("the run ended after %s with %d unfinished", o.Length, o.Unfinished)
		case o.MostReplicas > c.Object.Max:
			t.Errorf("%d replicas", o.MostReplicas)
		}
	})
}

func seconds(t *rapid.T, label string, most int) time.Duration {
	return time.Duration(rapid.IntRange(0, most).Draw(t, label)) * time.Second
}

// TestExamplePolicies: each policy of examples/policies whose signals count messages can be replayed, and
// scales. One with a number that is measured says so.
func TestExamplePolicies(t *testing.T) {
	t.Parallel()
	paths, err := filepath.Glob("../../examples/policies/*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	replayed := 0
	for _, path := range paths {
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		reader := candidate.Reader{Engines: engines.All(), Notice: candidate.DefaultNotice}
		found, err := reader.Read(filepath.Base(path), data)
		switch {
		case err != nil && (strings.Contains(err.Error(), "measures a number") || strings.Contains(err.Error(), "no ScaledObject found")):
			continue
		case err != nil:
			t.Errorf("%s: %v", path, err)
			continue
		}
		for i := range found {
			replayed++
			candidates := []simulation.Candidate{found[i].Candidate}
			from := simulation.Beginning(&trace.Trace{Header: trace.Header{End: 7 * 24 * time.Hour}}, candidates)
			if from < 10*time.Minute || from > 2*time.Hour {
				t.Errorf("%s: the first %s would count for nothing", found[i].Name, from)
			}
			o := simulation.Compare(candidates, workers(), bursts(), 1, simulation.Options{MostAfter: time.Hour})[0].Outcomes[0]
			if o.Messages != 500 || o.Unfinished > 0 || o.MostReplicas < 2 || o.Killed > 0 {
				t.Errorf("%s: %d messages, %d unfinished, %d killed, %d replicas", found[i].Name, o.Messages, o.Unfinished, o.Killed, o.MostReplicas)
			}
		}
	}
	if replayed < 6 {
		t.Errorf("%d policies were replayed, want 6 or more", replayed)
	}
}
