package layouttest

import (
	"testing"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog/backlogtest"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/redistest"
)

// PatternFindsWhatIsFarAhead checks that the queue of a delayed job that is not among the first
// ones of all queues is found in time although nothing changes, by a reader that looks again on
// request. delay adds jobs to a queue that are due at a moment, in Unix seconds.
func PatternFindsWhatIsFarAhead(t *testing.T, layout string, delay func(server *redistest.Server, queue string, at int64)) {
	t.Helper()
	server := redistest.Start(t)
	source := OpenServer(t, server, nil)
	q := Query(layout, "mail*")
	first := time.Unix(time.Now().Unix()+2, 0)
	second := first.Add(time.Second)
	delay(server, "other", first.Unix())
	delay(server, "mail-1", second.Unix())
	for _, want := range []time.Time{first, second} {
		r := backlogtest.MustRead(t, source, q)
		// What a busy machine reads after that moment says nothing of before.
		if r.At.Before(want) && (r.Backlog() != 0 || !r.NextDue.Equal(want)) {
			t.Fatalf("before %v: %+v", want, r)
		}
		time.Sleep(time.Until(want)) // What a reader does.
	}
	if r := backlogtest.MustRead(t, source, q); r.Due == 0 {
		t.Errorf("jobs of mail-1 that were due at %v read as %+v", second, r)
	}
}
