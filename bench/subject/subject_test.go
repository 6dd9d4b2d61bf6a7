package subject

import (
	"errors"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/backlog-scaler/backlog-scaler/bench/measurement"
)

func TestCurve(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		points []Point
		want   string
	}{
		"linear": {
			[]Point{{100, 12}, {1000, 48}, {10_000, 408}},
			"growth_memory 408 MB 0.85 ratio<=1.15 ok # 100: 12, 1000: 48, 10000: 408, each further 1",
		},
		"more expensive among many": {
			[]Point{{100, 12}, {1000, 48}, {10_000, 588}},
			"growth_memory 588 MB 1.225 ratio<=1.15 failed # 100: 12, 1000: 48, 10000: 588, each further 1.5",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := Curve{Name: "memory", Unit: "MB", Points: test.points}.measurement(measurement.RatioAtMost(growthLimit)).String()
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestEach(t *testing.T) {
	t.Parallel()
	var seen [100]atomic.Int32
	if err := each(len(seen), 7, func(i int) error {
		seen[i].Add(1)
		return nil
	}); err != nil {
		t.Error(err)
	}
	for i := range seen {
		if n := seen[i].Load(); n != 1 {
			t.Errorf("%d was done %d times", i, n)
		}
	}
	errBroken := errors.New("broken")
	var done atomic.Int32
	err := each(1000, 2, func(i int) error {
		done.Add(1)
		if i == 5 {
			return errBroken
		}
		return nil
	})
	if !errors.Is(err, errBroken) || done.Load() == 1000 {
		t.Errorf("error %v after %d", err, done.Load())
	}
}

func TestEncode(t *testing.T) {
	t.Parallel()
	if got, want := encode("RPUSH", "a:b", "x"), "*3\r\n$5\r\nRPUSH\r\n$3\r\na:b\r\n$1\r\nx\r\n"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}
