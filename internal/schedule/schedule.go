// Package schedule computes from the clock which windows of time are open, and the bounds that
// they set to the replicas of a workload. It is pure: nothing is an event that a restart could
// miss, because the same windows and time always give the same state.
//
// Windows follow the clock on the wall of their time zone. A time that a change of the clock
// leaves out is the moment of the change, and one that it repeats is its first occurrence, so
// that no day lacks a window and none has it twice. A program that evaluates zones needs their
// data: it imports time/tzdata where the machine may have none.
package schedule

import (
	"errors"
	"fmt"
	"slices"
	"time"
)

// MaxWindows is the largest number of windows of a schedule.
const MaxWindows = 32

// A Spec describes one window, as its author writes it. It either recurs, with Start and either
// End or Duration, or is dated, with From and Until.
type Spec struct {
	// Name is a label of Kubernetes: lower-case letters, digits and hyphens.
	Name string
	// TimeZone is the name of a zone of the IANA database, such as Europe/Berlin.
	TimeZone string
	// Start and End are five fields of cron: minute, hour, day of the month, month and day of
	// the week. They mean what they mean to a CronJob of Kubernetes.
	Start, End string
	// Duration is the elapsed time from each start: 8h are eight hours, also in the night of a
	// change of the clock.
	Duration time.Duration
	// From and Until are the moments of a dated window.
	From, Until time.Time
	// Floor and Ceiling bound the replicas while the window is open; nil is no bound. Exact
	// stands for both.
	Floor, Ceiling, Exact *int32
	// Ramp is the time before the start in which the floor rises evenly to its value.
	Ramp time.Duration
	// Priority selects among open windows: for each bound those with the highest priority
	// count.
	Priority int32
}

// A Schedule is a set of windows. It is immutable. The zero value has none.
type Schedule struct {
	windows []*window
}

// Parse returns the schedule of the windows, or every mistake in them. The error joins one for each
// mistake, with the window, the field, its value and what is allowed.
func Parse(specs []Spec) (Schedule, error) {
	if len(specs) > MaxWindows {
		return Schedule{}, fmt.Errorf("%d schedules, want at most %d", len(specs), MaxWindows)
	}
	var s Schedule
	var errs []error
	for i, spec := range specs {
		w, mistakes := parseWindow(spec)
		if spec.Name != "" && slices.ContainsFunc(specs[:i], func(other Spec) bool { return other.Name == spec.Name }) {
			mistakes = append(mistakes, errors.New("name: an earlier schedule has the same name, want another"))
		}
		for _, mistake := range mistakes {
			errs = append(errs, fmt.Errorf("schedule %q: %w", spec.Name, mistake))
		}
		s.windows = append(s.windows, w)
	}
	if err := errors.Join(errs...); err != nil {
		return Schedule{}, err
	}
	return s, nil
}

// Empty reports whether the schedule has no window.
func (s Schedule) Empty() bool { return len(s.windows) == 0 }
