package redis

import (
	"errors"
	"maps"
	"strconv"
	"strings"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/keyscan"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/layout"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/redistest"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/resp"
)

// A timeTraveller reads one query of a real server at any moment, so that no test waits
// for what lasts.
type timeTraveller struct {
	t      testing.TB
	client *goredis.Client
	first  layout.Step
}

func travel(t testing.TB, server *redistest.Server, layout, queue string, params map[string]string) *timeTraveller {
	t.Helper()
	// The replies have the types of the older protocol, as on the scaler's own connections.
	client := goredis.NewClient(&goredis.Options{Addr: server.Addr(), Protocol: 2})
	t.Cleanup(func() { _ = client.Close() })
	for _, l := range layouts() {
		if l.Name == layout {
			q := backlog.Query{Layout: layout, Queue: queue, Params: backlog.NewParams(params)}
			return &timeTraveller{t, client, l.Prepare(q, keyscan.QuerySearch{})}
		}
	}
	t.Fatalf("there is no layout %q", layout)
	return nil
}

// read reads the query as if it were the moment now.
func (r *timeTraveller) read(now time.Time) backlog.Reading {
	r.t.Helper()
	for s, trips := r.first, 0; trips < maxRoundTrips; trips++ {
		var replies []resp.Reply
		for _, c := range s.Commands(nil, now) {
			value, err := r.client.Do(r.t.Context(), c.Args...).Result()
			var refusal goredis.Error
			if err != nil && !errors.As(err, &refusal) {
				r.t.Fatalf("%v: %v", c.Args, err)
			}
			if errors.Is(err, goredis.Nil) {
				err = resp.ErrNil
			}
			replies = append(replies, resp.Reply{Value: value, Err: err, Server: &resp.Server{}})
		}
		o := s.Outcome(replies, now)
		if o.Err != nil {
			r.t.Fatalf("read: %v", o.Err)
		}
		if o.Next == nil {
			return o.Reading
		}
		s = o.Next
	}
	r.t.Fatal("read: too many round trips")
	return backlog.Reading{}
}

// An orphansCase is work that nothing moves: how it reads at first, after the grace, after
// OrphanedAfter, and when it is mended.
type orphansCase struct {
	layout  string
	params  map[string]string
	orphan  []string // commands that make one orphaned message and one that is not
	mend    []string
	grace   time.Duration
	warning string
}

