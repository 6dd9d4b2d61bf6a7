package redis_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/backlogtest"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/redistest"
)

// TestPatternFindsWhatIsFarAhead: the queue of a delayed job that is not among the first
// ones of all queues is found in time although nothing changes, by a reader that looks
// again when it is told to.
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
			source := openServer(t, server, nil)
			q := layoutQuery(layout, "mail*")
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

// TestCeleryAllWakes: where what workers have taken from any queue counts, it wakes.
func TestCeleryAllWakes(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	source := openServer(t, server, nil)
	q := layoutQuery("celery", "mail", "unacked", "all")
	wakes(t, source, q, func() { server.Do("HSET", "unacked", "tag", `[{}, "", "other"]`) })
	if r := backlogtest.MustRead(t, source, q); r.InFlight != backlog.Exactly(1) {
		t.Errorf("one task of another queue reads as %+v", r)
	}
}

// TestAsynqGroupOnItsWay: a group that is emptied between two round trips went to be
// aggregated after the sets for that were counted, so there is work.
func TestAsynqGroupOnItsWay(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	source := openServer(t, server, nil)
	server.Do("SADD", "asynq:{mail}:groups", "emptied", "full")
	server.Do("ZADD", "asynq:{mail}:g:full", 1, "a", 2, "b")
	r := backlogtest.MustRead(t, source, layoutQuery("asynq", "mail"))
	if r.Due != 3 || r.Quality != backlog.LowerBound {
		t.Errorf("a group of two and one on its way read as %+v", r)
	}
}
