package backlog_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
)

func TestTogether(t *testing.T) {
	t.Parallel()
	now := time.Unix(1_800_000_000, 0)
	ago := func(d time.Duration, kind backlog.AgeKind) backlog.Age {
		return backlog.Age{Since: now.Add(-d), Kind: kind}
	}
	for _, tc := range []struct {
		name  string
		parts []backlog.Reading
		want  backlog.Reading
	}{
		{"none", nil, backlog.Reading{Missing: true, InFlight: backlog.Exactly(0)}},
		{
			"sums",
			[]backlog.Reading{
				{Ready: 1, Due: 2, InFlight: backlog.Exactly(3), MaxUseful: 4, Enqueued: backlog.Exactly(10), Dequeued: backlog.Exactly(7)},
				{Ready: 10, Due: 20, InFlight: backlog.Exactly(30), MaxUseful: 40, Enqueued: backlog.Exactly(100), Dequeued: backlog.Exactly(70)},
			},
			backlog.Reading{Ready: 11, Due: 22, InFlight: backlog.Exactly(33), MaxUseful: 44, Enqueued: backlog.Exactly(110), Dequeued: backlog.Exactly(77)},
		},
		{
			"what one cannot tell",
			[]backlog.Reading{
				{InFlight: backlog.Exactly(3), MaxUseful: 4, Enqueued: backlog.Exactly(10), Consumers: backlog.Exactly(2)},
				{Ready: 1, Consumers: backlog.Exactly(3)},
			},
			backlog.Reading{Ready: 1, InFlight: backlog.Count{N: 3}, Enqueued: backlog.Count{N: 10}, Consumers: backlog.Exactly(3)},
		},
		{
			"one of two is missing, the other paused",
			[]backlog.Reading{{Missing: true, InFlight: backlog.Exactly(0)}, {Ready: 5, Paused: true, InFlight: backlog.Exactly(0)}},
			backlog.Reading{Ready: 5, InFlight: backlog.Exactly(0)},
		},
		{
			"both are missing and paused",
			[]backlog.Reading{{Missing: true, Paused: true}, {Missing: true, Paused: true}},
			backlog.Reading{Missing: true, Paused: true},
		},
		{
			"the oldest and what is due next",
			[]backlog.Reading{
				{Ready: 1, Oldest: ago(time.Second, backlog.AgeExact), NextDue: now.Add(time.Minute)},
				{Ready: 1, Oldest: ago(time.Minute, backlog.AgeExact), NextDue: now.Add(time.Second)},
				{NextDue: now.Add(time.Hour)},
			},
			backlog.Reading{Ready: 2, Oldest: ago(time.Minute, backlog.AgeExact), NextDue: now.Add(time.Second)},
		},
		{
			"an age that is not known of another one that waits",
			[]backlog.Reading{{Ready: 1, Oldest: ago(time.Minute, backlog.AgeExact)}, {Ready: 1}},
			backlog.Reading{Ready: 2, Oldest: ago(time.Minute, backlog.AgeLowerBound)},
		},
		{
			"the worst quality and the first warnings",
			[]backlog.Reading{
				{Ready: 1, Quality: backlog.UpperBound, Warning: "a"},
				{Ready: 1, Warning: "b"},
				{Ready: 1, Warning: "a"},
				{Ready: 1, Warning: "c"},
				{Ready: 1, Warning: "d"},
			},
			backlog.Reading{Ready: 5, Quality: backlog.UpperBound, Warning: "a; b; c"},
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			var parts []backlog.Part
			for _, r := range tc.parts {
				parts = append(parts, backlog.Part{Reading: r})
			}
			want := tc.want
			want.Parts = parts
			if diff := cmp.Diff(want, backlog.Aggregate(parts)); diff != "" {
				t.Errorf("reading (-want +got):\n%s", diff)
			}
		})
	}
}
