package schedule

import (
	"errors"
	"fmt"
	"sort"
	"strings"
	"time"

	"github.com/robfig/cron/v3"

	"github.com/backlog-scaler/backlog-scaler/internal/spelling"
)

// maxCron is the length of an expression in bytes.
const maxCron = 64

// yearsAhead is how far cron looks ahead from a time. The longest gap between two times is that
// of 29 February around a year such as 2100: eight years.
const yearsAhead = 5

// A recurrence is an expression of cron in a time zone. Cron is evaluated on the clock on the
// wall as if it were UTC; moment maps what the clock shows to a moment. Cron's own evaluation
// in a zone loses each time that a change of the clock leaves out:
// https://github.com/robfig/cron/pull/541
type recurrence struct {
	times cron.Schedule
	zone  *time.Location
	// fields is the expression with single blanks.
	fields string
}

// parseRecurrence parses an expression. The error has every mistake in its fields.
func parseRecurrence(text string, zone *time.Location) (*recurrence, error) {
	fields := strings.Fields(text)
	switch {
	case len(text) > maxCron:
		return nil, fmt.Errorf("%d bytes long, want at most %d", len(text), maxCron)
	case strings.HasPrefix(text, "@"):
		return nil, errors.New("want five fields of cron such as 0 7 * * 1-5, no @ name")
	case strings.Contains(text, "TZ="):
		return nil, errors.New("want the zone in timeZone, not in the expression")
	case len(fields) != len(cronFields()):
		return nil, fmt.Errorf("%d fields, want five: minute, hour, day of the month, month, day of the week", len(fields))
	}
	var mistakes []string
	for i, field := range cronFields() {
		if err := field.check(i, fields[i]); err != nil {
			mistakes = append(mistakes, err.Error())
		}
	}
	if len(mistakes) > 0 {
		return nil, errors.New(strings.Join(mistakes, "; "))
	}
	times, err := parser().Parse(strings.Join(fields, " "))
	if err != nil {
		return nil, fmt.Errorf("parse expression of cron: %w", err)
	}
	r := &recurrence{times: times, zone: zone, fields: strings.Join(fields, " ")}
	if _, found := r.next(time.Date(2000, time.January, 1, 0, 0, 0, 0, time.UTC)); !found {
		return nil, errors.New("matches no day of any year, want days that exist")
	}
	return r, nil
}

// parser takes the five fields alone.
func parser() cron.Parser {
	return cron.NewParser(cron.Minute | cron.Hour | cron.Dom | cron.Month | cron.Dow)
}

// A cronField describes one of the five fields.
type cronField struct {
	name, want string
	names      []string
}

func cronFields() []cronField {
	return []cronField{
		{"minute", "0-59", nil},
		{"hour", "0-23", nil},
		{"day of the month", "1-31", nil},
		{"month", "1-12 or jan-dec", []string{"jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"}},
		{"day of the week", "0-6 or sun-sat, where 0 is Sunday", []string{"sun", "mon", "tue", "wed", "thu", "fri", "sat"}},
	}
}

// check parses one field on its own, so that an error can name it.
func (f cronField) check(place int, text string) error {
	all := []string{"*", "*", "*", "*", "*"}
	all[place] = text
	_, err := parser().Parse(strings.Join(all, " "))
	if err == nil && strings.Trim(text, ",") == text && !strings.Contains(text, ",,") {
		return nil
	}
	hint := ""
	letters := strings.FieldsFunc(text, func(r rune) bool { return r < 'A' })
	for _, word := range letters {
		if near := spelling.Nearest(word, f.names); near != "" && !strings.EqualFold(near, word) {
			hint = fmt.Sprintf("; did you mean %s?", near)
		}
	}
	return fmt.Errorf("%s %q: want *, or %s, with lists such as 1,3, ranges such as 1-5 and steps such as */2%s", f.name, text, f.want, hint)
}

// next returns the first time after t; false if there is none in ten years.
//
// The moments of growing times on the wall never decrease, so the first one after t belongs to
// a time on the wall that is later than the one at t.
func (r *recurrence) next(t time.Time) (time.Time, bool) {
	shown := wall(t, r.zone)
	for {
		if shown = r.nextShown(shown); shown.IsZero() {
			return time.Time{}, false
		}
		if at := moment(shown, r.zone); at.After(t) {
			return at, true
		}
	}
}

func (r *recurrence) nextShown(shown time.Time) time.Time {
	if next := r.times.Next(shown); !next.IsZero() {
		return next
	}
	return r.times.Next(shown.AddDate(yearsAhead, 0, 0))
}

// prev returns the last time that is not after t; false if there is none in ten years. Cron
// only looks forward, so it looks back by growing periods and searches in the first one that
// has a time.
func (r *recurrence) prev(t time.Time) (time.Time, bool) {
	for _, back := range []time.Duration{time.Hour, 25 * time.Hour, 8 * 24 * time.Hour, 367 * 24 * time.Hour, 10 * 366 * 24 * time.Hour} {
		from := t.Add(-back)
		if first, found := r.next(from); !found || first.After(t) {
			continue
		}
		// The largest number of seconds after which next still finds a time up to t.
		seconds := sort.Search(int(back/time.Second), func(i int) bool {
			at, found := r.next(from.Add(time.Duration(i+1) * time.Second))
			return !found || at.After(t)
		})
		return r.next(from.Add(time.Duration(seconds) * time.Second))
	}
	return time.Time{}, false
}

// moved reports whether an occurrence stands for times that a change of the clock left out.
func (r *recurrence) moved(at time.Time) bool {
	shown := wall(at, r.zone)
	return !r.times.Next(shown.Add(-time.Second)).Equal(shown)
}
