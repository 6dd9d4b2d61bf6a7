package decision_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/decision"
)

var start = time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)

func at(seconds int) time.Time { return start.Add(time.Duration(seconds) * time.Second) }

func ready(seconds int, n int64) backlog.Reading {
	return backlog.Reading{At: at(seconds), Ready: n}
}

func TestDecide(t *testing.T) {
	t.Parallel()
	spec := decision.Spec{Target: 5, MaxStaleness: 30 * time.Second}
	down := fmt.Errorf("read list %q: %w", "jobs", backlog.ErrUnavailable)
	for _, tc := range []struct {
		name string
		spec func(*decision.Spec)
		seen backlog.Observation
		now  time.Time
		want decision.Decision
		err  error
		says string // the text of err, if that matters
	}{
		{
			name: "an empty queue is inactive",
			seen: backlog.Observation{Latest: ready(0, 0)},
			want: decision.Decision{Target: 5},
		},
		{
			name: "ready, due and in flight are work",
			seen: backlog.Observation{Latest: backlog.Reading{At: at(0), Ready: 20, Due: 3, InFlight: backlog.Exactly(4)}},
			want: decision.Decision{Value: 27, Target: 5, Active: true},
		},
		{
			name: "only the parts that are asked for count",
			spec: func(s *decision.Spec) { s.Count = decision.CountReady | decision.CountDue },
			seen: backlog.Observation{Latest: backlog.Reading{At: at(0), Ready: 20, Due: 3, InFlight: backlog.Exactly(4)}},
			want: decision.Decision{Value: 23, Target: 5, Active: true},
		},
		{
			name: "a busy worker alone keeps the trigger active",
			seen: backlog.Observation{Latest: backlog.Reading{At: at(0), InFlight: backlog.Exactly(1)}},
			want: decision.Decision{Value: 1, Target: 5, Active: true},
		},
		{
			name: "activation must be exceeded",
			spec: func(s *decision.Spec) { s.Activation = 10 },
			seen: backlog.Observation{Latest: ready(0, 10)},
			want: decision.Decision{Value: 10, Target: 5},
		},
		{
			name: "the cap is exact",
			seen: backlog.Observation{Latest: backlog.Reading{At: at(0), Ready: 39, MaxUseful: 3}},
			want: decision.Decision{Value: 15, Target: 5, Active: true, Steps: []decision.Step{{decision.ReasonWorkerLimit, 39, 15}}},
		},
		{
			name: "waiting messages of a paused queue need no worker",
			seen: backlog.Observation{Latest: backlog.Reading{At: at(0), Ready: 39, InFlight: backlog.Exactly(2), Paused: true}},
			want: decision.Decision{Value: 2, Target: 5, Active: true, Steps: []decision.Step{{decision.ReasonPaused, 41, 2}}},
		},
		{
			name: "a larger value within the hold window counts",
			spec: func(s *decision.Spec) { s.Hold, s.HoldActive = time.Minute, time.Minute },
			seen: backlog.Observation{Past: []backlog.Reading{ready(-90, 99), ready(-20, 30), ready(-10, 4)}, Latest: ready(-1, 0)},
			want: decision.Decision{
				Value: 30, Target: 5, Active: true, Until: at(40),
				Steps: []decision.Step{{decision.ReasonHold, 0, 30}},
			},
		},
		{
			name: "the hold ends",
			spec: func(s *decision.Spec) { s.Hold, s.HoldActive = time.Minute, time.Minute },
			seen: backlog.Observation{Past: []backlog.Reading{ready(-60, 30)}, Latest: ready(-59, 0)},
			want: decision.Decision{Target: 5},
		},
		{
			name: "during an outage the last good reading counts",
			seen: backlog.Observation{Latest: ready(-29, 12), Err: down, FailingSince: at(-20)},
			want: decision.Decision{Value: 12, Target: 5, Active: true, Steps: []decision.Step{{decision.ReasonStale, 12, 12}}},
		},
		{
			name: "and then it is an error, not zero",
			seen: backlog.Observation{Latest: ready(-31, 12), Err: down, FailingSince: at(-20)},
			err:  backlog.ErrUnavailable,
		},
		{
			name: "a queue that was never read is an error, not zero",
			seen: backlog.Observation{Err: down, FailingSince: at(-1)},
			err:  decision.ErrUnknown,
		},
		{
			name: "a queue that was not read yet is an error, not zero",
			err:  decision.ErrUnknown,
		},
		{
			name: "a missing queue is empty",
			seen: backlog.Observation{Latest: backlog.Reading{At: at(0), Missing: true}},
			want: decision.Decision{Target: 5},
		},
		{
			name: "or an error, if the trigger says so",
			spec: func(s *decision.Spec) { s.MissingIsError = true },
			seen: backlog.Observation{Latest: backlog.Reading{At: at(0), Missing: true}},
			err:  decision.ErrMissing,
		},
		{
			name: "and so is one of several that was named, by its name",
			spec: func(s *decision.Spec) { s.MissingIsError = true },
			seen: backlog.Observation{Latest: backlog.Reading{At: at(0), Ready: 3, Parts: []backlog.Part{
				{Queue: "critical", Reading: backlog.Reading{Ready: 3}}, {Queue: "lwo", Reading: backlog.Reading{Missing: true}},
			}}},
			err:  decision.ErrMissing,
			says: `queue does not exist: "lwo"`,
		},
		{
			name: "with what the engine says about it",
			spec: func(s *decision.Spec) { s.MissingIsError = true },
			seen: backlog.Observation{Latest: backlog.Reading{At: at(0), Missing: true, Warning: `did you mean "low"?`}},
			err:  decision.ErrMissing,
			says: `queue does not exist: did you mean "low"?`,
		},
		{
			name: "a server that restarted empty keeps what was last known for a while",
			seen: backlog.Observation{
				Past:   []backlog.Reading{{At: at(-12), Ready: 80, Epoch: "a"}, {At: at(-11), Ready: 50, Epoch: "a"}},
				Latest: backlog.Reading{At: at(-10), Epoch: "b"},
			},
			want: decision.Decision{
				Value: 50, Target: 5, Active: true, Until: at(19),
				Steps: []decision.Step{{decision.ReasonDataReplaced, 0, 50}},
			},
		},
		{
			name: "but not for ever",
			seen: backlog.Observation{
				Past:   []backlog.Reading{{At: at(-30), Ready: 50, Epoch: "a"}},
				Latest: backlog.Reading{At: at(-29), Epoch: "b"},
			},
			want: decision.Decision{Target: 5},
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			spec := spec
			if tc.spec != nil {
				tc.spec(&spec)
			}
			got, err := decision.Decide(&spec, &tc.seen, 0, at(0))
			if !errors.Is(err, tc.err) {
				t.Fatalf("error %v, want %v", err, tc.err)
			}
			if tc.says != "" && err.Error() != tc.says {
				t.Errorf("error %q, want %q", err, tc.says)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("decision (-want +got):\n%s", diff)
			}
		})
	}
}

func TestParseCounts(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name  string
		names []string
		want  decision.Counts
		err   string
	}{
		{"nothing", nil, 0, "names no part, want any of ready, due, inFlight"},
		{"all", []string{"inFlight", "ready", "due"}, decision.CountAll, ""},
		{"one", []string{"due"}, decision.CountDue, ""},
		{"unknown", []string{"delayed"}, 0, `"delayed" is not one of ready, due, inFlight`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			got, err := decision.ParseCounts(tc.names)
			if text := fmt.Sprint(err); err != nil && text != tc.err || err == nil && tc.err != "" {
				t.Fatalf("error %v, want %q", err, tc.err)
			}
			if got != tc.want {
				t.Errorf("got %v, want %v", got, tc.want)
			}
		})
	}
}
