package backlog_test

import (
	"errors"
	"math"
	"testing"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
)

// TestMeasured: a number is rounded to a thousandth, and what is no number is refused.
func TestMeasured(t *testing.T) {
	t.Parallel()
	for number, want := range map[float64]string{
		0: "0", 0.93: "0.93", 1e-9: "0.001", -1e-9: "0", 0.0004: "0.001", 12.3456: "12.346", -2.5: "-2.5", 9e12: "9000000000000",
	} {
		m, err := backlog.Measured(number)
		if err != nil || m.String() != want {
			t.Errorf("%v is %s, %v; want %s", number, m, err, want)
		}
	}
	for _, number := range []float64{math.NaN(), math.Inf(1), math.Inf(-1), 1e13, -1e13, math.MaxFloat64} {
		if m, err := backlog.Measured(number); !errors.Is(err, backlog.ErrMismatch) || m.Known {
			t.Errorf("%v is %s, %v; want ErrMismatch", number, m, err)
		}
	}
	if text := (backlog.Measurement{}).String(); text != "unknown" {
		t.Errorf("the zero value is %s", text)
	}
}
