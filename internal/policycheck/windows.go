package policycheck

import (
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/schedule"
)

// clock is how moments are shown: with the day of the week and the zone.
const clock = "Mon 2006-01-02 15:04 MST"

// maxRows is how many changes of bounds are shown.
const maxRows = 200

// A timetable shows what the windows of a policy do.
type timetable struct {
	policy *Policy
	// zone is that of the times: of the first recurring window, else UTC.
	zone *time.Location
	// from and to are the moments between which it shows them.
	from, to time.Time
	preview  schedule.Preview
}

func newTimetable(p *Policy, from, to time.Time) *timetable {
	t := &timetable{policy: p, zone: time.UTC, from: from, to: to, preview: p.compiled.Schedule().Preview(from, to)}
	for i := range p.plain.Spec.Schedules {
		if name := p.plain.Spec.Schedules[i].TimeZone; name != "" {
			if zone, err := time.LoadLocation(name); err == nil {
				t.zone = zone
				break
			}
		}
	}
	return t
}

func (t *timetable) at(moment time.Time) string { return moment.In(t.zone).Format(clock) }

// write writes the bounds as they change, and what is worth knowing of them.
func (t *timetable) write(w io.Writer) {
	fmt.Fprintf(w, "  windows from %s to %s:\n", t.at(t.from), t.at(t.to))
	t.writeBounds(w)
	for _, line := range slices.Concat(t.overlaps(), t.limits(), t.unopened(), t.clockChanges()) {
		fmt.Fprintf(w, "  %s\n", line)
	}
}

func (t *timetable) writeBounds(w io.Writer) {
	changes := t.preview.Changes
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(table, "    FROM\tFLOOR\tCEILING\tOPEN")
	rows := 0
	for i := 0; i < len(changes); rows++ {
		if rows == maxRows {
			break
		}
		first, last := i, i
		for last+1 < len(changes) && changes[last].Floor.Ramping && sameRamp(&changes[last], &changes[last+1]) {
			last++
		}
		i = last + 1
		floor := bound(changes[first].Floor)
		if last > first {
			floor += " to " + bound(changes[last].Floor)
		}
		open := strings.Join(changes[first].Open, ", ")
		if changes[first].Floor.Ramping {
			open = strings.TrimPrefix(open+", "+changes[first].Floor.Window+" soon", ", ")
		}
		if open == "" {
			open = "-"
		}
		_, _ = fmt.Fprintf(table, "    %s\t%s\t%s\t%s\n", t.at(changes[first].At), floor, bound(changes[first].Ceiling), open)
	}
	_ = table.Flush()
	if rows == maxRows || t.preview.Truncated {
		fmt.Fprintln(w, "    ... and more: --for takes a shorter time, and --from a later beginning")
	}
}

// sameRamp reports whether two changes are steps of one ramp.
func sameRamp(a, b *schedule.Change) bool {
	return b.Floor.Ramping && a.Floor.Window == b.Floor.Window && a.Ceiling == b.Ceiling && slices.Equal(a.Open, b.Open)
}

func bound(b schedule.Bound) string {
	if !b.Set() {
		return "-"
	}
	return strconv.Itoa(int(b.Replicas))
}

