package schedule_test

import (
	"archive/zip"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/schedule"
)

// moment parses a time with its offset.
func moment(t testing.TB, text string) time.Time {
	t.Helper()
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		t.Fatal(err)
	}
	return at
}

func parse(t testing.TB, specs ...schedule.Spec) schedule.Schedule {
	t.Helper()
	s, err := schedule.Parse(specs)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestParseRejects(t *testing.T) {
	t.Parallel()
	good := schedule.Spec{Name: "office", TimeZone: "Europe/Berlin", Start: "0 7 * * 1-5", End: "0 20 * * 1-5", Floor: new(int32(10))}
	dated := schedule.Spec{Name: "sale", From: moment(t, "2026-11-27T00:00:00+01:00"), Until: moment(t, "2026-11-30T00:00:00+01:00"), Exact: new(int32(40))}
	for _, tc := range []struct {
		name   string
		base   schedule.Spec
		change func(*schedule.Spec)
		want   string
	}{
		{"name", good, func(s *schedule.Spec) { s.Name = "Office" }, `name "Office": want up to 63 lower-case letters`},
		{"no zone", good, func(s *schedule.Spec) { s.TimeZone = "" }, `timeZone: missing`},
		{"the zone of the machine", good, func(s *schedule.Spec) { s.TimeZone = "Local" }, `timeZone "Local": the zone of the machine`},
		{"misspelled zone", good, func(s *schedule.Spec) { s.TimeZone = "Europe/Berln" }, `timeZone "Europe/Berln": unknown, want a zone of the IANA database such as Europe/Berlin; did you mean Europe/Berlin?`},
		{"city alone", good, func(s *schedule.Spec) { s.TimeZone = "new york" }, `did you mean America/New_York?`},
		{"no zone at all", good, func(s *schedule.Spec) { s.TimeZone = "Middle/Earth/Shire" }, `unknown, want a zone of the IANA database such as Europe/Berlin`},
		{"a path", good, func(s *schedule.Spec) { s.TimeZone = "../passwd" }, `timeZone "../passwd": unknown`},
		{"no start", good, func(s *schedule.Spec) { s.Start = "" }, `start: missing, want five fields of cron such as 0 7 * * 1-5`},
		{"start and from", good, func(s *schedule.Spec) { s.From = dated.From }, `start and from: want start`},
		{"until without from", good, func(s *schedule.Spec) { s.Until = dated.Until }, `until goes with from: want end or duration`},
		{"no end", good, func(s *schedule.Spec) { s.End = "" }, `end: missing, want five fields of cron`},
		{"end and duration", good, func(s *schedule.Spec) { s.Duration = time.Hour }, `end and duration: want one of them`},
		{"end is start", good, func(s *schedule.Spec) { s.End = " 0  7 * * 1-5" }, `the same as start, so that the window never closes`},
		{"short duration", good, func(s *schedule.Spec) { s.End, s.Duration = "", time.Second }, `duration 1s: want 1m to 744h`},
		{"long duration", good, func(s *schedule.Spec) { s.End, s.Duration = "", 1000*time.Hour }, `duration 1000h0m0s: want 1m to 744h`},
		{"four fields", good, func(s *schedule.Spec) { s.Start = "0 7 * *" }, `start "0 7 * *": 4 fields, want five: minute, hour`},
		{"seconds", good, func(s *schedule.Spec) { s.End = "0 0 7 * * 1" }, `end "0 0 7 * * 1": 6 fields, want five`},
		{"descriptor", good, func(s *schedule.Spec) { s.Start = "@every 1h" }, `want five fields of cron such as 0 7 * * 1-5, no @ name`},
		{"zone in the expression", good, func(s *schedule.Spec) { s.Start = "TZ=UTC 0 7 * * 1" }, `want the zone in timeZone`},
		{"zone alone in the expression", good, func(s *schedule.Spec) { s.Start = "CRON_TZ=UTC" }, `want the zone in timeZone`},
		{"long expression", good, func(s *schedule.Spec) { s.Start = strings.Repeat("1,", 100) + "1 * * * *" }, `bytes long, want at most 64`},
		{"minute 60", good, func(s *schedule.Spec) { s.Start = "60 7 * * 1" }, `minute "60": want *, or 0-59`},
		{"hour 24", good, func(s *schedule.Spec) { s.Start = "0 24 * * 1" }, `hour "24": want *, or 0-23`},
		{"day 32", good, func(s *schedule.Spec) { s.Start = "0 0 32 * *" }, `day of the month "32": want *, or 1-31`},
		{"Sunday is 0", good, func(s *schedule.Spec) { s.Start = "0 0 * * 7" }, `day of the week "7": want *, or 0-6 or sun-sat, where 0 is Sunday`},
		{"misspelled month", good, func(s *schedule.Spec) { s.Start = "0 0 1 agu *" }, `month "agu": want *, or 1-12 or jan-dec, with lists such as 1,3, ranges such as 1-5 and steps such as */2; did you mean aug?`},
		{"empty list", good, func(s *schedule.Spec) { s.Start = "0 , * * *" }, `hour ",": want *, or 0-23`},
		{"list with a hole", good, func(s *schedule.Spec) { s.Start = "0 1,,2 * * *" }, `hour "1,,2": want *`},
		{"a day that does not exist", good, func(s *schedule.Spec) { s.Start = "0 0 30 2 *" }, `matches no day of any year`},
		{"no bound", good, func(s *schedule.Spec) { s.Floor = nil }, `floor: missing, want floor, ceiling or both, or exact`},
		{"exact and floor", good, func(s *schedule.Spec) { s.Exact = new(int32(1)) }, `exact stands for floor and ceiling`},
		{"negative", good, func(s *schedule.Spec) { s.Floor = new(int32(-1)) }, `floor -1: want a number of replicas, 0 or more`},
		{"floor above ceiling", good, func(s *schedule.Spec) { s.Ceiling = new(int32(9)) }, `floor 10: want at most the ceiling, 9`},
		{"priority", good, func(s *schedule.Spec) { s.Priority = 1001 }, `priority 1001: want -1000 to 1000`},
		{"long ramp", good, func(s *schedule.Spec) { s.Ramp = 25 * time.Hour }, `ramp 25h0m0s: want 0s to 24h`},
		{"fine ramp", good, func(s *schedule.Spec) { s.Ramp = time.Microsecond }, `ramp 1µs: want whole milliseconds`},
		{"ramp of a ceiling", good, func(s *schedule.Spec) { s.Floor, s.Ceiling, s.Ramp = nil, new(int32(1)), time.Minute }, `ramp 1m0s goes with floor or exact`},
		{"no until", dated, func(s *schedule.Spec) { s.Until = time.Time{} }, `until: missing, want a time such as 2026-11-30T00:00:00+01:00`},
		{"until before from", dated, func(s *schedule.Spec) { s.Until = s.From }, `until 2026-11-27T00:00:00+01:00: want a time after from, 2026-11-27T00:00:00+01:00`},
		{"end of a dated window", dated, func(s *schedule.Spec) { s.End = "0 7 * * *" }, `end goes with start: want until`},
		{"duration of a dated window", dated, func(s *schedule.Spec) { s.Duration = time.Hour }, `duration goes with start: want until`},
		{"zone of a dated window", dated, func(s *schedule.Spec) { s.TimeZone = "Berlin" }, `did you mean Europe/Berlin?`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			spec := tc.base
			tc.change(&spec)
			_, err := schedule.Parse([]schedule.Spec{spec})
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("error %v, want %q", err, tc.want)
			}
		})
	}
}

