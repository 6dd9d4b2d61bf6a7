// Package policy turns what is known of a queue into what KEDA is told. It is
// pure: the same spec, observation and time always give the same decision.
package policy

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
)

// Counts says which parts of a reading count as work.
type Counts uint8

// The parts of a reading. All of them count by default.
const (
	CountReady Counts = 1 << iota
	CountDue
	CountInFlight

	CountAll = CountReady | CountDue | CountInFlight
)

// Decide turns an observation into a decision. The error wraps ErrUnknown or
// ErrMissing and says why there is none; unknown is never zero.
//
// Worked example: target 5, 23 ready, 4 in flight and a queue whose engine
// allows 5 workers give 27 messages, capped at 25: the HPA wants 5 replicas.
func Decide(spec Spec, seen backlog.Observation, now time.Time) (Decision, error) {
	if err := usable(spec, seen, now); err != nil {
		return Decision{}, err
	}
	d := Decision{Target: spec.Target, Value: spec.count(seen.Latest)}
	if seen.Latest.Paused {
		d.change(Paused, float64(seen.Latest.InFlight.N))
	}
	d.raiseAfterRestart(spec, seen, now)
	d.hold(spec, seen, now)
	d.Active = d.Value > spec.Activation
	if limit := seen.Latest.MaxUseful; limit > 0 {
		d.change(Capped, min(d.Value, float64(limit)*spec.Target))
	}
	if seen.Err != nil {
		d.Steps = append(d.Steps, Step{Bridged, d.Value, d.Value})
	}
	return d, nil
}

// usable tells whether the observation is good enough for a decision.
func usable(spec Spec, seen backlog.Observation, now time.Time) error {
	switch {
	case !seen.Known() && seen.Err == nil:
		return fmt.Errorf("%w: not read yet", ErrUnknown)
	case !seen.Known():
		return fmt.Errorf("%w: never read: %w", ErrUnknown, seen.Err)
	case seen.Err != nil && now.Sub(seen.Latest.At) > spec.MaxStaleness:
		return fmt.Errorf("%w: last read %s ago: %w", ErrUnknown, now.Sub(seen.Latest.At).Round(time.Second), seen.Err)
	case seen.Latest.Missing && spec.MissingIsError:
		return ErrMissing
	}
	return nil
}

// raiseAfterRestart keeps what was last known of an earlier incarnation of the
// server: one that came back empty, or a replica that lags behind, would
// otherwise answer a truthful zero in the middle of an outage.
func (d *Decision) raiseAfterRestart(spec Spec, seen backlog.Observation, now time.Time) {
	next := seen.Latest
	for _, past := range slices.Backward(seen.Past) {
		end := past.At.Add(spec.MaxStaleness)
		if !end.After(now) {
			return
		}
		if v := spec.count(past); past.Epoch != next.Epoch && v > d.Value {
			d.change(Restarted, v)
			d.changesAt(end)
		}
		next = past
	}
}

// hold applies the largest value that was seen within the hold window.
func (d *Decision) hold(spec Spec, seen backlog.Observation, now time.Time) {
	largest, until := d.Value, time.Time{}
	for _, past := range slices.Backward(seen.Past) {
		end := past.At.Add(spec.Hold)
		if !end.After(now) {
			break
		}
		if v := spec.count(past); v > largest {
			largest, until = v, end
		}
	}
	if largest > d.Value {
		d.change(Held, largest)
		d.changesAt(until)
	}
}

// change sets the value and notes the step if that changes anything.
func (d *Decision) change(why Reason, value float64) {
	if value != d.Value {
		d.Steps = append(d.Steps, Step{why, d.Value, value})
		d.Value = value
	}
}

// changesAt notes that the decision may change at t.
func (d *Decision) changesAt(t time.Time) {
	if d.Until.IsZero() || t.Before(d.Until) {
		d.Until = t
	}
}

// count adds up the parts of a reading that count. Engines never report negative
// numbers; should one do so, it must not hide the others.
func (s Spec) count(r backlog.Reading) float64 {
	parts := s.Count
	if parts == 0 {
		parts = CountAll
	}
	var n float64
	if parts&CountReady != 0 {
		n += math.Max(0, float64(r.Ready))
	}
	if parts&CountDue != 0 {
		n += math.Max(0, float64(r.Due))
	}
	if parts&CountInFlight != 0 {
		n += math.Max(0, float64(r.InFlight.N))
	}
	return n
}

// countNames are the names of the parts, in the order of their bits.
func countNames() []string { return []string{"ready", "due", "inFlight"} }

// ParseCounts reads the names of the parts that count.
func ParseCounts(names []string) (Counts, error) {
	var c Counts
	for _, name := range names {
		i := slices.Index(countNames(), name)
		if i < 0 {
			return 0, fmt.Errorf("%q is not one of %s", name, strings.Join(countNames(), ", "))
		}
		c |= 1 << i
	}
	return c, nil
}

func (c Counts) String() string {
	var names []string
	for i, name := range countNames() {
		if c&(1<<i) != 0 {
			names = append(names, name)
		}
	}
	return strings.Join(names, ",")
}
