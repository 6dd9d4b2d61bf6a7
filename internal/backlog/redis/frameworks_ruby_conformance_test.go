package redis_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/backlogtest"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/layout/layouttest"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/redistest"
)

// TestRubyAndPHPConformance holds the layouts of Ruby's and PHP's frameworks to the
// suite, on each server. Their own libraries are driven elsewhere.
func TestRubyAndPHPConformance(t *testing.T) {
	t.Parallel()
	layouttest.ExerciseEverywhere(t, rubyAndPHPCases)
}

// rubyAndPHPCases move jobs as the frameworks do.
func rubyAndPHPCases(server *redistest.Server) []backlogtest.Case {
	k := new(layouttest.Names)
	query := func(layout string) func(testing.TB) backlog.Query {
		return func(testing.TB) backlog.Query { return layouttest.Query(layout, k.Next("q")) }
	}
	// each runs commands n times, with the names of the queue and of a worker in them.
	each := func(commands ...string) func(testing.TB, backlog.Query, int) {
		return func(_ testing.TB, q backlog.Query, n int) {
			for range n {
				names := strings.NewReplacer("QUEUE", q.Queue, "WORKER", k.Next("host")+":"+q.Queue)
				for _, command := range commands {
					server.Do(layouttest.Words(names.Replace(command))...)
				}
			}
		}
	}
	spoil := func(key string) func(testing.TB, backlog.Query) {
		return func(_ testing.TB, q backlog.Query) { server.Do("SET", key+q.Queue, "a string") }
	}
	return []backlogtest.Case{
		{
			Name: "sidekiq", Query: query("sidekiq"), Spoil: spoil("queue:"), EmptyExists: true,
			Add: each("SADD queues QUEUE", `LPUSH queue:QUEUE {"queue":"QUEUE"}`),
			Take: each("RPOP queue:QUEUE", `HSET WORKER:work thread {"queue":"QUEUE"}`, "SADD processes WORKER",
				`HSET WORKER info {"queues":["QUEUE"]} beat 1700000000.5`),
			Settle: func(_ testing.TB, q backlog.Query, n int) {
				busy, _ := server.Do("KEYS", "*:"+q.Queue+":work").([]any)
				for _, work := range busy[:n] {
					key, _ := work.(string)
					server.Do("DEL", key)
					// Two heartbeats later.
					server.Do("HSET", strings.TrimSuffix(key, ":work"), "beat", "1700000020.75")
				}
			},
		},
		{
			Name: "resque", Query: query("resque"), Spoil: spoil("resque:queue:"), EmptyExists: true,
			Add:  each("SADD resque:queues QUEUE", `RPUSH resque:queue:QUEUE {"class":"Job","args":[]}`),
			Take: each("SADD resque:workers WORKER", "LPOP resque:queue:QUEUE", `SET resque:worker:WORKER {"queue":"QUEUE","payload":{}}`),
			Settle: func(_ testing.TB, q backlog.Query, n int) {
				busy, _ := server.Do("KEYS", "resque:worker:*:"+q.Queue).([]any)
				server.Do(append([]any{"DEL"}, busy[:n]...)...)
			},
		},
		{
			Name: "laravel", Query: query("laravel"), Spoil: spoil("queues:"),
			Add:    each(`RPUSH queues:QUEUE {"job":"Job"}`),
			Settle: each("LPOP queues:QUEUE"),
		},
	}
}

