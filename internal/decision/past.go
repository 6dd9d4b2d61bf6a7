package decision

import (
	"fmt"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
)

// pastValue is the value of an earlier reading, by the weights and limits of the latest
// one. Arrivals, if they are to count, are those of the latest reading too.
func (m *maker) pastValue(spec *Spec, latest, earlier *backlog.Reading, withArrivals bool) float64 {
	if len(earlier.Parts) == 0 {
		return spec.pastWork(earlier, m.Drain.Arrivals, withArrivals)
	}
	var total float64
	place := 0
	for i := range earlier.Parts {
		queue, r := earlier.Parts[i].Queue, &earlier.Parts[i].Reading
		found, at := findReading(latest, queue, place)
		if found == nil {
			total = spec.join(total, spec.limit(m.weight(spec, queue)*spec.pastWork(r, 0, withArrivals), r))
			continue
		}
		place = at + 1
		now := &m.Parts[at]
		total = spec.join(total, spec.limit(now.Weight*spec.pastWork(r, now.Arrivals, withArrivals), found))
	}
	return total
}

// pastWork is the work of one queue in an earlier reading, without its weight and whatever
// its age was.
func (s *Spec) pastWork(r *backlog.Reading, arrivals float64, withArrivals bool) float64 {
	switch {
	case r.Paused:
		return inFlight(r)
	case withArrivals:
		return s.Count.of(r) + arrivals*s.DrainTime.Seconds()
	default:
		return s.Count.of(r)
	}
}

// atLeastReplaced is the value, or the one of a reading within MaxStaleness of data that
// was replaced since: a server that came back empty, or a replica that lags behind, would
// otherwise report a truthful zero in the middle of an outage. It raises the activation
// value in the same way, and completes it with arrivals that go on.
func (m *maker) atLeastReplaced(spec *Spec, seen *backlog.Observation, now time.Time) float64 {
	value := m.Value
	next := &seen.Latest
	for i := len(seen.Past) - 1; i >= 0; i-- {
		past := &seen.Past[i]
		end := past.At.Add(spec.MaxStaleness)
		if !end.After(now) {
			break
		}
		if past.Epoch != next.Epoch {
			if v := min(m.pastValue(spec, &seen.Latest, past, true), MaxValue); v > value {
				value = v
				m.changesAt(end)
			}
			m.activationValue = max(m.activationValue, m.pastValue(spec, &seen.Latest, past, false))
		}
		next = past
	}
	if m.arriving() {
		m.activationValue = value
	}
	return value
}

// atLeastHeld is the value, or the largest one within the hold window.
func (m *maker) atLeastHeld(spec *Spec, seen *backlog.Observation, now time.Time) float64 {
	largest, until := m.Value, time.Time{}
	for i := len(seen.Past) - 1; i >= 0; i-- {
		past := &seen.Past[i]
		end := past.At.Add(spec.Hold)
		if !end.After(now) {
			break
		}
		if v := m.pastValue(spec, &seen.Latest, past, true); v > largest {
			largest, until = v, end
		}
	}
	if largest > m.Value {
		m.changesAt(until)
	}
	return largest
}

// warmingUp returns an error in place of a decision that might be a shrink: right after the
// program started, values within the windows before are unknown.
func (m *maker) warmingUp(spec *Spec, seen *backlog.Observation, now time.Time) error {
	if !seen.AfterStart {
		return nil
	}
	if end := seen.Since.Add(spec.Hold); end.After(now) {
		first := m.Value
		if len(seen.Past) > 0 {
			first = m.pastValue(spec, &seen.Latest, &seen.Past[0], true)
		}
		if m.Value <= first {
			return m.warmUntil(end, now, fmt.Sprintf("and no value exceeded the first one (%v)", first), "hold", spec.Hold)
		}
	}
	if end := seen.Since.Add(spec.HoldActive); end.After(now) && !m.Active {
		return m.warmUntil(end, now, "and no reading found work", "holdActive", spec.HoldActive)
	}
	return nil
}

func (m *maker) warmUntil(end, now time.Time, but, window string, length time.Duration) error {
	m.note(ReasonWarmingUp)
	m.changesAt(end)
	return fmt.Errorf("%w: the %s window of %s fills in %s, %s", ErrWarmingUp, window, length, end.Sub(now).Round(time.Second), but)
}
