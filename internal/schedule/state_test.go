package schedule_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/backlog-scaler/backlog-scaler/internal/schedule"
)

// text writes a state in one line.
func text(s schedule.State) string {
	bound := func(b schedule.Bound) string {
		switch {
		case !b.Set():
			return "-"
		case b.Ramping:
			return fmt.Sprintf("%d (%s, ramping)", b.Replicas, b.Window)
		}
		return fmt.Sprintf("%d (%s)", b.Replicas, b.Window)
	}
	line := fmt.Sprintf("floor %s ceiling %s", bound(s.Floor), bound(s.Ceiling))
	if s.Conflict {
		line += " conflict"
	}
	if len(s.Open) > 0 {
		line += fmt.Sprint(" open ", s.Open)
	}
	if s.Next.Window != "" {
		edge := "closes"
		if s.Next.Opens {
			edge = "opens"
		}
		line += fmt.Sprintf(" then %s %s %s", s.Next.Window, edge, s.Next.At.UTC().Format(time.RFC3339))
	}
	return line
}

func TestAt(t *testing.T) {
	t.Parallel()
	office := schedule.Spec{Name: "office", TimeZone: "Europe/Berlin", Start: "0 7 * * 1-5", End: "0 20 * * 1-5", Floor: new(int32(10)), Ramp: 15 * time.Minute}
	night := schedule.Spec{Name: "night", TimeZone: "Europe/Berlin", Start: "0 22 * * *", Duration: 8 * time.Hour, Ceiling: new(int32(2))}
	sale := schedule.Spec{
		Name: "sale", From: moment(t, "2026-11-27T00:00:00+01:00"), Until: moment(t, "2026-11-30T00:00:00+01:00"),
		Exact: new(int32(40)), Priority: 10,
	}
	all := []schedule.Spec{office, night, sale}
	for _, tc := range []struct {
		name  string
		specs []schedule.Spec
		at    string
		want  string
	}{
		{"no window says nothing", nil, "2026-11-24T12:00:00Z", "floor - ceiling -"},
		{
			"outside of all windows a schedule says nothing", all, "2026-11-24T20:30:00+01:00",
			"floor - ceiling - then night opens 2026-11-24T21:00:00Z",
		},
		{
			"a window opens at its start", all, "2026-11-24T07:00:00+01:00",
			"floor 10 (office) ceiling - open [office] then office closes 2026-11-24T19:00:00Z",
		},
		{
			"and closes at its end", all, "2026-11-24T20:00:00+01:00",
			"floor - ceiling - then night opens 2026-11-24T21:00:00Z",
		},
		{
			"a night lasts past midnight", all, "2026-11-24T03:00:00+01:00",
			"floor - ceiling 2 (night) open [night] then night closes 2026-11-24T05:00:00Z",
		},
		{
			"eight hours are eight hours, also when the clock goes back", all, "2026-10-25T04:00:00+01:00",
			"floor - ceiling 2 (night) open [night] then night closes 2026-10-25T04:00:00Z",
		},
		{
			"a ramp begins with one replica", all, "2026-11-24T06:45:00+01:00",
			"floor 1 (office, ramping) ceiling - then office opens 2026-11-24T06:00:00Z",
		},
		{
			"and has them all before the start", all, "2026-11-24T06:58:30+01:00",
			"floor 10 (office, ramping) ceiling - then office opens 2026-11-24T06:00:00Z",
		},
		{
			"the highest priority counts, for each bound", all, "2026-11-27T08:00:00+01:00",
			"floor 40 (sale) ceiling 40 (sale) open [office sale] then office closes 2026-11-27T19:00:00Z",
		},
		{
			"a ramp does not count below the priority of an open window", all, "2026-11-27T06:50:00+01:00",
			"floor 40 (sale) ceiling 40 (sale) open [sale] then office opens 2026-11-27T06:00:00Z",
		},
		{
			"the largest floor and the smallest ceiling of one priority",
			[]schedule.Spec{
				{Name: "a", TimeZone: "UTC", Start: "0 0 * * *", End: "0 12 * * *", Floor: new(int32(3)), Ceiling: new(int32(9))},
				{Name: "b", TimeZone: "UTC", Start: "0 0 * * *", End: "0 12 * * *", Floor: new(int32(4)), Ceiling: new(int32(8))},
				{Name: "c", TimeZone: "UTC", Start: "0 0 * * *", End: "0 12 * * *", Floor: new(int32(2)), Ceiling: new(int32(7)), Priority: -1},
			},
			"2026-11-24T08:00:00Z",
			"floor 4 (b) ceiling 8 (b) open [a b c] then a closes 2026-11-24T12:00:00Z",
		},
		{
			"a floor above the ceiling is a conflict",
			[]schedule.Spec{
				office,
				{Name: "backup", TimeZone: "Europe/Berlin", Start: "0 9 * * *", Duration: time.Hour, Ceiling: new(int32(5))},
			},
			"2026-11-24T09:30:00+01:00",
			"floor 10 (office) ceiling 5 (backup) conflict open [office backup] then backup closes 2026-11-24T09:00:00Z",
		},
		{
			"of equal bounds the first by name counts",
			[]schedule.Spec{
				{Name: "b", TimeZone: "UTC", Start: "0 0 * * *", Duration: time.Hour, Floor: new(int32(3))},
				{Name: "a", TimeZone: "UTC", Start: "0 0 * * *", Duration: time.Hour, Floor: new(int32(3))},
			},
			"2026-11-24T00:30:00Z",
			"floor 3 (a) ceiling - open [b a] then a closes 2026-11-24T01:00:00Z",
		},
		{
			"a ramp raises a lower floor of the same priority",
			[]schedule.Spec{
				{Name: "day", TimeZone: "UTC", Start: "0 6 * * *", End: "0 18 * * *", Floor: new(int32(3))},
				{Name: "noon", TimeZone: "UTC", Start: "0 12 * * *", Duration: time.Hour, Floor: new(int32(12)), Ramp: time.Hour, Priority: 1},
			},
			"2026-11-24T11:30:00Z",
			"floor 7 (noon, ramping) ceiling - open [day] then noon opens 2026-11-24T12:00:00Z",
		},
		{
			"and never lowers it",
			[]schedule.Spec{
				{Name: "day", TimeZone: "UTC", Start: "0 6 * * *", End: "0 18 * * *", Floor: new(int32(3))},
				{Name: "noon", TimeZone: "UTC", Start: "0 12 * * *", Duration: time.Hour, Floor: new(int32(12)), Ramp: time.Hour, Priority: 1},
			},
			"2026-11-24T11:00:00Z",
			"floor 3 (day) ceiling - open [day] then noon opens 2026-11-24T12:00:00Z",
		},
		{
			"work days that overlap are one window",
			[]schedule.Spec{
				{Name: "week", TimeZone: "UTC", Start: "0 7 * * 1-5", End: "0 20 * * 5", Floor: new(int32(1)), Ramp: time.Hour},
			},
			"2026-11-25T06:30:00Z",
			"floor 1 (week) ceiling - open [week] then week closes 2026-11-27T20:00:00Z",
		},
		{
			"days that touch have no edge between them",
			[]schedule.Spec{
				{Name: "days", TimeZone: "UTC", Start: "0 0 * * 1-2", Duration: 24 * time.Hour, Floor: new(int32(1))},
			},
			"2026-11-23T12:00:00Z",
			"floor 1 (days) ceiling - open [days] then days closes 2026-11-25T00:00:00Z",
		},
		{
			"a window that is always open has no edge",
			[]schedule.Spec{
				{Name: "always", TimeZone: "UTC", Start: "0 * * * *", Duration: time.Hour, Floor: new(int32(1))},
			},
			"2026-11-23T12:00:00Z",
			"floor 1 (always) ceiling - open [always]",
		},
		{
			"nothing follows the last dated window",
			[]schedule.Spec{sale},
			"2026-12-01T00:00:00Z",
			"floor - ceiling -",
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			got := text(parse(t, tc.specs...).At(moment(t, tc.at)))
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("state (-want +got):\n%s", diff)
			}
		})
	}
}

