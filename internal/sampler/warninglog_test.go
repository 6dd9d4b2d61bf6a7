package sampler

import (
	"errors"
	"strconv"
	"testing"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
)

// TestWarningsThatComeAndGo: what the log has of a queue is not logged again while it comes
// and goes. A hint that was found later is logged, and so is what comes back after an hour.
func TestWarningsThatComeAndGo(t *testing.T) {
	t.Parallel()
	now := time.Unix(1_800_000_000, 0)
	reads := func(warning, hint string) backlog.Result {
		return backlog.Result{Reading: backlog.Reading{Warning: warning, Hint: hint}}
	}
	var w watch
	for i, step := range []struct {
		after  time.Duration
		result backlog.Result
		logged bool
	}{
		{0, reads("", ""), false},
		{0, reads("a", ""), true},
		{0, reads("a", ""), false},
		{0, reads("a", "there are 1"), true},
		{0, reads("a", "there are 2"), false},
		{0, reads("", ""), false},
		{0, reads("a", ""), false},
		{0, backlog.Result{Err: errors.New("gone"), Reading: backlog.Reading{Warning: "z"}}, false},
		{0, reads("b; a", ""), true},
		{0, reads("a; b", "there are 3"), false},
		{0, reads("b", ""), false},
		{0, reads("a; c; b", ""), true},
		{0, reads("c", ""), false},
		{time.Hour, reads("a", ""), true},
		{0, reads("a", "there are 3"), true},
		{0, reads("a", "there are 4"), false},
		{0, reads("b", ""), true},
	} {
		now = now.Add(step.after)
		if text, _ := w.newWarning(step.result, now); (text != "") != step.logged {
			t.Errorf("step %d: logged %q, want logged: %v", i, text, step.logged)
		}
	}
	for i := range 1000 {
		w.newWarning(reads(strconv.Itoa(i), ""), now)
	}
	if n := len(w.loggedWarnings.logged); n != maxRemarks || cap(w.loggedWarnings.logged) > 2*maxRemarks {
		t.Errorf("%d remarks are remembered, in an array of %d", n, cap(w.loggedWarnings.logged))
	}
}
