package redis_test

import (
	"strings"
	"testing"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/backlogtest"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/redistest"
)

// TestRubyAndPHPConformance holds the layouts of Ruby's and PHP's frameworks to the
// suite, on each server. Their own libraries are driven elsewhere.
func TestRubyAndPHPConformance(t *testing.T) {
	t.Parallel()
	for name, way := range map[string]struct {
		lines []string
		more  map[string]any
	}{
		"tracking": {},
		"keyspace": {lines: []string{"notify-keyspace-events KA"}, more: map[string]any{"wakeUp": "keyspace"}},
	} {
		for _, version := range redistest.Versions(t) {
			t.Run(version.Name+"/"+name, func(t *testing.T) {
				t.Parallel()
				server := redistest.Start(t, redistest.WithVersion(version), redistest.WithConfig(way.lines...))
				backlogtest.Exercise(t, backlogtest.Harness{
					Engine:     redis.Engine(),
					Address:    server.Addr(),
					Connection: func(address string) backlog.Connection { return connection([]string{address}, way.more) },
					Cases:      rubyAndPHPCases(server),
					Wakes:      true,
				})
			})
		}
	}
}

// rubyAndPHPCases move jobs as the frameworks do.
func rubyAndPHPCases(server *redistest.Server) []backlogtest.Case {
	k := new(keys)
	query := func(layout string) func(testing.TB) backlog.Query {
		return func(testing.TB) backlog.Query { return layoutQuery(layout, k.next("q")) }
	}
	// each runs commands n times, with the names of the queue and of a worker in them.
	each := func(commands ...string) func(testing.TB, backlog.Query, int) {
		return func(_ testing.TB, q backlog.Query, n int) {
			for range n {
				names := strings.NewReplacer("QUEUE", q.Queue, "WORKER", k.next("host")+":"+q.Queue)
				for _, command := range commands {
					server.Do(words(names.Replace(command))...)
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
			Add:    each("SADD queues QUEUE", `LPUSH queue:QUEUE {"queue":"QUEUE"}`),
			Settle: each("RPOP queue:QUEUE"),
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