// windows are specs of one or several windows.
func windows() *rapid.Generator[[]schedule.Spec] {
	return rapid.Custom(func(t *rapid.T) []schedule.Spec {
		var all []schedule.Spec
		for i := range rapid.IntRange(1, 4).Draw(t, "windows") {
			spec := schedule.Spec{
				Name: fmt.Sprintf("w%d", i), TimeZone: rapid.SampledFrom(zoneNames()).Draw(t, "zone"),
				Start:    expressions().Draw(t, "start"),
				Priority: rapid.Int32Range(-1, 1).Draw(t, "priority"),
			}
			if rapid.Bool().Draw(t, "with end") {
				spec.End = expressions().Draw(t, "end")
			} else {
				spec.Duration = time.Duration(rapid.Int64Range(1, 3000).Draw(t, "minutes")) * time.Minute
			}
			switch rapid.IntRange(0, 2).Draw(t, "bounds") {
			case 0:
				spec.Floor = new(rapid.Int32Range(0, 100).Draw(t, "floor"))
				spec.Ramp = time.Duration(rapid.Int64Range(0, 60).Draw(t, "ramp")) * time.Minute
			case 1:
				spec.Ceiling = new(rapid.Int32Range(0, 100).Draw(t, "ceiling"))
			default:
				spec.Exact = new(rapid.Int32Range(0, 100).Draw(t, "exact"))
			}
			all = append(all, spec)
		}
		return all
	})
}