func TestParseReportsEveryMistake(t *testing.T) {
	t.Parallel()
	window := schedule.Spec{Name: "a", TimeZone: "UTC", Start: "0 7 * * *", Duration: time.Hour, Floor: new(int32(1))}
	broken := schedule.Spec{
		Name: "B", TimeZone: "UTCC", Start: "60 25 * * *", End: "0 24 * * 7", Duration: 900 * time.Hour,
		Floor: new(int32(-1)), Exact: new(int32(-2)), Ramp: 25*time.Hour + time.Microsecond, Priority: 1001,
	}
	dated := schedule.Spec{Name: "d", TimeZone: "UTC", From: time.Unix(1, 0).UTC(), Until: time.Unix(0, 0).UTC(), Duration: time.Hour, Ramp: time.Minute}
	_, err := schedule.Parse([]schedule.Spec{window, window, broken, dated})
	want := []string{
		`schedule "a": name: an earlier schedule has the same name, want another`,
		`schedule "B": name "B": want up to 63 lower-case letters`,
		`schedule "B": end and duration: want one of them`,
		`schedule "B": timeZone "UTCC": unknown, want a zone`,
		`schedule "B": start "60 25 * * *": minute "60": want *, or 0-59, with lists such as 1,3, ranges such as 1-5 and steps such as */2; hour "25": want *`,
		`schedule "B": end "0 24 * * 7": hour "24": want *, or 0-23, with lists such as 1,3, ranges such as 1-5 and steps such as */2; day of the week "7": want *`,
		`schedule "B": duration 900h0m0s: want 1m to 744h`,
		`schedule "B": floor -1: want a number of replicas, 0 or more`,
		`schedule "B": exact -2: want a number of replicas, 0 or more`,
		`schedule "B": exact stands for floor and ceiling`,
		`schedule "B": priority 1001: want -1000 to 1000`,
		`schedule "B": ramp 25h0m0.000001s: want 0s to 24h`,
		`schedule "B": ramp 25h0m0.000001s: want whole milliseconds`,
		`schedule "d": duration goes with start: want until`,
		`schedule "d": until 1970-01-01T00:00:00Z: want a time after from`,
		`schedule "d": floor: missing`,
		`schedule "d": ramp 1m0s goes with floor or exact`,
	}
	var got []string
	if err != nil {
		got = strings.Split(err.Error(), "\n")
	}
	if !slices.EqualFunc(got, want, strings.HasPrefix) {
		t.Errorf("mistakes\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	many := make([]schedule.Spec, 33)
	if _, err := schedule.Parse(many); err == nil || err.Error() != "33 schedules, want at most 32" {
		t.Errorf("error %v of 33 schedules", err)
	}
	if s := parse(t); !s.Empty() || parse(t, window).Empty() {
		t.Error("a schedule is empty if and only if it has no window")
	}
}

// TestZonesAreThoseOfGo: the names from which the nearest one is chosen are those of Go's own
// copy of the database.
func TestZonesAreThoseOfGo(t *testing.T) {
	t.Parallel()
	root, err := exec.CommandContext(t.Context(), "go", "env", "GOROOT").Output()
	if err != nil {
		t.Skip(err)
	}
	archive, err := zip.OpenReader(filepath.Join(strings.TrimSpace(string(root)), "lib", "time", "zoneinfo.zip"))
	if err != nil {
		t.Skip(err)
	}
	defer archive.Close()
	var want []string
	for _, file := range archive.File {
		if name := file.Name; !strings.HasSuffix(name, "/") && name != "Factory" {
			want = append(want, name)
		}
	}
	slices.Sort(want)
	got := schedule.Zones()
	for _, name := range want {
		if !slices.Contains(got, name) {
			t.Errorf("zones.txt lacks %s", name)
		}
	}
	for _, name := range got {
		if _, err := time.LoadLocation(name); err != nil {
			t.Errorf("zones.txt has %s: %v", name, err)
		}
	}
}
