package schedule

import (
	"strings"
	"time"
)

// Zones are the names of zones.txt.
func Zones() []string { return strings.Fields(zones) }

// A Recurrence is an expression of cron in a zone.
type Recurrence struct{ r *recurrence }

// ParseRecurrence parses an expression of cron.
func ParseRecurrence(text string, zone *time.Location) (Recurrence, error) {
	r, err := parseRecurrence(text, zone)
	return Recurrence{r}, err
}

// Next returns the first time after t.
func (r Recurrence) Next(t time.Time) (time.Time, bool) { return r.r.next(t) }

// Prev returns the last time that is not after t.
func (r Recurrence) Prev(t time.Time) (time.Time, bool) { return r.r.prev(t) }

// Wall returns what a clock on the wall shows.
func Wall(t time.Time, zone *time.Location) time.Time { return wall(t, zone) }
