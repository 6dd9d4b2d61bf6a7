package decision

import (
	"math"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
)

// fastParts is the part of the window, a sixth, that the fast estimate covers. With the
// default window of a minute that is 10 s: two thirds of the HPA's sync period.
const fastParts = 6

// A rate is the number of messages that arrive in a second.
type rate struct {
	slow, fast float64
	// lowerBound reports that there was no counter: messages that came and went between two
	// readings are missing.
	lowerBound bool
}

// value returns the estimate that counts: the fast one may only raise it.
func (r rate) value() float64 { return max(r.slow, r.fast) }

// rate estimates the arrivals of a queue; of the only one if queue is empty.
//
// The slow estimate is the number of arrivals within the window, divided by the window. The
// fast one takes the last sixth of the window in two halves, and of these the smaller: a
// burst that comes all at once is already in the backlog and is not a rate.
//
// All divisions are by at least the time in which the messages arrived, so a window that is
// not yet filled gives too little and never too much. Where the data was replaced or a
// counter went back, nothing counts as arrived.
//
// Worked: a counter is read each second and grows by 10 each time, 600 within a window of
// 60 s: slow is 10. The two halves of the last 10 s have 50 each: fast is 10 too. If the
// rate then becomes 100, fast is 100 after 10 s, when slow is (50*10 + 10*100) / 60 = 25.
func (s *Spec) rate(seen *backlog.Observation, queue string) rate {
	end := seen.Latest.At
	half := s.RateWindow / fastParts / 2
	if half <= 0 {
		return rate{}
	}
	var all, first, second float64
	var from, to time.Time // what first spans
	var estimate rate
	later, place := findReading(&seen.Latest, queue, 0)
	laterAt, laterEpoch := end, seen.Latest.Epoch
	for i := len(seen.Past) - 1; i >= 0; i-- {
		past := &seen.Past[i]
		age := end.Sub(past.At)
		if age > s.RateWindow {
			break
		}
		var earlier *backlog.Reading
		earlier, place = findReading(past, queue, place)
		if past.Epoch == laterEpoch {
			n, counted := arrived(earlier, later)
			estimate.lowerBound = estimate.lowerBound || !counted
			all += n
			switch {
			case age <= half:
				second += n
			case age <= 2*half:
				if to.IsZero() {
					to = laterAt
				}
				first, from = first+n, past.At
			}
		}
		later, laterAt, laterEpoch = earlier, past.At, past.Epoch
	}
	if later != nil && !later.Enqueued.Known {
		estimate.lowerBound = true
	}
	estimate.slow = all / s.RateWindow.Seconds()
	estimate.fast = min(first/max(half, to.Sub(from)).Seconds(), second/half.Seconds())
	return estimate
}

// arrived returns the number of messages that arrived between two readings of one queue,
// and whether a counter of the engine reported them. A reading is nil if the queue did not
// exist.
func arrived(earlier, later *backlog.Reading) (n float64, counted bool) {
	switch {
	case later == nil:
		return 0, true
	case earlier == nil:
		return math.Max(0, float64(later.Backlog())), false
	case earlier.Enqueued.Known && later.Enqueued.Known:
		return math.Max(0, float64(later.Enqueued.N)-float64(earlier.Enqueued.N)), true
	default:
		return math.Max(0, CountAll.of(later)-CountAll.of(earlier)), false
	}
}

// findReading returns the reading of a queue within a reading of several; the reading itself
// if queue is empty, and nil if there is none. The search begins at place; at is where the
// queue was found.
func findReading(r *backlog.Reading, queue string, place int) (found *backlog.Reading, at int) {
	if queue == "" {
		return r, 0
	}
	for i := range r.Parts {
		at = (place + i) % len(r.Parts)
		if r.Parts[at].Queue == queue {
			return &r.Parts[at].Reading, at
		}
	}
	return nil, place
}

// addRate adds the rate of a queue to Drain.
func (m *maker) addRate(spec *Spec, r rate) {
	d := &m.Drain
	d.Time, d.Throughput, d.Window = spec.DrainTime, spec.Throughput(), spec.RateWindow
	d.Slow += r.slow
	d.Fast += r.fast
	d.Arrivals += r.value()
	d.LowerBound = d.LowerBound || r.lowerBound
}
