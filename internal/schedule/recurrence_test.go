package schedule_test

import (
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/backlog-scaler/backlog-scaler/internal/schedule"
)

// TestClockChanges has the cases in which libraries of cron lose or double a time.
func TestClockChanges(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name, zone, cron, from string
		want                   []string
	}{
		{
			"02:30 is left out: the moment of the change", "Europe/Berlin", "30 2 * * *", "2027-03-27T00:00:00+01:00",
			[]string{"2027-03-27T02:30:00+01:00", "2027-03-28T03:00:00+02:00", "2027-03-29T02:30:00+02:00"},
		},
		{
			"02:30 comes twice: the first", "Europe/Berlin", "30 2 * * *", "2026-10-24T12:00:00+02:00",
			[]string{"2026-10-25T02:30:00+02:00", "2026-10-26T02:30:00+01:00"},
		},
		{
			"from between the two", "Europe/Berlin", "30 2 * * *", "2026-10-25T02:15:00+01:00",
			[]string{"2026-10-26T02:30:00+01:00"},
		},
		{
			"each quarter of an hour counts once", "Europe/Berlin", "*/15 2 * * *", "2026-10-25T02:20:00+02:00",
			[]string{"2026-10-25T02:30:00+02:00", "2026-10-25T02:45:00+02:00", "2026-10-26T02:00:00+01:00"},
		},
		{
			"several that are left out are one", "Europe/Berlin", "*/15 2 * * *", "2027-03-28T00:00:00+01:00",
			[]string{"2027-03-28T03:00:00+02:00", "2027-03-29T02:00:00+02:00"},
		},
		{
			"midnight is left out", "Africa/Cairo", "0 0 * * 5", "2026-04-20T00:00:00+02:00",
			[]string{"2026-04-24T01:00:00+03:00", "2026-05-01T00:00:00+03:00"},
		},
		{
			"half an hour is left out", "Australia/Lord_Howe", "15 2 * * *", "2026-10-03T12:00:00+10:30",
			[]string{"2026-10-04T02:30:00+11:00", "2026-10-05T02:15:00+11:00"},
		},
		{
			"half an hour comes twice", "Australia/Lord_Howe", "45 1 * * *", "2026-04-04T12:00:00+11:00",
			[]string{"2026-04-05T01:45:00+11:00", "2026-04-06T01:45:00+10:30"},
		},
		{
			"two hours are left out", "Antarctica/Troll", "30 1 * * *", "2026-03-28T12:00:00+00:00",
			[]string{"2026-03-29T03:00:00+02:00", "2026-03-30T01:30:00+02:00"},
		},
		{
			"a whole day is left out", "Pacific/Apia", "0 12 * * *", "2011-12-29T00:00:00-10:00",
			[]string{"2011-12-29T12:00:00-10:00", "2011-12-31T00:00:00+14:00", "2011-12-31T12:00:00+14:00"},
		},
		{
			"day of the month or of the week, as a CronJob", "UTC", "0 0 1 * 0", "2026-11-01T12:00:00Z",
			[]string{"2026-11-08T00:00:00Z", "2026-11-15T00:00:00Z", "2026-11-22T00:00:00Z", "2026-11-29T00:00:00Z", "2026-12-01T00:00:00Z"},
		},
		{
			"29 February over a year that has none", "UTC", "0 0 29 2 *", "2096-03-01T00:00:00Z",
			[]string{"2104-02-29T00:00:00Z"},
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			r := recurrence(t, tc.cron, tc.zone)
			var got, back []time.Time
			at := moment(t, tc.from)
			for range tc.want {
				next, found := r.Next(at)
				if !found {
					t.Fatalf("no time after %s", at)
				}
				at = next
				got = append(got, at)
			}
			for i, want := range tc.want {
				if !got[i].Equal(moment(t, want)) {
					t.Errorf("time %d is %s, want %s", i, got[i].In(zone(t, tc.zone)), want)
				}
			}
			for range tc.want {
				prev, found := r.Prev(at)
				if !found {
					break
				}
				back = append(back, prev)
				at = prev.Add(-1)
			}
			slices.Reverse(back)
			if !slices.EqualFunc(got, back, time.Time.Equal) {
				t.Errorf("forward %v, backward %v", got, back)
			}
		})
	}
}

func zone(t testing.TB, name string) *time.Location {
	t.Helper()
	z, err := time.LoadLocation(name)
	if err != nil {
		t.Fatal(err)
	}
	return z
}

