package backlogtest

import (
	"errors"
	"math"
	"reflect"
	"testing"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
)

// measures: a number is read to a thousandth, whatever its sign, and zero differs from unknown.
func (h Harness) measures(t *testing.T, c Case) {
	t.Helper()
	if layout, _ := h.Engine.Layout(c.Query(t).Layout); !layout.Measures {
		t.Fatalf("the layout of %s does not measure", c.Name)
	}
	source := h.open(t, h.Address)
	q := c.Query(t)
	if r := Read(t, source, q)[0]; !c.isAbsent(r) {
		t.Fatalf("a number that does not exist reads as %+v, want ErrMismatch alone", r)
	}
	for _, number := range []struct {
		set  float64
		want int64
	}{{3, 3000}, {0.125, 125}, {0.0001, 1}, {-1.5, -1500}, {1e6, 1e9}, {0, 0}} {
		if c.Whole && !isSmallWhole(number.set) {
			continue
		}
		c.Set(t, q, number.set)
		r := MustRead(t, source, q)
		if r.Measured != (backlog.Measurement{Milli: number.want, Known: true}) {
			t.Errorf("%v reads as %+v, want %d thousandths", number.set, r, number.want)
		}
		if r.Backlog() != 0 || r.InFlight.Known || r.Missing {
			t.Errorf("%v reads as %+v, want no messages", number.set, r)
		}
		if r.At.IsZero() || time.Since(r.At) > readTimeout {
			t.Errorf("At is %v, want the time of the answer", r.At)
		}
	}
}

// isSmallWhole reports whether a test can make as many entries as a number says.
func isSmallWhole(number float64) bool {
	return number == math.Trunc(number) && number >= 0 && number <= 1000
}

// put makes n messages ready in an empty queue, or n the number that is measured.
func (c Case) put(t testing.TB, q backlog.Query, n int) {
	t.Helper()
	if c.Set != nil {
		c.Set(t, q, float64(n))
		return
	}
	c.Add(t, q, n)
}

// holds reports whether a result is n messages, or the number n.
func (c Case) holds(r backlog.Result, n int) bool {
	if c.Set != nil {
		return r.Err == nil && r.Reading.Measured == (backlog.Measurement{Milli: 1000 * int64(n), Known: true})
	}
	return r.Err == nil && r.Reading.Backlog() == int64(n)
}

// isAbsent reports whether a result is that of a queue that does not exist. A number that does not
// exist is unknown, so it is an error, and no reading comes with it.
func (c Case) isAbsent(r backlog.Result) bool {
	if c.Set != nil {
		return errors.Is(r.Err, backlog.ErrMismatch) && reflect.ValueOf(r.Reading).IsZero()
	}
	return r.Err == nil && r.Reading.Missing && r.Reading.Backlog() == 0
}