// TestOrphansInTime: work that nothing moves counts, with a warning once it has lasted, and
// stops counting after OrphanedAfter; what is not orphaned goes on to count.
func TestOrphansInTime(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]orphansCase{
		"Celery, a message that is not in the index": {
			layout: "celery",
			orphan: []string{`HSET unacked lost [{},"","mail"] kept [{},"","mail"] other [{},"","other"]`, "ZADD unacked_index 1 kept 1 other"},
			mend:   []string{"ZADD unacked_index 1 lost"},
			grace:  layout.OrphanGrace, warning: "unacked_index",
		},
		"Celery, all queues together": {
			layout: "celery", params: map[string]string{"unacked": "all"},
			orphan: []string{`HSET unacked lost [{},"","mail"] kept [{},"","mail"]`, "ZADD unacked_index 1 kept"},
			mend:   []string{"ZADD unacked_index 1 lost"},
			grace:  layout.OrphanGrace, warning: "unacked_index",
		},
		"Celery, a message that nobody understands": {
			layout: "celery", params: map[string]string{"globalKeyPrefix": "shop:", "unackedKey": "u", "unackedIndexKey": "i"},
			orphan: []string{"HSET shop:u lost secret", "LPUSH shop:mail {}"},
			mend:   []string{"ZADD shop:i 1 lost"},
			grace:  layout.OrphanGrace, warning: "shop:i",
		},
		"RQ, a running job that no worker gives up": {
			layout: "rq",
			orphan: []string{"ZADD rq:wip:mail NOW lost +inf kept"},
			mend:   []string{"ZADD rq:wip:mail +inf lost"},
			grace:  20 * time.Minute, warning: "rq:wip:mail",
		},
		"RQ, a scheduled job without a scheduler": {
			layout: "rq",
			orphan: []string{"ZADD rq:scheduled:mail NOW lost", "RPUSH rq:queue:mail kept"},
			mend:   []string{"SET rq:scheduler-lock:mail 1"},
			grace:  5 * time.Minute, warning: "rq:scheduler-lock:mail",
		},
		"RQ, a job of rq-scheduler, which does not run": {
			layout: "rq",
			orphan: []string{"ZADD rq:scheduler:scheduled_jobs NOW lost", "HSET rq:job:lost origin mail", "RPUSH rq:queue:mail kept"},
			mend:   []string{"SET rq:scheduler_lock 1"},
			grace:  5 * time.Minute, warning: "rq:scheduler_lock",
		},
		"Dramatiq, a message that no worker has": {
			layout: "dramatiq",
			orphan: []string{`HSET dramatiq:mail.msgs lost {} kept {}`, "ZADD dramatiq:__heartbeats__ 1 w", "SADD dramatiq:__acks__.w.mail kept"},
			mend:   []string{"SADD dramatiq:__acks__.w.mail lost"},
			grace:  layout.OrphanGrace, warning: "dramatiq:mail",
		},
		"Dramatiq 1.1, a message that no worker has": {
			layout: "dramatiq", params: map[string]string{"namespace": "shop"},
			orphan: []string{`HSET shop:mail.msgs lost {} kept {}`, "ZADD shop:mail.acks 1 kept"},
			mend:   []string{"ZADD shop:mail.acks 1 lost"},
			grace:  layout.OrphanGrace, warning: "shop:mail",
		},
		"Dramatiq, a delayed message that no worker has": {
			layout: "dramatiq",
			orphan: []string{`HSET dramatiq:mail.DQ.msgs lost {"options":{"eta":1000}} kept {"options":{"eta":1000}}`, "RPUSH dramatiq:mail.DQ kept"},
			mend:   []string{"RPUSH dramatiq:mail.DQ lost"},
			grace:  layout.OrphanGrace, warning: "dramatiq:mail",
		},
		"Dramatiq, a message fetched by a worker that is forgotten": {
			layout: "dramatiq",
			orphan: []string{`HSET dramatiq:mail.msgs lost {} kept {}`, "ZADD dramatiq:__heartbeats__ 1 w", "RPUSH dramatiq:mail kept", "SADD dramatiq:__acks__.gone.mail lost"},
			mend:   []string{"ZADD dramatiq:__heartbeats__ 1 gone"},
			grace:  layout.OrphanGrace, warning: "dramatiq:mail",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := redistest.Start(t)
			now := time.Now()
			row.do(server, row.orphan, now)
			unbounded := travel(t, server, row.layout, "mail", row.params)
			params := map[string]string{layout.OrphanedAfter: "1h"}
			maps.Copy(params, row.params)
			bounded := travel(t, server, row.layout, "mail", params)

			for _, reader := range []*timeTraveller{unbounded, bounded} {
				if r := reader.read(now); r.Backlog() != 2 || r.Orphaned != 0 || r.Warning != "" {
					t.Errorf("at first it reads as %+v", r)
				}
				r := reader.read(now.Add(row.grace))
				if r.Backlog() != 2 || r.Orphaned != 1 || r.Quality != backlog.UpperBound || !strings.Contains(r.Warning, row.warning) {
					t.Errorf("after %s it reads as %+v", row.grace, r)
				}
			}
			if r := unbounded.read(now.Add(2 * time.Hour)); r.Backlog() != 2 || !strings.Contains(r.Warning, "set orphanedAfter") {
				t.Errorf("without a bound it reads after two hours as %+v", r)
			}
			r := bounded.read(now.Add(2 * time.Hour))
			if r.Backlog() != 1 || r.Orphaned != 0 || r.Ignored != 1 || !strings.Contains(r.Warning, row.warning) {
				t.Errorf("after the bound it reads as %+v", r)
			}
			row.do(server, row.mend, now)
			for _, reader := range []*timeTraveller{unbounded, bounded} {
				if r := reader.read(now.Add(3 * time.Hour)); r.Backlog() != 2 || r.Orphaned+r.Ignored != 0 || r.Warning != "" {
					t.Errorf("when it is mended it reads as %+v", r)
				}
			}
		})
	}
}

func (orphansCase) do(server *redistest.Server, commands []string, now time.Time) {
	for _, command := range commands {
		var args []any
		for word := range strings.FieldsSeq(command) {
			args = append(args, strings.ReplaceAll(word, "NOW", strconv.FormatInt(now.Unix(), 10)))
		}
		server.Do(args...)
	}
}
