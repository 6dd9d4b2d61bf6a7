package redis_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog/backlogtest"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/layout/layouttest"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/redistest"
)

// TestPatternFindsWhatIsFarAhead: the queue of a delayed job that is not among the first
// ones of all queues is found in time although nothing changes, by a reader that looks
// again on request.
func TestPatternFindsWhatIsFarAhead(t *testing.T) {
	t.Parallel()
	for layout, delay := range map[string]func(*redistest.Server, string, int64){
		"sidekiq": func(server *redistest.Server, queue string, at int64) {
			for i := range 100 {
				server.Do("ZADD", "schedule", at, fmt.Sprintf(`{"queue":%q,"jid":"%d"}`, queue, i))
			}
		},
		"resque": func(server *redistest.Server, queue string, at int64) {
			server.Do("RPUSH", fmt.Sprintf("resque:delayed:%d", at), fmt.Sprintf(`{"queue":%q}`, queue))
			server.Do("ZADD", "resque:delayed_queue_schedule", at, at)
		},
	} {
		t.Run(layout, func(t *testing.T) {
			t.Parallel()
			server := redistest.Start(t)
			source := layouttest.OpenServer(t, server, nil)
			q := layouttest.Query(layout, "mail*")
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
		})
	}
}
