package policy

import (
	"math"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
)

// fastParts is the part of the window, a sixth, over which the fast estimate looks.
// With the default window of a minute that is 10 s: two thirds of the time between
// two looks of the HPA.
const fastParts = 6

// A rate is how many messages arrive in a second.
type rate struct {
	slow, fast float64
	// lowerBound says that there was no counter: what came and went between two
	// readings was not seen.
	lowerBound bool
}

// value is the estimate that counts: the fast one may only raise.
func (r rate) value() float64 { return max(r.slow, r.fast) }

// rate estimates the arrivals of a queue, of the only one if queue is empty.
//
// The slow estimate is what arrived within the window, divided by the window. The
// fast one looks at the last sixth of it in two halves, and takes the smaller: what
// came all at once is a burst, which the backlog shows already, and no rate.
//
// All divisions are by at least the time in which the messages arrived, so a window
// that is not filled yet gives too little and never too much. Where the data was
// replaced or a counter went back, nothing arrived as far as one can tell.
//
// Worked: a counter that is read each second and grows by 10 from the reading of
// 60 s ago to the last one, 600 in all, with a window of 60 s: slow is 10. The two
// halves of the last 10 s saw 50 each: fast is 10 too. If the rate then becomes 100,
// fast is 100 after 10 s, when slow is (50*10 + 10*100) / 60 = 25.
func (s Spec) rate(seen *backlog.Observation, queue string) rate {
	end := seen.Latest.At
	half := s.RateWindow / fastParts / 2
	if half <= 0 {
		return rate{}
	}
	var all, first, second float64
	var from, to time.Time // what first spans
	var estimate rate
	later, place := reading(&seen.Latest, queue, 0)
	laterAt, laterEpoch := end, seen.Latest.Epoch
	for i := len(seen.Past) - 1; i >= 0; i-- {
		past := &seen.Past[i]
		age := end.Sub(past.At)
		if age > s.RateWindow {
			break
		}
		var earlier *backlog.Reading
		earlier, place = reading(past, queue, place)
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

// arrived is how many messages arrived between two readings of one queue, and whether
// they were counted. A reading is nil if the queue was not there.
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

// reading is that of a queue within a reading of several; the reading itself if
// queue is empty, and nil if the queue is not there. It looks at place first and
// returns where it found the queue.
func reading(r *backlog.Reading, queue string, place int) (found *backlog.Reading, at int) {
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

// drain notes what the value of a queue was computed from.
func (d *Decision) drain(spec Spec, r rate) {
	d.Drain.Time, d.Drain.Throughput, d.Drain.Window = spec.DrainTime, spec.Throughput(), spec.RateWindow
	d.Drain.Slow += r.slow
	d.Drain.Fast += r.fast
	d.Drain.Arrivals += r.value()
	d.Drain.LowerBound = d.Drain.LowerBound || r.lowerBound
}
