package simulation_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/hpa"
	"github.com/backlog-scaler/backlog-scaler/internal/simulation"
	"github.com/backlog-scaler/backlog-scaler/internal/simulation/trace"
)

// steady is a workload with a fixed number of replicas.
func steady(replicas int32) *simulation.Candidate {
	return &simulation.Candidate{
		Name: "steady", Polling: hpa.PollingInterval, Start: replicas, Object: hpa.ScaledObject{Min: replicas, Max: replicas + 1},
	}
}

// poisson is a trace of messages that arrive independently of each other at a rate.
func poisson(rate float64, length time.Duration, seed uint64) *trace.Trace {
	random := rand.New(rand.NewPCG(seed, 0))
	t := &trace.Trace{Header: trace.Header{End: length, Quality: trace.Exact}}
	for at := 0.0; ; {
		at += random.ExpFloat64() / rate
		if at >= length.Seconds() {
			return t
		}
		t.Arrivals = append(t.Arrivals, trace.Arrival{At: time.Duration(at * float64(time.Second)), Count: 1})
	}
}

// erlangC returns the probability that a message has to wait where c servers have the load a.
func erlangC(c int, a float64) float64 {
	term, sum := 1.0, 1.0
	for k := 1; k < c; k++ {
		term *= a / float64(k)
		sum += term
	}
	term *= a / float64(c) * float64(c) / (float64(c) - a)
	return term / (sum + term)
}

// TestQueueingTheory: with a fixed number of replicas, Poisson arrivals and exponential service the
// mean number of waiting messages, and the part that has to wait, are within 2 % of M/M/c. The waits
// of neighbours depend on each other, so that it takes many messages.
func TestQueueingTheory(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("it takes eight million messages")
	}
	const service = time.Second
	for _, tc := range []struct {
		servers int
		load    float64 // of each server
	}{{1, 0.5}, {2, 0.7}, {10, 0.8}, {30, 0.9}} {
		t.Run(fmt.Sprintf("%d at %g", tc.servers, tc.load), func(t *testing.T) {
			t.Parallel()
			a := tc.load * float64(tc.servers)
			workers := &simulation.Workers{Service: simulation.Exponential(service), Concurrency: 1, Grace: 30 * time.Second}
			length := time.Duration(200_000/a) * time.Second
			waiting, delayed, runs := 0.0, 0.0, 10
			for seed := range uint64(runs) {
				load := simulation.NewLoad(poisson(a, length, seed), workers, seed)
				o := simulation.Run(steady(int32(tc.servers)), workers, load, simulation.Phases{}, simulation.Options{MostAfter: time.Hour})
				if o.Unfinished > 0 || o.Killed > 0 || o.Changes > 0 {
					t.Errorf("%d were unfinished, %d killed and the replicas changed %d times", o.Unfinished, o.Killed, o.Changes)
				}
				waiting += o.MeanWaiting / float64(runs)
				delayed += (1 - o.WithinGoal) / float64(runs)
			}
			probability := erlangC(tc.servers, a)
			want := probability * tc.load / (1 - tc.load)
			if off := math.Abs(waiting/want - 1); off > 0.02 {
				t.Errorf("%.4f messages wait, and M/M/c has %.4f: %.1f %% off", waiting, want, 100*off)
			}
			if off := math.Abs(delayed/probability - 1); off > 0.02 {
				t.Errorf("%.4f of the messages wait, and M/M/c has %.4f: %.1f %% off", delayed, probability, 100*off)
			}
		})
	}
}

// TestMoreServersNeverWaitLonger: of the same messages none waits longer with one server more.
func TestMoreServersNeverWaitLonger(t *testing.T) {
	t.Parallel()
	workers := &simulation.Workers{Service: simulation.LogNormal(time.Second, 4*time.Second), Concurrency: 1, Grace: 30 * time.Second}
	for seed := range uint64(20) {
		load := simulation.NewLoad(poisson(4, 20*time.Minute, seed), workers, seed)
		var before simulation.Outcome
		for servers := int32(1); servers <= 12; servers++ {
			o := simulation.Run(steady(servers), workers, load, simulation.Phases{}, simulation.Options{MostAfter: 24 * time.Hour})
			for i := range o.Waits {
				if servers > 1 && o.Waits[i] > before.Waits[i] {
					t.Fatalf("seed %d: at the percentile %d messages wait %s with %d servers, and %s with one less", seed, i, o.Waits[i], servers, before.Waits[i])
				}
			}
			before = o
		}
	}
}