// draw returns a schedule with its specs, and a moment.
func draw(t *rapid.T) (schedule.Schedule, []schedule.Spec, time.Time) {
	specs := windows().Draw(t, "specs")
	s, err := schedule.Parse(specs)
	if err != nil {
		t.Skip(err)
	}
	return s, specs, time.Unix(rapid.Int64Range(946684800, 2208988800).Draw(t, "at"), 0)
}

// TestReplayedEdgesAreTheState: a program that follows the edges one by one has the same open
// windows as one that starts later, and between two changes the bounds stay as they are.
func TestReplayedEdgesAreTheState(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		s, _, at := draw(t)
		state := s.At(at)
		open := state.Open
		for range rapid.IntRange(0, 20).Draw(t, "changes") {
			if state.Until.IsZero() {
				break
			}
			if !state.Until.After(at) {
				t.Fatalf("changes at %s, which is not after %s", state.Until, at)
			}
			sameBetween(t, s, state, at)
			edge, end := state.Next, state.Until
			at, state = end, s.At(end)
			if edge.Window != "" && !edge.At.Equal(end) && !slices.Equal(open, state.Open) {
				t.Fatalf("%v became %v without an edge", open, state.Open)
			}
			if edge.At.Equal(end) && slices.Contains(state.Open, edge.Window) != edge.Opens {
				t.Fatalf("%+v was followed by %s", edge, text(state))
			}
			if edge.At.Equal(end) && slices.Contains(open, edge.Window) == edge.Opens {
				t.Fatalf("%+v follows %v", edge, open)
			}
			open = state.Open
		}
	})
}

// sameBetween checks a moment before the bounds change, with and without the last state. Only an edge that was not known yet may
// be news.
func sameBetween(t *rapid.T, s schedule.Schedule, state schedule.State, at time.Time) {
	between := at.Add(time.Duration(rapid.Int64Range(0, int64(state.Until.Sub(at))-1).Draw(t, "between")))
	later := s.At(between)
	if state.Next.Window == "" {
		later.Next = schedule.Edge{}
	}
	if want, got := text(later), text(s.Refresh(state, between)); want != got {
		t.Fatalf("at %s %s, refreshed %s", between, want, got)
	}
	if want, got := text(state), text(later); want != got {
		t.Fatalf("at %s %s, at %s %s", at, want, between, got)
	}
}

// TestOccurrencesAlternate: a window opens, closes and opens again. Each occurrence of a window
// whose occurrences do not touch lasts its duration.
func TestOccurrencesAlternate(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		s, specs, at := draw(t)
		last := make(map[string]schedule.Occurrence)
		for _, o := range s.Preview(at, at.AddDate(0, 0, 5)).Occurrences {
			if !o.End.IsZero() && !o.End.After(o.Start) {
				t.Fatalf("%+v ends before it starts", o)
			}
			if before, found := last[o.Window]; found && !o.Start.After(before.End) {
				t.Fatalf("%+v touches %+v", o, before)
			}
			last[o.Window] = o
			spec := specs[slices.IndexFunc(specs, func(s schedule.Spec) bool { return s.Name == o.Window })]
			if length := o.End.Sub(o.Start); spec.Duration > 0 && !o.End.IsZero() && length < spec.Duration {
				t.Fatalf("%+v is shorter than %s", o, spec.Duration)
			}
		}
	})
}

