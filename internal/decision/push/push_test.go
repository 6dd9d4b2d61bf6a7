package push_test

import (
	"testing"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/decision"
	"github.com/backlog-scaler/backlog-scaler/internal/decision/push"
)

// TestActivity: what is sent when, and when the stream is evaluated next.
func TestActivity(t *testing.T) {
	t.Parallel()
	start := time.Date(2026, time.January, 5, 0, 0, 0, 0, time.UTC)
	var a push.Activity
	for _, tc := range []struct {
		at     time.Duration
		active bool
		sends  bool
		next   time.Duration
	}{
		{0, false, true, push.IdleCheck},                               // the state at the start
		{time.Second, false, false, push.IdleCheck},                    // no news
		{2 * time.Second, true, true, 2 * time.Second},                 // an edge
		{3 * time.Second, true, false, time.Second},                    // it is not repeated yet
		{4 * time.Second, true, true, 4 * time.Second},                 // the first repetition; the next takes twice as long
		{4500 * time.Millisecond, false, true, push.IdleCheck},         // it ends at once
		{4600 * time.Millisecond, true, false, 400 * time.Millisecond}, // no second edge within a second
		{5 * time.Second, true, true, 2 * time.Second},
	} {
		now := start.Add(tc.at)
		if got := a.Update(tc.active, now); got != tc.sends {
			t.Errorf("at %s, active %t: sent %t, want %t", tc.at, tc.active, got, tc.sends)
		}
		if got := a.Next(decision.Decision{Active: tc.active}, now); got != tc.next {
			t.Errorf("at %s, active %t: evaluated in %s, want %s", tc.at, tc.active, got, tc.next)
		}
	}
	if !a.Active() {
		t.Error("it was last sent that the trigger is active")
	}
	if got := a.Next(decision.Decision{Active: true, Until: start.Add(6 * time.Second)}, start.Add(5*time.Second)); got != time.Second {
		t.Errorf("evaluated in %s, want when the decision may change", got)
	}
}
