package redis_test

import (
	"fmt"
	"sync"
	"testing"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/backlogtest"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/layout/layouttest"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/redistest"
)

// TestPythonConformance holds the layouts of Python frameworks to the suite, on each
// server. Their own libraries are driven elsewhere.
func TestPythonConformance(t *testing.T) {
	t.Parallel()
	layouttest.ExerciseEverywhere(t, pythonCases)
}

// pythonCases move jobs as the frameworks do, one at a time. Each queue remembers which
// jobs wait and which were taken.
func pythonCases(server *redistest.Server) []backlogtest.Case {
	k := new(layouttest.Names)
	none := func(string) []string { return nil }
	movement := func(name, spoilt string, params func(queue string) []string, add, take, settle func(queue, job string)) backlogtest.Case {
		// mu guards what each queue remembers: the suite's tests run side by side.
		var mu sync.Mutex
		waiting, taken := map[string][]string{}, map[string][]string{}
		return backlogtest.Case{
			Name: name,
			Query: func(testing.TB) backlog.Query {
				queue := k.Next("q")
				return layouttest.Query(name, queue, params(queue)...)
			},
			Spoil: func(_ testing.TB, q backlog.Query) { server.Do("SET", fmt.Sprintf(spoilt, q.Queue), "a string") },
			Add: func(_ testing.TB, q backlog.Query, n int) {
				mu.Lock()
				defer mu.Unlock()
				for range n {
					job := k.Next("job")
					add(q.Queue, job)
					waiting[q.Queue] = append(waiting[q.Queue], job)
				}
			},
			Take: func(_ testing.TB, q backlog.Query, n int) {
				mu.Lock()
				defer mu.Unlock()
				for _, job := range waiting[q.Queue][:n] {
					take(q.Queue, job)
				}
				taken[q.Queue] = append(taken[q.Queue], waiting[q.Queue][:n]...)
				waiting[q.Queue] = waiting[q.Queue][n:]
			},
			Settle: func(_ testing.TB, q backlog.Query, n int) {
				mu.Lock()
				defer mu.Unlock()
				for _, job := range taken[q.Queue][:n] {
					settle(q.Queue, job)
				}
				taken[q.Queue] = taken[q.Queue][n:]
			},
		}
	}
	return []backlogtest.Case{
		movement(
			// Before Redis 6.2 nothing tells whose an unacknowledged message is, so each queue
			// has a hash of its own.
			"celery", "%s\x06\x163", func(queue string) []string { return []string{"unackedKey", queue + ":unacked"} },
			func(queue, job string) { server.Do("LPUSH", queue, job) },
			func(queue, job string) {
				server.Do("RPOP", queue)
				server.Do("HSET", queue+":unacked", job, fmt.Sprintf(`[{}, "", %q]`, queue))
			},
			func(queue, job string) { server.Do("HDEL", queue+":unacked", job) },
		),
		movement(
			"rq", "rq:wip:%s", none,
			func(queue, job string) { server.Do("RPUSH", "rq:queue:"+queue, job) },
			func(queue, job string) {
				server.Do("LPOP", "rq:queue:"+queue)
				server.Do("ZADD", "rq:wip:"+queue, "+inf", job)
			},
			func(queue, job string) { server.Do("ZREM", "rq:wip:"+queue, job) },
		),
		movement(
			"dramatiq", "dramatiq:%s.msgs", none,
			func(queue, job string) {
				server.Do("HSET", "dramatiq:"+queue+".msgs", job, "{}")
				server.Do("RPUSH", "dramatiq:"+queue, job)
			},
			func(queue, _ string) { server.Do("LPOP", "dramatiq:"+queue) },
			func(queue, job string) { server.Do("HDEL", "dramatiq:"+queue+".msgs", job) },
		),
		movement(
			"arq", "%s", none,
			func(queue, job string) { server.Do("ZADD", queue, 1700000000000, job) },
			func(_, job string) { server.Do("SET", "arq:in-progress:"+job, 1) },
			func(queue, job string) {
				server.Do("ZREM", queue, job)
				server.Do("DEL", "arq:in-progress:"+job)
			},
		),
	}
}
