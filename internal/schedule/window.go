package schedule

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// The limits of a window.
const (
	maxName     = 63
	minDuration = time.Minute
	maxDuration = 31 * 24 * time.Hour
	maxRamp     = 24 * time.Hour
	maxPriority = 1000
	// maxMerged is how many occurrences that touch or overlap are followed to find the edge of
	// their union. A window that recurs without a gap has none.
	maxMerged = 16
	// maxMergedPreview is the same for a preview.
	maxMergedPreview = 1000
)

// A window is a Spec that was parsed and checked.
type window struct {
	Spec
	zone *time.Location
	// start and end are nil for a dated window, and end is nil for one with a duration.
	start, end *recurrence
	// floor and ceiling are those of Spec, or its Exact.
	floor, ceiling *int32
}

// A span is one occurrence of a window: from its start until just before its end.
type span struct{ start, end time.Time }

func parseWindow(spec Spec) (*window, error) {
	w := &window{Spec: spec, floor: spec.Floor, ceiling: spec.Ceiling}
	if spec.Exact != nil {
		w.floor, w.ceiling = spec.Exact, spec.Exact
	}
	err := errors.Join(checkName(spec.Name), w.parseTimes(), checkBounds(&spec), checkRamp(&spec, w.floor))
	return w, err
}

func checkName(name string) error {
	const allowed = "abcdefghijklmnopqrstuvwxyz0123456789-"
	if name == "" || len(name) > maxName || strings.Trim(name, allowed) != "" || strings.Trim(name, "-") != name {
		return fmt.Errorf("name %q: want up to %d lower-case letters, digits and hyphens, such as office-hours", name, maxName)
	}
	return nil
}

// parseTimes parses the zone and either the recurring or the dated times.
func (w *window) parseTimes() error {
	switch {
	case w.Start != "" && !w.From.IsZero():
		return errors.New("start and from: want start for a window that recurs, or from for one that does not")
	case w.Start != "":
		return w.parseRecurring()
	case !w.From.IsZero():
		return w.parseDated()
	default:
		return errors.New("start: missing, want five fields of cron such as 0 7 * * 1-5; or from for a window that does not recur")
	}
}

func (w *window) parseRecurring() error {
	switch {
	case !w.Until.IsZero():
		return errors.New("until goes with from: want end or duration")
	case w.End == "" && w.Duration == 0:
		return errors.New("end: missing, want five fields of cron such as 0 20 * * 1-5, or a duration such as 8h")
	case w.End != "" && w.Duration != 0:
		return errors.New("end and duration: want one of them")
	case w.End == "" && (w.Duration < minDuration || w.Duration > maxDuration):
		return fmt.Errorf("duration %s: want 1m to %gh", w.Duration, maxDuration.Hours())
	}
	var err error
	if w.zone, err = loadZone(w.TimeZone); err != nil {
		return err
	}
	if w.start, err = parseRecurrence(w.Start, w.zone); err != nil {
		return fmt.Errorf("start %q: %w", w.Start, err)
	}
	if w.End == "" {
		return nil
	}
	if w.end, err = parseRecurrence(w.End, w.zone); err != nil {
		return fmt.Errorf("end %q: %w", w.End, err)
	}
	if w.start.fields == w.end.fields {
		return fmt.Errorf("end %q: the same as start, so that the window never closes; want other times, or a duration", w.End)
	}
	return nil
}

func (w *window) parseDated() error {
	switch {
	case w.End != "":
		return errors.New("end goes with start: want until")
	case w.Duration != 0:
		return errors.New("duration goes with start: want until")
	case w.Until.IsZero():
		return errors.New("until: missing, want a time such as 2026-11-30T00:00:00+01:00")
	case !w.From.Before(w.Until):
		return fmt.Errorf("until %s: want a time after from, %s", w.Until.Format(time.RFC3339), w.From.Format(time.RFC3339))
	}
	w.zone = w.From.Location()
	if w.TimeZone == "" {
		return nil
	}
	var err error
	w.zone, err = loadZone(w.TimeZone)
	return err
}

func checkBounds(spec *Spec) error {
	for _, bound := range []struct {
		name  string
		value *int32
	}{{"floor", spec.Floor}, {"ceiling", spec.Ceiling}, {"exact", spec.Exact}} {
		if bound.value != nil && *bound.value < 0 {
			return fmt.Errorf("%s %d: want a number of replicas, 0 or more", bound.name, *bound.value)
		}
	}
	switch {
	case spec.Exact != nil && (spec.Floor != nil || spec.Ceiling != nil):
		return errors.New("exact stands for floor and ceiling: want exact alone, or floor, ceiling or both")
	case spec.Exact == nil && spec.Floor == nil && spec.Ceiling == nil:
		return errors.New("floor: missing, want floor, ceiling or both, or exact")
	case spec.Floor != nil && spec.Ceiling != nil && *spec.Floor > *spec.Ceiling:
		return fmt.Errorf("floor %d: want at most the ceiling, %d", *spec.Floor, *spec.Ceiling)
	case spec.Priority < -maxPriority || spec.Priority > maxPriority:
		return fmt.Errorf("priority %d: want %d to %d", spec.Priority, -maxPriority, maxPriority)
	}
	return nil
}

func checkRamp(spec *Spec, floor *int32) error {
	switch {
	case spec.Ramp < 0 || spec.Ramp > maxRamp:
		return fmt.Errorf("ramp %s: want 0s to %gh", spec.Ramp, maxRamp.Hours())
	case spec.Ramp%time.Millisecond != 0:
		return fmt.Errorf("ramp %s: want whole milliseconds", spec.Ramp)
	case spec.Ramp > 0 && floor == nil:
		return fmt.Errorf("ramp %s goes with floor or exact: want one of them", spec.Ramp)
	}
	return nil
}

// last returns the occurrence with the latest start that is not after t; false if there is
// none. Earlier occurrences never end later.
func (w *window) last(t time.Time) (span, bool) {
	if w.start == nil {
		return span{w.From, w.Until}, !t.Before(w.From)
	}
	start, found := w.start.prev(t)
	return span{start, w.endOf(start)}, found
}

// next returns the first start after t; zero if there is none.
func (w *window) next(t time.Time) time.Time {
	if w.start == nil {
		if t.Before(w.From) {
			return w.From
		}
		return time.Time{}
	}
	start, _ := w.start.next(t)
	return start
}

// endOf returns the end of the occurrence that starts at a moment. Without a further end, which
// is possible only after the years that cron looks ahead, it is the start.
func (w *window) endOf(start time.Time) time.Time {
	if w.end == nil {
		return start.Add(w.Duration)
	}
	if end, found := w.end.next(start); found {
		return end
	}
	return start
}

// open returns the occurrence that is open at t; false if the window is closed.
func (w *window) open(t time.Time) (span, bool) {
	last, found := w.last(t)
	return last, found && t.Before(last.end)
}

// opened returns when the union of occurrences began that the one with a start belongs to; the
// start of an earlier occurrence if it has more of them than are followed.
func (w *window) opened(start time.Time) time.Time {
	for range maxMergedPreview {
		before, found := w.last(start.Add(-1))
		if !found || before.end.Before(start) {
			break
		}
		start = before.start
	}
	return start
}

// closes returns when the union of occurrences ends that s belongs to. If that is not known yet, it
// returns a moment until which the window stays open.
func (w *window) closes(s span, merged int) (end time.Time, known bool) {
	for range merged {
		further, found := w.last(s.end)
		if !found || !further.start.After(s.start) {
			return s.end, true
		}
		s = further
	}
	return s.end, false
}