// TestDurationIsElapsed: a window that opens once a day lasts its duration, in each night.
func TestDurationIsElapsed(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		spec := schedule.Spec{
			Name: "a", TimeZone: rapid.SampledFrom(zoneNames()).Draw(t, "zone"), Floor: new(int32(1)),
			Start:    fmt.Sprintf("%d %d * * *", rapid.IntRange(0, 59).Draw(t, "minute"), rapid.IntRange(0, 23).Draw(t, "hour")),
			Duration: time.Duration(rapid.Int64Range(1, 20*60).Draw(t, "minutes")) * time.Minute,
		}
		s, err := schedule.Parse([]schedule.Spec{spec})
		if err != nil {
			t.Fatal(err)
		}
		from := time.Date(2012, time.January, 1, 0, 0, 0, 0, time.UTC).Add(time.Duration(rapid.Int64Range(0, 20*366*24).Draw(t, "hours")) * time.Hour)
		for _, o := range s.Preview(from, from.AddDate(0, 0, 20)).Occurrences {
			if o.End.Sub(o.Start) != spec.Duration {
				t.Fatalf("%+v lasts %s, want %s", o, o.End.Sub(o.Start), spec.Duration)
			}
		}
	})
}

// TestOrderDoesNotMatter: a permutation of the windows has the same bounds.
func TestOrderDoesNotMatter(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		s, specs, at := draw(t)
		other, err := schedule.Parse(rapid.Permutation(specs).Draw(t, "permutation"))
		if err != nil {
			t.Fatal(err)
		}
		a, b := s.At(at), other.At(at)
		if a.Floor != b.Floor || a.Ceiling != b.Ceiling || a.Next != b.Next || !a.Until.Equal(b.Until) {
			t.Fatalf("%s, and in another order %s", text(a), text(b))
		}
	})
}

// TestRampRises: a ramp never falls, moves by single replicas where there is time for each, and
// has the whole floor before the start.
func TestRampRises(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		floor := rapid.Int32Range(1, 200).Draw(t, "floor")
		ramp := time.Duration(rapid.Int64Range(1, 86_400_000).Draw(t, "ramp")) * time.Millisecond
		from := time.Unix(rapid.Int64Range(0, 2e9).Draw(t, "from"), rapid.Int64Range(0, 999_999_999).Draw(t, "ns"))
		s, err := schedule.Parse([]schedule.Spec{{Name: "a", From: from, Until: from.Add(time.Hour), Floor: &floor, Ramp: ramp}})
		if err != nil {
			t.Fatal(err)
		}
		if state := s.At(from.Add(-ramp - 1)); state.Floor.Set() || !state.Until.Equal(from.Add(-ramp)) {
			t.Fatalf("%s before the ramp", text(state))
		}
		var last int32
		for at := from.Add(-ramp); at.Before(from); {
			state := s.At(at)
			if state.Floor.Replicas <= last || state.Floor.Replicas > floor {
				t.Fatalf("%d follows %d of %d", state.Floor.Replicas, last, floor)
			}
			if ramp >= time.Duration(floor)*time.Millisecond && state.Floor.Replicas != last+1 {
				t.Fatalf("%d follows %d", state.Floor.Replicas, last)
			}
			last, at = state.Floor.Replicas, state.Until
		}
		if last != floor && ramp >= time.Duration(floor)*time.Millisecond {
			t.Fatalf("%d at the start, want %d", last, floor)
		}
	})
}

func BenchmarkAt(b *testing.B) {
	s := parse(
		b,
		schedule.Spec{Name: "office", TimeZone: "Europe/Berlin", Start: "0 7 * * 1-5", End: "0 20 * * 1-5", Floor: new(int32(10)), Ramp: 15 * time.Minute},
		schedule.Spec{Name: "night", TimeZone: "Europe/Berlin", Start: "0 22 * * *", Duration: 8 * time.Hour, Ceiling: new(int32(2))},
		schedule.Spec{Name: "month", TimeZone: "UTC", Start: "0 0 1 * *", Duration: 24 * time.Hour, Floor: new(int32(20))},
	)
	at := moment(b, "2026-11-24T12:00:00Z")
	b.ReportAllocs()
	for b.Loop() {
		s.At(at)
	}
}
