package sqs

import (
	"errors"
	"testing"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
)

// TestJudge: zero is believed when it was said for emptyFor and three times in a row, and what was believed
// before counts until then.
func TestJudge(t *testing.T) {
	t.Parallel()
	const (
		emptyFor = time.Minute
		unknown  = -1
	)
	type answer struct {
		// after is when the answer comes, in seconds, and says is how many messages it names.
		after int
		says  int64
		// want is what counts then, and pending that it is not final.
		want    int64
		pending bool
	}
	for name, answers := range map[string][]answer{
		"work":                 {{0, 7, 7, false}, {5, 9, 9, false}},
		"a zero in between":    {{0, 7, 7, false}, {5, 0, 7, true}, {10, 8, 8, false}},
		"drained":              {{0, 7, 7, false}, {5, 0, 7, true}, {30, 0, 7, true}, {64, 0, 7, true}, {65, 0, 0, false}, {80, 0, 0, false}},
		"two answers":          {{0, 7, 7, false}, {5, 0, 7, true}, {100, 0, 7, true}, {101, 0, 0, false}},
		"a new time each":      {{0, 7, 7, false}, {5, 0, 7, true}, {40, 1, 1, false}, {45, 0, 1, true}, {70, 0, 1, true}, {100, 0, 1, true}, {105, 0, 0, false}},
		"first contact":        {{0, 0, unknown, true}, {30, 0, unknown, true}, {60, 0, 0, false}, {61, 0, 0, false}},
		"found after a doubt":  {{0, 0, unknown, true}, {5, 3, 3, false}},
		"work after believing": {{0, 0, unknown, true}, {30, 0, unknown, true}, {60, 0, 0, false}, {75, 2, 2, false}, {80, 0, 2, true}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var h history
			start := time.Now()
			for _, a := range answers {
				at := start.Add(time.Duration(a.after) * time.Second)
				r := h.judge(numbers{visible: a.says, created: "1"}.reading(counting{}, at), emptyFor)
				got := r.Reading.Backlog()
				if r.Err != nil {
					got = unknown
				}
				if got != a.want || r.Pending != a.pending || r.Err != nil && !errors.Is(r.Err, backlog.ErrPartial) || r.Err == nil && !r.Reading.At.Equal(at) {
					t.Errorf("%d after %d s means %+v, want %d, pending %t", a.says, a.after, r, a.want, a.pending)
				}
			}
		})
	}
}

// TestInterrupted: a zero before an outage does not help to believe one after it.
func TestInterrupted(t *testing.T) {
	t.Parallel()
	var h history
	at := time.Now()
	says := func(visible int64, after time.Duration) backlog.Result {
		at = at.Add(after)
		return h.judge(numbers{visible: visible, created: "1"}.reading(counting{}, at), time.Minute)
	}
	says(7, 0)
	says(0, time.Second)
	h.interrupt()
	says(0, time.Hour)
	if r := says(0, time.Second); r.Err != nil || r.Reading.Ready != 7 || !r.Pending {
		t.Errorf("two zeros after an outage mean %+v, want 7", r)
	}
}

// TestOtherLife: nothing of a queue counts for the one that was made again under its name.
func TestOtherLife(t *testing.T) {
	t.Parallel()
	var h history
	start := time.Now()
	h.judge(numbers{visible: 7, created: "1"}.reading(counting{}, start), time.Minute)
	if r := h.judge(numbers{created: "2"}.reading(counting{}, start.Add(time.Second)), time.Minute); r.Err == nil || !r.Pending {
		t.Errorf("an empty queue made again means %+v, want unknown", r)
	}
}

// TestPause: a queue is read the less often the longer it has been idle, and never so often that the budget
// is not enough.
func TestPause(t *testing.T) {
	t.Parallel()
	l := limits{perMinute: 600, active: 5 * time.Second, idle: 15 * time.Second}
	for _, c := range []struct {
		quiet  time.Duration
		queues int
		want   time.Duration
	}{
		{0, 1, 5 * time.Second},
		{4 * time.Minute, 1, 5 * time.Second},
		{5 * time.Minute, 1, 15 * time.Second},
		{10 * time.Minute, 1, 30 * time.Second},
		{2 * time.Hour, 1, time.Minute},
		{0, 50, 5 * time.Second},
		{0, 1000, 100 * time.Second},
		{2 * time.Hour, 1000, 100 * time.Second},
	} {
		if got := l.pause(c.quiet, c.queues); got != c.want {
			t.Errorf("%s after the last message, with %d queues: %s, want %s", c.quiet, c.queues, got, c.want)
		}
	}
	slow := limits{perMinute: 600, active: time.Minute, idle: 5 * time.Minute}
	if got := slow.pause(2*time.Hour, 1); got != 5*time.Minute {
		t.Errorf("an idle queue whose idlePoll is 5m: %s", got)
	}
}
