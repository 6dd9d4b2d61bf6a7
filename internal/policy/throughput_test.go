package policy_test

import (
	"math"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/backlog-scaler/backlog-scaler/internal/policy"
)

func throughput(t testing.TB) policy.Throughput {
	t.Helper()
	learned, err := policy.NewThroughput(0.1, 100)
	if err != nil {
		t.Fatal(err)
	}
	return learned
}

func TestNewThroughputRejects(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		floor, ceiling float64
		want           string
	}{
		{0, 1, "floor 0 of the throughput: want a positive number of jobs per second"},
		{math.NaN(), 1, "floor NaN of the throughput: want a positive number of jobs per second"},
		{2, 1, "ceiling 1 of the throughput: want a number not below the floor, 2"},
		{2, math.Inf(1), "ceiling +Inf of the throughput: want a number not below the floor, 2"},
	} {
		if _, err := policy.NewThroughput(tc.floor, tc.ceiling); err == nil || err.Error() != tc.want {
			t.Errorf("error %v, want %q", err, tc.want)
		}
	}
}

func TestThroughput(t *testing.T) {
	t.Parallel()
	sample := func(second int, done int64, available int32, waiting bool) policy.Sample {
		return policy.Sample{At: at(second), Done: done, Available: available, Waiting: waiting}
	}
	for _, tc := range []struct {
		name    string
		samples []policy.Sample
		want    float64 // jobs per second; zero if it is unknown
	}{
		{"nothing is known at first", nil, 0},
		{"nor after one sample", []policy.Sample{sample(0, 100, 4, true)}, 0},
		{"480 jobs of 4 replicas in 60 s", []policy.Sample{sample(0, 0, 4, true), sample(60, 480, 4, true)}, 2},
		{"replicas that came in between worked half of it", []policy.Sample{sample(0, 0, 2, true), sample(60, 480, 6, true)}, 2},
		{"few jobs prove little", []policy.Sample{sample(0, 0, 4, true), sample(60, 24, 4, true)}, 0},
		{"a short time proves little", []policy.Sample{sample(0, 0, 1, true), sample(59, 480, 1, true)}, 0},
		{"arrivals that never wait prove nothing", []policy.Sample{sample(0, 0, 4, false), sample(60, 480, 4, true), sample(120, 960, 4, false)}, 0},
		{"nor does progress without replicas", []policy.Sample{sample(0, 0, 0, true), sample(60, 480, 4, true), sample(120, 960, 0, true)}, 0},
		{"nor a counter that starts again", []policy.Sample{sample(0, 1000, 4, true), sample(60, 480, 4, true)}, 0},
		{"nor a counter below zero", []policy.Sample{sample(0, math.MinInt64, 4, true), sample(60, 480, 4, true)}, 0},
		{"nor what happened in a long pause", []policy.Sample{sample(0, 0, 4, true), sample(301, 480, 4, true)}, 0},
		{"nor a sample that is not later", []policy.Sample{sample(0, 0, 4, true), sample(0, 480, 4, true)}, 0},
		{"the floor holds", []policy.Sample{sample(0, 0, 10, true), sample(250, 25, 10, true)}, 0.1},
		{"the ceiling holds", []policy.Sample{sample(0, 0, 1, true), sample(60, 60_000, 1, true)}, 100},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			learned := throughput(t)
			for _, s := range tc.samples {
				learned = learned.Add(s)
			}
			if e := learned.Estimate(); math.Abs(e.PerSecond-tc.want) > 1e-9 || e.Known != (tc.want > 0) {
				t.Errorf("%+v, want %v", e, tc.want)
			}
		})
	}
	confident := throughput(t).Add(sample(0, 0, 1, true)).Add(sample(60, 100, 1, true)).Estimate()
	if math.Abs(confident.Confidence-0.9) > 1e-9 {
		t.Errorf("100 jobs have a confidence of %v, want 0.9", confident.Confidence)
	}
}

// TestThroughputForgets: after a change of the work the estimate follows.
func TestThroughputForgets(t *testing.T) {
	t.Parallel()
	learned, done := throughput(t), int64(0)
	for second := 0; second <= 4*3600; second += 15 {
		perSecond := int64(2)
		if second > 2*3600 {
			perSecond = 8
		}
		done += 15 * 4 * perSecond
		learned = learned.Add(policy.Sample{At: at(second), Done: done, Available: 4, Waiting: true})
	}
	// Two hours are four half-lives: a sixteenth of the former work is left.
	if e := learned.Estimate(); math.Abs(e.PerSecond-(8-6.0/16)) > 0.1 {
		t.Errorf("%+v, want about 7.6", e)
	}
}

// TestThroughputProperties: an estimate is finite and within its bounds, whatever the samples
// are, and steady work is learned exactly.
func TestThroughputProperties(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		learned, err := policy.NewThroughput(0.1, 100)
		if err != nil {
			t.Fatal(err)
		}
		now := start
		for range rapid.IntRange(0, 30).Draw(t, "samples") {
			now = now.Add(time.Duration(rapid.Int64Range(-1000, 400_000).Draw(t, "ms")) * time.Millisecond)
			learned = learned.Add(policy.Sample{At: now, Done: rapid.Int64().Draw(t, "done"), Available: rapid.Int32().Draw(t, "available"), Waiting: rapid.Bool().Draw(t, "waiting")})
			e := learned.Estimate()
			if e.Known != (e.PerSecond != 0) || e.Known && (e.PerSecond < 0.1 || e.PerSecond > 100) ||
				!(e.Confidence >= 0 && e.Confidence <= 1) || !(e.Measured >= 0) || math.IsInf(e.Measured, 0) {
				t.Fatalf("%+v", e)
			}
		}
	})
}
