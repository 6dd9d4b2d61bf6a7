package figure_test

import (
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/backlog-scaler/backlog-scaler/internal/bench/figure"
)

func TestLine(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		figure figure.Figure
		want   string
	}{
		"ratio kept": {
			figure.Figure{Name: "rpc_throughput", Value: 25431.4, Unit: "calls/s", Ratio: new(0.94444), Bound: figure.RatioAtLeast(0.9), Note: "5 rounds"},
			"rpc_throughput 25431 calls/s 0.9444 ratio>=0.9 ok # 5 rounds",
		},
		"ratio short": {
			figure.Figure{Name: "read", Value: 12, Unit: "ms", Ratio: new(1.31), Bound: figure.RatioAtMost(1.3)},
			"read 12 ms 1.31 ratio<=1.3 short",
		},
		"value kept":       {figure.Alone("wake_p50", "ms", figure.AtMost(1), 0.5), "wake_p50 0.5 ms - value<=1 ok"},
		"value short":      {figure.Alone("wake_p50", "ms", figure.AtMost(1), 3, 1.5, 1), "wake_p50 1.5 ms - value<=1 short # 3 rounds, 1 to 3"},
		"no bound":         {figure.Alone("start", "ms", figure.Bound{}, 2, 4), "start 3 ms - - ok # 2 rounds, 2 to 4"},
		"nothing measured": {figure.Alone("start", "ms", figure.AtMost(5)), "start NaN ms - value<=5 short"},
		"no floor":         {figure.Figure{Name: "read", Unit: "ms", Bound: figure.RatioAtMost(1)}, "read 0 ms - ratio<=1 short"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(test.want, test.figure.String()); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestRounds(t *testing.T) {
	t.Parallel()
	var r figure.Rounds
	r.Add(90, 100)
	r.Add(110, 100)
	r.Add(48, 60)
	want := figure.Figure{
		Name: "x", Value: 90, Unit: "ms", Ratio: new(0.9), Bound: figure.RatioAtMost(1.2),
		Note: "floor 100, 3 rounds, ratio 0.8 to 1.1",
	}
	if diff := cmp.Diff(want, r.Figure("x", "ms", figure.RatioAtMost(1.2))); diff != "" {
		t.Error(diff)
	}
	if f := new(figure.Rounds).Figure("x", "ms", figure.RatioAtMost(1)); !f.Short() {
		t.Errorf("no round keeps a bound: %s", f)
	}
}

func TestQuantile(t *testing.T) {
	t.Parallel()
	numbers := make([]float64, 200)
	for i := range numbers {
		numbers[len(numbers)-1-i] = float64(i + 1)
	}
	for q, want := range map[float64]float64{0: 1, 0.5: 100, 0.99: 198, 1: 200} {
		if got := figure.Quantile(numbers, q); got != want {
			t.Errorf("the %v-quantile is %v, want %v", q, got, want)
		}
	}
	if !math.IsNaN(figure.Quantile(nil, 0.5)) || !math.IsNaN(figure.Median(nil)) {
		t.Error("nothing has a middle")
	}
}