// overlaps returns a line for each set of windows that are open together.
func (t *timetable) overlaps() []string {
	type group struct {
		first schedule.Overlap
		times int
	}
	var groups []*group
	for _, overlap := range t.preview.Overlaps {
		same := func(g *group) bool {
			return slices.Equal(g.first.Windows, overlap.Windows) && g.first.Floor == overlap.Floor && g.first.Ceiling == overlap.Ceiling
		}
		if i := slices.IndexFunc(groups, same); i >= 0 {
			groups[i].times++
			continue
		}
		groups = append(groups, &group{overlap, 1})
	}
	var lines []string
	for _, g := range groups {
		o := &g.first
		var counts []string
		if o.Floor.Set() {
			counts = append(counts, fmt.Sprintf("the floor of %s, %d", o.Floor.Window, o.Floor.Replicas))
		}
		if o.Ceiling.Set() {
			counts = append(counts, fmt.Sprintf("the ceiling of %s, %d", o.Ceiling.Window, o.Ceiling.Replicas))
		}
		word := "overlap"
		if o.Conflict {
			word = "CONFLICT"
		}
		line := fmt.Sprintf("%s: %s are open together from %s to %s%s: %s", word, strings.Join(o.Windows, " and "), t.at(o.Start), t.at(o.End),
			again(g.times), strings.Join(counts, " and "))
		if o.Conflict {
			line += ". The floor is above the ceiling, so the ceiling counts; priority decides which windows count"
		}
		lines = append(lines, line)
	}
	return lines
}

func again(times int) string {
	if times == 1 {
		return ""
	}
	return fmt.Sprintf(", and %d more times", times-1)
}

// limits returns a line for each window whose bound is outside of those of the policy.
func (t *timetable) limits() []string {
	var lines []string
	spec := &t.policy.plain.Spec
	for i := range spec.Schedules {
		s := &spec.Schedules[i]
		for _, bound := range []struct {
			name     string
			replicas *int32
		}{{"floor", s.Floor}, {"ceiling", s.Ceiling}, {"exact", s.Exact}} {
			switch {
			case bound.replicas == nil:
			case *bound.replicas > spec.MaxReplicas:
				lines = append(lines, fmt.Sprintf("note: %s %d of %s is above maxReplicas, so %d counts", bound.name, *bound.replicas, s.Name, spec.MaxReplicas))
			case *bound.replicas < spec.MinReplicas:
				lines = append(lines, fmt.Sprintf("note: %s %d of %s is below minReplicas, so %d counts", bound.name, *bound.replicas, s.Name, spec.MinReplicas))
			}
		}
	}
	return lines
}

// unopened returns a line for each window that does not open in the time.
func (t *timetable) unopened() []string {
	var lines []string
	spec := &t.policy.plain.Spec
	for i := range spec.Schedules {
		s := &spec.Schedules[i]
		if slices.ContainsFunc(t.preview.Occurrences, func(o schedule.Occurrence) bool { return o.Window == s.Name }) {
			continue
		}
		switch alone, err := schedule.Parse([]schedule.Spec{*s}); {
		case err != nil:
		case s.Start == "" && !s.Until.After(t.from):
			lines = append(lines, fmt.Sprintf("note: %s is over since %s", s.Name, t.at(s.Until)))
		default:
			lines = append(lines, fmt.Sprintf("note: %s does not open in this time; it opens at %s", s.Name, t.at(alone.At(t.from).Next.At)))
		}
	}
	return lines
}

// A Remark is about the windows of a policy.
type Remark struct {
	// Text has what happens, in a sentence.
	Text string
	// Conflict reports a bound that does not count as it is written, or a window that is over.
	Conflict bool
}

// Remarks returns what is worth knowing of the windows of a policy between two moments: windows that
// overlap, bounds outside of those of the policy, and windows that do not open. There are none for a
// policy with mistakes.
func (p *Policy) Remarks(from, to time.Time) []Remark {
	if p.compiled == nil || p.compiled.Schedule().Empty() {
		return nil
	}
	t := newTimetable(p, from, to)
	var remarks []Remark
	for _, line := range t.overlaps() {
		kind, text, _ := strings.Cut(line, ": ")
		remarks = append(remarks, Remark{text, kind == "CONFLICT"})
	}
	for _, line := range t.limits() {
		remarks = append(remarks, Remark{strings.TrimPrefix(line, "note: "), true})
	}
	for _, line := range t.unopened() {
		text := strings.TrimPrefix(line, "note: ")
		remarks = append(remarks, Remark{text, strings.Contains(text, " is over since ")})
	}
	return remarks
}
