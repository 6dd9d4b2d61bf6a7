package figures_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/backlog-scaler/backlog-scaler/e2e/figures"
)

func TestQuantile(t *testing.T) {
	t.Parallel()
	thirty := make([]time.Duration, 30)
	for i := range thirty {
		thirty[i] = time.Duration(30-i) * time.Millisecond // 30, 29, ... 1: order does not matter
	}
	for name, test := range map[string]struct {
		samples []time.Duration
		q       float64
		want    time.Duration
	}{
		"none":             {q: 0.5, want: 0},
		"one":              {samples: thirty[:1], q: 0.5, want: 30 * time.Millisecond},
		"median of thirty": {samples: thirty, q: 0.5, want: 15 * time.Millisecond},
		"p99 of thirty":    {samples: thirty, q: 0.99, want: 30 * time.Millisecond},
		"least":            {samples: thirty, q: 0, want: time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(test.want, figures.Quantile(test.samples, test.q)); diff != "" {
				t.Errorf("Quantile (-want +got):\n%s", diff)
			}
		})
	}
}

func TestPrint(t *testing.T) {
	t.Parallel()
	var table figures.Table
	table.Duration("2 later", "slow", 1500*time.Millisecond, "")
	table.Duration("1 first", "fast", 12345*time.Microsecond, "at most 20ms")
	var out strings.Builder
	if err := table.Print(&out); err != nil {
		t.Fatal(err)
	}
	want := "" +
		"scenario  figure  value     asserted\n" +
		"1 first   fast    12.35 ms  at most 20ms\n" +
		"2 later   slow    1.5 s     \n"
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Errorf("Print (-want +got):\n%s", diff)
	}
}