func recurrence(t testing.TB, text, name string) schedule.Recurrence {
	t.Helper()
	r, err := schedule.ParseRecurrence(text, zone(t, name))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func zoneNames() []string {
	return []string{
		"Europe/Berlin", "Africa/Cairo", "Australia/Lord_Howe", "Pacific/Apia", "America/New_York",
		"Asia/Kathmandu", "UTC", "America/Sao_Paulo", "Africa/Casablanca", "Antarctica/Troll",
	}
}

// TestEachDayHasItsTime draws days, times and zones: no day lacks its time or has it twice, the
// answer is the same from every moment in between, and Prev finds what Next finds.
func TestEachDayHasItsTime(t *testing.T) {
	t.Parallel()
	draws := 20_000
	if testing.Short() {
		draws = 2000
	}
	zones := make(map[string]*time.Location)
	for _, name := range zoneNames() {
		zones[name] = zone(t, name)
	}
	t.Run("rapid", rapid.MakeCheck(func(t *rapid.T) {
		for range draws / 100 { // rapid makes 100 checks
			oneDay(t, zones)
		}
	}))
}

// oneDay checks one random day.
func oneDay(t *rapid.T, zones map[string]*time.Location) {
	name := rapid.SampledFrom(zoneNames()).Draw(t, "zone")
	z := zones[name]
	day := time.Date(2000, time.January, rapid.IntRange(1, 40*365).Draw(t, "day"), 0, 0, 0, 0, time.UTC)
	hour, minute := rapid.IntRange(0, 23).Draw(t, "hour"), rapid.IntRange(0, 59).Draw(t, "minute")
	r, err := schedule.ParseRecurrence(time.Date(0, 1, 1, hour, minute, 0, 0, time.UTC).Format("4 15 * * *"), z)
	if err != nil {
		t.Fatal(err)
	}
	if name == "Pacific/Apia" && day.Year() == 2011 && day.YearDay() >= 362 {
		return // 30 December 2011 was left out
	}
	shown := day.Add(time.Duration(hour)*time.Hour + time.Duration(minute)*time.Minute)
	at, previous := momentByScan(shown, z), momentByScan(shown.AddDate(0, 0, -1), z)
	if got, _ := r.Next(previous); !got.Equal(at) {
		t.Fatalf("%s in %s after %s: %s, want %s", shown, name, previous, got, at)
	}
	between := previous.Add(time.Duration(rapid.Int64Range(0, int64(at.Sub(previous))-1).Draw(t, "between")))
	if got, _ := r.Next(between); !got.Equal(at) {
		t.Fatalf("%s in %s after %s: %s, want %s", shown, name, between, got, at)
	}
	if got, _ := r.Prev(between); !got.Equal(previous) {
		t.Fatalf("last in %s before %s: %s, want %s", name, between, got, previous)
	}
	if got, _ := r.Prev(at); !got.Equal(at) {
		t.Fatalf("last in %s before %s: %s, want itself", name, at, got)
	}
}

// momentByScan finds when a clock on the wall first shows a time or a later one, minute by
// minute, from two hours before it could. Offsets from UTC are whole minutes after 2000.
func momentByScan(shown time.Time, z *time.Location) time.Time {
	offset := func(days int) time.Duration {
		_, seconds := shown.AddDate(0, 0, days).In(z).Zone()
		return time.Duration(seconds) * time.Second
	}
	for at := shown.Add(-max(offset(-1), offset(1)) - 2*time.Hour); ; at = at.Add(time.Minute) {
		if !schedule.Wall(at, z).Before(shown) {
			return at
		}
	}
}

// TestRecurrenceProperties holds for any expression: Prev(Next(t)) is Next(t), Prev never looks
// into the future, and times grow.
func TestRecurrenceProperties(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		z, err := time.LoadLocation(rapid.SampledFrom(zoneNames()).Draw(t, "zone"))
		if err != nil {
			t.Fatal(err)
		}
		r, err := schedule.ParseRecurrence(expressions().Draw(t, "cron"), z)
		if err != nil {
			t.Skip(err)
		}
		at := time.Unix(rapid.Int64Range(946684800, 2208988800).Draw(t, "at"), rapid.Int64Range(0, 999_999_999).Draw(t, "ns"))
		next, found := r.Next(at)
		if !found || !next.After(at) {
			t.Fatalf("after %s: %s", at, next)
		}
		prev, found := r.Prev(at)
		if !found || prev.After(at) {
			t.Fatalf("last before %s: %s", at, prev)
		}
		if again, _ := r.Prev(next); !again.Equal(next) {
			t.Fatalf("Prev(%s) = %s", next, again)
		}
		if again, _ := r.Next(prev); !again.Equal(next) {
			t.Fatalf("Next(Prev(%s)) = %s, want %s", at, again, next)
		}
	})
}

// expressions are of cron.
func expressions() *rapid.Generator[string] {
	return rapid.StringMatching(`(\*|\*/[1-9]|[1-5]?[0-9]|[0-9],[1-5][0-9]) (\*|\*/[1-9]|1?[0-9]|2[0-3]|[0-9]-2[0-3]) (\*|[12]?[1-9]|31) (\*|[1-9]|1[0-2]) (\*|[0-6]|1-5)`)
}

// FuzzParse holds what it accepts to the laws, and finds texts on which it panics.
func FuzzParse(f *testing.F) {
	for _, text := range []string{"0 7 * * 1-5", "*/15 2 * * *", "@every 1h", "TZ=", "0 0 29 2 *", ", , , , ,", "1/99999999999999999999 * * * *", "0 0 ? jan-dec sun"} {
		f.Add(text, "Europe/Berlin", int64(1795680000))
	}
	f.Fuzz(func(t *testing.T, text, name string, unix int64) {
		spec := schedule.Spec{Name: "a", TimeZone: name, Start: text, Duration: time.Hour, Floor: new(int32(1)), Ramp: time.Minute}
		s, err := schedule.Parse([]schedule.Spec{spec})
		if err != nil {
			return
		}
		now := time.Unix(unix%4102444800, 0)
		state := s.At(now)
		if !state.Until.IsZero() && !state.Until.After(now) {
			t.Fatalf("%q at %s: changes at %s", text, now, state.Until)
		}
	})
}
