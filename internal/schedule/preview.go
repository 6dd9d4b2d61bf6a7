package schedule

import (
	"slices"
	"strings"
	"time"
)

// maxPreview is how many occurrences, changes of bounds and overlaps a preview lists of each.
const maxPreview = 4000

// A Preview is what a schedule does between two moments.
type Preview struct {
	// Occurrences are when windows are open, in the order of their starts.
	Occurrences []Occurrence
	// Overlaps are the times in which several windows are open.
	Overlaps []Overlap
	// Changes are the bounds from each moment on at which they change.
	Changes []Change
	// ClockChanges are the changes of the clock in the zones of recurring windows.
	ClockChanges []ClockChange
	// Truncated reports that there are more occurrences, overlaps or changes than a preview
	// lists.
	Truncated bool
}

// An Occurrence is a time in which a window is open.
type Occurrence struct {
	Window string
	// Start and End are in the zone of the window. End is zero if the window recurs without a
	// gap until long after the preview.
	Start, End time.Time
	// StartMoved and EndMoved report that the clock on the wall leaves the time out, so that
	// the moment of its change stands for it.
	StartMoved, EndMoved bool
}

// An Overlap is a time in which the same several windows are open.
type Overlap struct {
	Windows    []string
	Start, End time.Time
	// Floor and Ceiling are the bounds at its start.
	Floor, Ceiling Bound
	// Conflict reports that the floor is above the ceiling.
	Conflict bool
}

// A Change has the bounds from a moment on.
type Change struct {
	At             time.Time
	Floor, Ceiling Bound
	Conflict       bool
	Open           []string
}

// A ClockChange is a change of the clock on the wall.
type ClockChange struct {
	Zone string
	At   time.Time
	// Before and After are the offsets from UTC. The clock goes forward if After is larger.
	Before, After time.Duration
	// Windows are the names of the windows in that zone.
	Windows []string
}

// Preview returns what the schedule does from one moment until just before another.
func (s Schedule) Preview(from, to time.Time) Preview {
	var p Preview
	for _, w := range s.windows {
		p.occurrences(w, from, to)
	}
	slices.SortStableFunc(p.Occurrences, func(a, b Occurrence) int {
		if order := a.Start.Compare(b.Start); order != 0 {
			return order
		}
		return strings.Compare(a.Window, b.Window)
	})
	p.changes(s, from, to)
	p.ClockChanges = s.ClockChanges(from, to)
	return p
}

// occurrences adds those of one window.
func (p *Preview) occurrences(w *window, from, to time.Time) {
	for at := from; ; {
		open, isOpen := w.open(at)
		if !isOpen {
			if at = w.next(at); at.IsZero() || !at.Before(to) {
				return
			}
			continue
		}
		if len(p.Occurrences) == maxPreview {
			p.Truncated = true
			return
		}
		end, isKnown := w.closes(open, maxMerged)
		for !isKnown && end.Before(to) {
			last, _ := w.last(end)
			end, isKnown = w.closes(last, maxMergedPreview)
		}
		if !isKnown {
			end = time.Time{}
		}
		p.Occurrences = append(p.Occurrences, w.occurrence(span{open.start, end}))
		if at = end; at.IsZero() || !at.Before(to) {
			return
		}
	}
}

func (w *window) occurrence(open span) Occurrence {
	start := w.opened(open.start)
	o := Occurrence{Window: w.Name, Start: start.In(w.zone)}
	o.StartMoved = w.start != nil && w.start.moved(start)
	if !open.end.IsZero() {
		o.End = open.end.In(w.zone)
		o.EndMoved = w.end != nil && w.end.moved(open.end)
	}
	return o
}

// changes adds the bounds and the overlaps.
func (p *Preview) changes(s Schedule, from, to time.Time) {
	for at := from; at.Before(to); {
		state := s.At(at)
		if len(p.Changes) == maxPreview {
			p.Truncated = true
			return
		}
		change := Change{At: at, Floor: state.Floor, Ceiling: state.Ceiling, Conflict: state.Conflict, Open: state.Open}
		if last := len(p.Changes) - 1; last < 0 || !p.Changes[last].same(change) {
			p.Changes = append(p.Changes, change)
		}
		end := to
		if !state.Until.IsZero() && state.Until.Before(to) {
			end = state.Until
		}
		p.overlap(state, at, end)
		at = end
	}
}

func (c Change) same(other Change) bool {
	return c.Floor == other.Floor && c.Ceiling == other.Ceiling && slices.Equal(c.Open, other.Open)
}

// overlap adds a time in which the windows of a state are open, or extends the last one.
func (p *Preview) overlap(state State, start, end time.Time) {
	if len(state.Open) < 2 {
		return
	}
	if last := len(p.Overlaps) - 1; last >= 0 && p.Overlaps[last].End.Equal(start) && slices.Equal(p.Overlaps[last].Windows, state.Open) {
		p.Overlaps[last].End = end
		return
	}
	p.Overlaps = append(p.Overlaps, Overlap{
		Windows: state.Open, Start: start, End: end,
		Floor: state.Floor, Ceiling: state.Ceiling, Conflict: state.Conflict,
	})
}

// ClockChanges returns the changes of the clock in the zones of recurring windows, from one moment
// until just before another.
func (s Schedule) ClockChanges(from, to time.Time) []ClockChange {
	var all []ClockChange
	windows := make(map[string][]string)
	for _, w := range s.windows {
		if w.start == nil {
			continue
		}
		zone := w.zone.String()
		if windows[zone] = append(windows[zone], w.Name); len(windows[zone]) > 1 {
			continue
		}
		all = append(all, clockChangesOf(w.zone, from, to)...)
	}
	for i := range all {
		all[i].Windows = windows[all[i].Zone]
	}
	slices.SortStableFunc(all, func(a, b ClockChange) int { return a.At.Compare(b.At) })
	return all
}

func clockChangesOf(zone *time.Location, from, to time.Time) []ClockChange {
	var all []ClockChange
	at := from.In(zone)
	for {
		_, end := at.ZoneBounds()
		if end.IsZero() || !end.Before(to) {
			return all
		}
		_, before := end.Add(-1).Zone()
		_, after := end.Zone()
		if before != after {
			all = append(all, ClockChange{
				Zone: zone.String(), At: end, Before: time.Duration(before) * time.Second, After: time.Duration(after) * time.Second,
			})
		}
		at = end
	}
}
