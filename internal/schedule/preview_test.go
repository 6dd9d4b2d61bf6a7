package schedule_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/backlog-scaler/backlog-scaler/internal/schedule"
)

func TestPreview(t *testing.T) {
	t.Parallel()
	s := parse(
		t,
		schedule.Spec{Name: "night", TimeZone: "Europe/Berlin", Start: "30 2 * * *", Duration: time.Hour, Ceiling: new(int32(2))},
		schedule.Spec{Name: "early", TimeZone: "Europe/Berlin", Start: "0 0 * * *", End: "45 2 * * *", Floor: new(int32(5))},
		schedule.Spec{Name: "sale", From: moment(t, "2027-03-29T00:00:00Z"), Until: moment(t, "2027-03-30T00:00:00Z"), Exact: new(int32(40)), TimeZone: "UTC"},
	)
	p := s.Preview(moment(t, "2027-03-27T12:00:00+01:00"), moment(t, "2027-03-29T03:00:00+02:00"))
	var got []string
	const clock = "02 15:04 -07"
	for _, o := range p.Occurrences {
		got = append(got, fmt.Sprintf("%s %s to %s %t %t", o.Window, o.Start.Format(clock), o.End.Format(clock), o.StartMoved, o.EndMoved))
	}
	for _, o := range p.Overlaps {
		got = append(got, fmt.Sprintf("overlap %v %s to %s floor %d ceiling %d conflict %t", o.Windows,
			o.Start.UTC().Format(clock), o.End.UTC().Format(clock), o.Floor.Replicas, o.Ceiling.Replicas, o.Conflict))
	}
	for _, c := range p.ClockChanges {
		got = append(got, fmt.Sprintf("clock of %s %s from %s to %s for %v", c.Zone, c.At.UTC().Format(clock), c.Before, c.After, c.Windows))
	}
	for _, c := range p.Changes {
		got = append(got, fmt.Sprintf("%s floor %d ceiling %d %v", c.At.UTC().Format(clock), c.Floor.Replicas, c.Ceiling.Replicas, c.Open))
	}
	want := []string{
		"early 28 00:00 +01 to 28 03:00 +02 false true",
		"night 28 03:00 +02 to 28 04:00 +02 true false",
		"early 29 00:00 +02 to 29 02:45 +02 false false",
		"sale 29 00:00 +00 to 30 00:00 +00 false false",
		"night 29 02:30 +02 to 29 03:30 +02 false false",
		"overlap [early sale] 29 00:00 +00 to 29 00:30 +00 floor 40 ceiling 40 conflict false",
		"overlap [night early sale] 29 00:30 +00 to 29 00:45 +00 floor 40 ceiling 2 conflict true",
		"overlap [night sale] 29 00:45 +00 to 29 01:00 +00 floor 40 ceiling 2 conflict true",
		"clock of Europe/Berlin 28 01:00 +00 from 1h0m0s to 2h0m0s for [night early]",
		"27 11:00 +00 floor 0 ceiling 0 []",
		"27 23:00 +00 floor 5 ceiling 0 [early]",
		"28 01:00 +00 floor 0 ceiling 2 [night]",
		"28 02:00 +00 floor 0 ceiling 0 []",
		"28 22:00 +00 floor 5 ceiling 0 [early]",
		"29 00:00 +00 floor 40 ceiling 40 [early sale]",
		"29 00:30 +00 floor 40 ceiling 2 [night early sale]",
		"29 00:45 +00 floor 40 ceiling 2 [night sale]",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("preview (-want +got):\n%s", diff)
	}
}

func TestPreviewOfAnOpenWindow(t *testing.T) {
	t.Parallel()
	from := moment(t, "2026-11-24T12:30:00Z")
	always := schedule.Spec{Name: "always", TimeZone: "UTC", Start: "0 * * * *", Duration: time.Hour, Floor: new(int32(1))}
	p := parse(t, always).Preview(from, from.AddDate(0, 0, 14))
	if len(p.Occurrences) != 1 || !p.Occurrences[0].End.IsZero() || len(p.Changes) != 1 {
		t.Errorf("a window that is always open: %+v", p)
	}
	week := schedule.Spec{Name: "week", TimeZone: "UTC", Start: "0 7 * * 1-5", End: "0 20 * * 5", Floor: new(int32(1))}
	p = parse(t, week).Preview(from, from.AddDate(0, 0, 14))
	if len(p.Occurrences) != 3 || !p.Occurrences[0].Start.Equal(moment(t, "2026-11-23T07:00:00Z")) {
		t.Errorf("a window that opened yesterday: %+v", p.Occurrences)
	}
}

func TestPreviewIsBounded(t *testing.T) {
	t.Parallel()
	minutes := schedule.Spec{Name: "minutes", TimeZone: "UTC", Start: "*/2 * * * *", Duration: time.Minute, Floor: new(int32(1))}
	from := moment(t, "2026-11-24T00:00:00Z")
	p := parse(t, minutes).Preview(from, from.AddDate(0, 1, 0))
	if !p.Truncated || len(p.Occurrences) != 4000 || len(p.Changes) != 4000 {
		t.Errorf("%d occurrences, %d changes, truncated %t", len(p.Occurrences), len(p.Changes), p.Truncated)
	}
}
