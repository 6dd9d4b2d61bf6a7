package policycheck

import (
	"fmt"
	"strings"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/schedule"
)

// The time in which changes of the clock are looked for, and that around a change in which windows
// are looked at.
const (
	clockAhead  = 366 * 24 * time.Hour
	clockAround = 3 * time.Hour
)

// clockChanges returns a line for each change of the clock in the year after the beginning, and one
// for what each window does then.
func (t *timetable) clockChanges() []string {
	s := t.policy.compiled.Schedule()
	var lines []string
	for _, change := range s.ClockChanges(t.from, t.from.Add(clockAhead)) {
		zone, err := time.LoadLocation(change.Zone)
		if err != nil {
			continue
		}
		around := s.Preview(change.At.Add(-clockAround), change.At.Add(clockAround))
		lines = append(lines, describeClock(&change, zone))
		for _, name := range change.Windows {
			lines = append(lines, "  "+describeOccurrence(around.Occurrences, name, &change, zone))
		}
	}
	return lines
}

func describeClock(change *schedule.ClockChange, zone *time.Location) string {
	direction := "forward"
	if change.After < change.Before {
		direction = "back"
	}
	before := change.At.UTC().Add(change.Before).Format("15:04")
	return fmt.Sprintf("clock: on %s in %s it goes %s from %s to %s", change.At.In(zone).Format("Mon 2006-01-02"), change.Zone, direction, before,
		change.At.In(zone).Format("15:04"))
}

// describeOccurrence says what a window does at a change of the clock.
func describeOccurrence(all []schedule.Occurrence, name string, change *schedule.ClockChange, zone *time.Location) string {
	for i := range all {
		o := &all[i]
		if o.Window != name {
			continue
		}
		over := o.Start.Before(change.At) && o.End.After(change.At)
		switch effects := effectsOn(o, change); {
		case o.End.IsZero():
			return name + ": stays open"
		case len(effects) > 0 || over:
			return strings.Join(append([]string{describeLength(o, zone)}, effects...), "; ")
		}
	}
	return name + ": not open then, so nothing changes"
}

// effectsOn returns what a change of the clock does to the start and the end of a window.
func effectsOn(o *schedule.Occurrence, change *schedule.ClockChange) []string {
	var effects []string
	for _, effect := range []struct {
		is   bool
		text string
	}{
		{o.StartMoved && o.Start.Equal(change.At), "its start is left out by the clock, so it opens at the change"},
		{o.EndMoved && o.End.Equal(change.At), "its end is left out by the clock, so it closes at the change"},
		{repeated(o.Start, change), "the clock shows its start twice, and it opens at the first"},
		{repeated(o.End, change), "the clock shows its end twice, and it closes at the first"},
	} {
		if effect.is {
			effects = append(effects, effect.text)
		}
	}
	return effects
}

// describeLength says when a window is open, and for how long.
func describeLength(o *schedule.Occurrence, zone *time.Location) string {
	const short = "Mon 15:04"
	elapsed, shown := o.End.Sub(o.Start), onWall(o.End, zone).Sub(onWall(o.Start, zone))
	text := fmt.Sprintf("%s: %s to %s, %s", o.Window, o.Start.In(zone).Format(short), o.End.In(zone).Format(short), length(elapsed))
	if shown != elapsed {
		text += " where the clock shows " + length(shown)
	}
	return text
}

// repeated reports whether the clock shows a moment again after it goes back.
func repeated(at time.Time, change *schedule.ClockChange) bool {
	twice := change.Before - change.After
	return twice > 0 && !at.IsZero() && at.Before(change.At) && !at.Before(change.At.Add(-twice))
}

// onWall returns what the clock of a zone shows, as if that were UTC.
func onWall(at time.Time, zone *time.Location) time.Time {
	_, offset := at.In(zone).Zone()
	return at.UTC().Add(time.Duration(offset) * time.Second)
}