// TestRubyAndPHPUnknown: what does not say which queue it belongs to is never nothing.
func TestRubyAndPHPUnknown(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		query    backlog.Query
		commands []string
		want     backlog.Reading
	}{
		"sidekiq schedule": {
			query:    layouttest.Query("sidekiq", "q"),
			commands: []string{"ZADD schedule 1700000000 nonsense"},
			want:     backlog.Reading{Due: 1, InFlight: backlog.Exactly(0), Consumers: backlog.Exactly(0), Quality: backlog.LowerBound},
		},
		"sidekiq work": {
			query:    layouttest.Query("sidekiq", "q"),
			commands: []string{"SADD processes p", "HSET p:work thread nonsense"},
			want:     backlog.Reading{InFlight: backlog.Exactly(1), Consumers: backlog.Exactly(0), Quality: backlog.LowerBound},
		},
		"sidekiq job": {
			query:    layouttest.Query("sidekiq", "q", "age", "payload", "fetch", "basic"),
			commands: []string{"LPUSH queue:q nonsense"},
			want:     backlog.Reading{Ready: 1, InFlight: backlog.Exactly(0), Consumers: backlog.Exactly(0)},
		},
		"sidekiq process": {
			query:    layouttest.Query("sidekiq", "q", "fetch", "basic"),
			commands: []string{"SADD queues q", "SADD processes p", "HSET p info nonsense beat 1700000000.5"},
			want:     backlog.Reading{InFlight: backlog.Exactly(0), Consumers: backlog.Exactly(1)},
		},
		"resque delayed": {
			query:    layouttest.Query("resque", "q"),
			commands: []string{"ZADD resque:delayed_queue_schedule 1700000000 1700000000", "RPUSH resque:delayed:1700000000 nonsense"},
			want:     backlog.Reading{Due: 1, InFlight: backlog.Exactly(0), Quality: backlog.LowerBound},
		},
		"resque worker": {
			query:    layouttest.Query("resque", "q"),
			commands: []string{"SADD resque:workers w", "SET resque:worker:w nonsense"},
			want:     backlog.Reading{InFlight: backlog.Exactly(1), Quality: backlog.LowerBound},
		},
		"laravel job": {
			query:    layouttest.Query("laravel", "q", "age", "payload"),
			commands: []string{"RPUSH queues:q nonsense"},
			want:     backlog.Reading{Ready: 1, InFlight: backlog.Exactly(0)},
		},
		"laravel job of Horizon": {
			query:    layouttest.Query("laravel", "q", "age", "payload"),
			commands: []string{`RPUSH queues:q {"pushedAt":"1700000000.25","delay":5}`},
			want:     backlog.Reading{Ready: 1, InFlight: backlog.Exactly(0), Oldest: backlog.Age{Since: time.UnixMilli(1700000005250), Kind: backlog.AgeExact}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := redistest.Start(t)
			source := layouttest.OpenServer(t, server, nil)
			for _, command := range c.commands {
				server.Do(layouttest.Words(command)...)
			}
			r := backlogtest.MustRead(t, source, c.query)
			r.At, r.Epoch = time.Time{}, ""
			if diff := cmp.Diff(c.want, r); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestRubyAndPHPDenied: without the rights of job frameworks there is no reading.
func TestRubyAndPHPDenied(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	source := layouttest.OpenServer(t, server, layouttest.User(redistest.Version{Name: "redis-7"}, server, "%R~*", redis.ACLRules))
	server.Do("RPUSH", "queues:q", "1")
	for _, q := range []backlog.Query{
		layouttest.Query("sidekiq", "q"), layouttest.Query("resque", "q"), layouttest.Query("laravel", "q", "age", "payload"),
	} {
		if r := backlogtest.Read(t, source, q)[0]; !errors.Is(r.Err, backlog.ErrDenied) {
			t.Errorf("%s: %+v, want ErrDenied", q.Layout, r)
		}
	}
	if r := backlogtest.MustRead(t, source, layouttest.Query("laravel", "q")); r.Ready != 1 {
		t.Errorf("laravel asks for counts alone: %+v, want 1 ready", r)
	}
}

// TestRubyProcessesAreBounded: of more processes than are asked a reading says that it
// knows not all.
func TestRubyProcessesAreBounded(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		query backlog.Query
		set   string
	}{
		"sidekiq":     {layouttest.Query("sidekiq", "q"), "processes"},
		"super_fetch": {layouttest.Query("sidekiq", "q"), "super_processes"},
		"resque":      {layouttest.Query("resque", "q"), "resque:workers"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := redistest.Start(t)
			source := layouttest.OpenServer(t, server, nil)
			add := []any{"SADD", c.set}
			for i := range 1001 {
				add = append(add, fmt.Sprintf("host:%d:abc", i))
			}
			server.Do(add...)
			r := backlogtest.MustRead(t, source, c.query)
			if want := (layouttest.Figures{InFlight: backlog.Exactly(1), Quality: backlog.LowerBound}); layouttest.FiguresOf(r) != want {
				t.Errorf("%+v, want %+v", layouttest.FiguresOf(r), want)
			}
			server.Do("SREM", c.set, "host:0:abc", "host:1:abc")
			redistest.Eventually(t, "all are asked", func() bool {
				return layouttest.FiguresOf(backlogtest.MustRead(t, source, c.query)) == layouttest.Figures{InFlight: backlog.Exactly(0)}
			})
		})
	}
}
