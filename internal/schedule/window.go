package schedule

import (
	"errors"
	"fmt"
	"slices"
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

// parseWindow returns a window, and every mistake in it.
func parseWindow(spec Spec) (*window, []error) {
	w := &window{Spec: spec, floor: spec.Floor, ceiling: spec.Ceiling}
	if spec.Exact != nil {
		w.floor, w.ceiling = spec.Exact, spec.Exact
	}
	mistakes := slices.Concat([]error{checkName(spec.Name)}, checkForm(&spec), w.parseTimes(), checkBounds(&spec), checkRamp(&spec, w.floor))
	return w, slices.DeleteFunc(mistakes, func(err error) bool { return err == nil })
}

func checkName(name string) error {
	const allowed = "abcdefghijklmnopqrstuvwxyz0123456789-"
	if name == "" || len(name) > maxName || strings.Trim(name, allowed) != "" || strings.Trim(name, "-") != name {
		return fmt.Errorf("name %q: want up to %d lower-case letters, digits and hyphens, such as office-hours", name, maxName)
	}
	return nil
}

// checkForm checks that a window either recurs or is dated, and that it ends.
func checkForm(spec *Spec) []error {
	recurs, dated := spec.Start != "", !spec.From.IsZero()
	switch {
	case recurs && dated:
		return []error{errors.New("start and from: want start for a window that recurs, or from for one that does not")}
	case recurs:
		return checkRecurring(spec)
	case dated:
		return checkDated(spec)
	default:
		return []error{errors.New("start: missing, want five fields of cron such as 0 7 * * 1-5; or from for a window that does not recur")}
	}
}

func checkRecurring(spec *Spec) []error {
	var mistakes []error
	if !spec.Until.IsZero() {
		mistakes = append(mistakes, errors.New("until goes with from: want end or duration"))
	}
	switch {
	case spec.End == "" && spec.Duration == 0:
		mistakes = append(mistakes, errors.New("end: missing, want five fields of cron such as 0 20 * * 1-5, or a duration such as 8h"))
	case spec.End != "" && spec.Duration != 0:
		mistakes = append(mistakes, errors.New("end and duration: want one of them"))
	}
	return mistakes
}

func checkDated(spec *Spec) []error {
	var mistakes []error
	if spec.End != "" {
		mistakes = append(mistakes, errors.New("end goes with start: want until"))
	}
	if spec.Duration != 0 {
		mistakes = append(mistakes, errors.New("duration goes with start: want until"))
	}
	if spec.Until.IsZero() {
		mistakes = append(mistakes, errors.New("until: missing, want a time such as 2026-11-30T00:00:00+01:00"))
	}
	return mistakes
}

// parseTimes parses all times that are written, also those that do not go together.
func (w *window) parseTimes() []error {
	mistakes := []error{w.parseZone()}
	parse := func(field, text string) *recurrence {
		if text == "" {
			return nil
		}
		parsed, err := parseRecurrence(text, w.zone)
		if err != nil {
			mistakes = append(mistakes, fmt.Errorf("%s %q: %w", field, text, err))
		}
		return parsed
	}
	w.start, w.end = parse("start", w.Start), parse("end", w.End)
	if w.start != nil && w.end != nil && w.start.fields == w.end.fields {
		mistakes = append(mistakes, fmt.Errorf("end %q: the same as start, so that the window never closes; want other times, or a duration", w.End))
	}
	if w.Duration != 0 && (w.Duration < minDuration || w.Duration > maxDuration) {
		mistakes = append(mistakes, fmt.Errorf("duration %s: want 1m to %gh", w.Duration, maxDuration.Hours()))
	}
	if !w.From.IsZero() && !w.Until.IsZero() && !w.From.Before(w.Until) {
		mistakes = append(mistakes, fmt.Errorf("until %s: want a time after from, %s", w.Until.Format(time.RFC3339), w.From.Format(time.RFC3339)))
	}
	return mistakes
}

// parseZone finds the zone. A dated window needs none. Without a zone, cron is checked in UTC.
func (w *window) parseZone() error {
	w.zone = w.From.Location()
	if w.TimeZone == "" && w.Start == "" {
		return nil
	}
	zone, err := loadZone(w.TimeZone)
	if err == nil {
		w.zone = zone
	}
	return err
}

func checkBounds(spec *Spec) []error {
	var mistakes []error
	for _, bound := range []struct {
		name  string
		value *int32
	}{{"floor", spec.Floor}, {"ceiling", spec.Ceiling}, {"exact", spec.Exact}} {
		if bound.value != nil && *bound.value < 0 {
			mistakes = append(mistakes, fmt.Errorf("%s %d: want a number of replicas, 0 or more", bound.name, *bound.value))
		}
	}
	switch {
	case spec.Exact != nil && (spec.Floor != nil || spec.Ceiling != nil):
		mistakes = append(mistakes, errors.New("exact stands for floor and ceiling: want exact alone, or floor, ceiling or both"))
	case spec.Exact == nil && spec.Floor == nil && spec.Ceiling == nil:
		mistakes = append(mistakes, errors.New("floor: missing, want floor, ceiling or both, or exact"))
	case spec.Floor != nil && spec.Ceiling != nil && *spec.Floor > *spec.Ceiling && *spec.Ceiling >= 0:
		mistakes = append(mistakes, fmt.Errorf("floor %d: want at most the ceiling, %d", *spec.Floor, *spec.Ceiling))
	}
	return append(mistakes, checkPriority(spec.Priority))
}

func checkPriority(priority int32) error {
	if priority < -maxPriority || priority > maxPriority {
		return fmt.Errorf("priority %d: want %d to %d", priority, -maxPriority, maxPriority)
	}
	return nil
}

func checkRamp(spec *Spec, floor *int32) []error {
	var mistakes []error
	if spec.Ramp < 0 || spec.Ramp > maxRamp {
		mistakes = append(mistakes, fmt.Errorf("ramp %s: want 0s to %gh", spec.Ramp, maxRamp.Hours()))
	}
	if spec.Ramp%time.Millisecond != 0 {
		mistakes = append(mistakes, fmt.Errorf("ramp %s: want whole milliseconds", spec.Ramp))
	}
	if spec.Ramp > 0 && floor == nil {
		mistakes = append(mistakes, fmt.Errorf("ramp %s goes with floor or exact: want one of them", spec.Ramp))
	}
	return mistakes
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
