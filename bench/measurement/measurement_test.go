package measurement_test

import (
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/backlog-scaler/backlog-scaler/bench/measurement"
)

func TestLine(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		measurement measurement.Measurement
		want        string
	}{
		"ratio kept": {
			measurement.Measurement{Name: "rpc_throughput", Value: 25431.4, Unit: "calls/s", Ratio: new(0.94444), Bound: measurement.RatioAtLeast(0.9), Note: "5 rounds"},
			"rpc_throughput 25431 calls/s 0.9444 ratio>=0.9 ok # 5 rounds",
		},
		"ratio failed": {
			measurement.Measurement{Name: "read", Value: 12, Unit: "ms", Ratio: new(1.31), Bound: measurement.RatioAtMost(1.3)},
			"read 12 ms 1.31 ratio<=1.3 failed",
		},
		"value kept":       {measurement.Alone("wake_p50", "ms", measurement.AtMost(1), 0.5), "wake_p50 0.5 ms - value<=1 ok"},
		"value failed":     {measurement.Alone("wake_p50", "ms", measurement.AtMost(1), 3, 1.5, 1), "wake_p50 1.5 ms - value<=1 failed # 3 rounds, 1 to 3"},
		"no bound":         {measurement.Alone("start", "ms", measurement.Bound{}, 2, 4), "start 3 ms - - ok # 2 rounds, 2 to 4"},
		"nothing measured": {measurement.Alone("start", "ms", measurement.AtMost(5)), "start NaN ms - value<=5 failed"},
		"no baseline":      {measurement.Measurement{Name: "read", Unit: "ms", Bound: measurement.RatioAtMost(1)}, "read 0 ms - ratio<=1 failed"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(test.want, test.measurement.String()); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestRounds(t *testing.T) {
	t.Parallel()
	var r measurement.Rounds
	r.Add(90, 100)
	r.Add(110, 100)
	r.Add(48, 60)
	want := measurement.Measurement{
		Name: "x", Value: 90, Unit: "ms", Ratio: new(0.9), Bound: measurement.RatioAtMost(1.2),
		Note: "baseline 100, 3 rounds, ratio 0.8 to 1.1",
	}
	if diff := cmp.Diff(want, r.Measurement("x", "ms", measurement.RatioAtMost(1.2))); diff != "" {
		t.Error(diff)
	}
	if m := new(measurement.Rounds).Measurement("x", "ms", measurement.RatioAtMost(1)); !m.Failed() {
		t.Errorf("no round keeps a bound: %s", m)
	}
}

func TestQuantile(t *testing.T) {
	t.Parallel()
	numbers := make([]float64, 200)
	for i := range numbers {
		numbers[len(numbers)-1-i] = float64(i + 1)
	}
	for q, want := range map[float64]float64{0: 1, 0.5: 100, 0.99: 198, 1: 200} {
		if got := measurement.Quantile(numbers, q); got != want {
			t.Errorf("the %v-quantile is %v, want %v", q, got, want)
		}
	}
	if !math.IsNaN(measurement.Quantile(nil, 0.5)) || !math.IsNaN(measurement.Median(nil)) {
		t.Error("no numbers have a middle")
	}
}
