package redis_test

import (
	"fmt"
	"maps"
	"testing"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/backlogtest"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/layout/layouttest"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/redistest"
)

// A wanderer is a queue whose only job goes to and fro, always in one move.
type wanderer struct {
	query backlog.Query
	// begin puts the job where it is first.
	begin string
	// moves are scripts by the command before which they are run: each takes the job away
	// from where that command looks. All of them do nothing if the job is not there.
	moves map[string]string
}

// shift returns a script that moves the element of a list to another one.
func shift(from, to string) string {
	return fmt.Sprintf("local j = redis.call('RPOP', '%s') if j then redis.call('LPUSH', '%s', j) end", from, to)
}

// park returns a script that moves the element of a list to a sorted set, and unpark one
// that moves it back.
func park(from, to string, score int64) string {
	return fmt.Sprintf("local j = redis.call('RPOP', '%s') if j then redis.call('ZADD', '%s', %d, j) end", from, to, score)
}

func unpark(from, to string) string {
	return fmt.Sprintf("local j = redis.call('ZRANGE', '%s', 0, 0) if j[1] then redis.call('ZREM', '%s', j[1]) redis.call('LPUSH', '%s', j[1]) end", from, from, to)
}

// hide returns a script that moves the element of a list to a field of a hash, and unhide
// one that moves it back.
func hide(from, to string) string {
	return fmt.Sprintf("local j = redis.call('RPOP', '%s') if j then redis.call('HSET', '%s', 'f', j) end", from, to)
}

func unhide(from, to string) string {
	return fmt.Sprintf("local j = redis.call('HGET', '%s', 'f') if j then redis.call('DEL', '%s') redis.call('LPUSH', '%s', j) end", from, from, to)
}

func wanderers() map[string]wanderer {
	later := time.Now().Add(time.Hour).Unix()
	return map[string]wanderer{
		"a list and the one of workers": {layouttest.Query("list", "jobs", "inFlightList", "work"), "LPUSH jobs a", map[string]string{
			"LLEN jobs": shift("jobs", "work"), "LLEN work": shift("work", "jobs"),
		}},
		"two lists": {layouttest.Query("list", "one,two"), "LPUSH one a", map[string]string{
			"LLEN one": shift("one", "two"), "LLEN two": shift("two", "one"),
		}},
		"active and wait of BullMQ": {layouttest.Query("bullmq", "q"), "LPUSH bull:q:wait 1", map[string]string{
			"LLEN bull:q:wait": shift("bull:q:wait", "bull:q:active"), "LLEN bull:q:active": shift("bull:q:active", "bull:q:wait"),
		}},
		"delayed and wait of BullMQ": {layouttest.Query("bullmq", "q"), "LPUSH bull:q:wait 1", map[string]string{
			"ZCOUNT bull:q:delayed": unpark("bull:q:delayed", "bull:q:wait"), "LLEN bull:q:wait": park("bull:q:wait", "bull:q:delayed", 1),
		}},
		"several queues of BullMQ": {layouttest.Query("bullmq", "p,q"), "LPUSH bull:q:wait 1", map[string]string{
			"LLEN bull:q:wait": shift("bull:q:wait", "bull:q:active"), "LLEN bull:q:active": shift("bull:q:active", "bull:q:wait"),
		}},
		"Bee-Queue": {layouttest.Query("beequeue", "q"), "LPUSH bq:q:waiting 1", map[string]string{
			"LLEN bq:q:waiting": shift("bq:q:waiting", "bq:q:active"), "LLEN bq:q:active": shift("bq:q:active", "bq:q:waiting"),
		}},
		"asynq": {layouttest.Query("asynq", "q"), "LPUSH asynq:{q}:pending 1", map[string]string{
			"LLEN asynq:{q}:pending": shift("asynq:{q}:pending", "asynq:{q}:active"), "LLEN asynq:{q}:active": shift("asynq:{q}:active", "asynq:{q}:pending"),
		}},
		"RQ": {layouttest.Query("rq", "q"), "LPUSH rq:queue:q 1", map[string]string{
			"LLEN rq:queue:q": park("rq:queue:q", "rq:wip:q", later), "ZCARD rq:wip:q": unpark("rq:wip:q", "rq:queue:q"),
		}},
		"Laravel": {layouttest.Query("laravel", "q"), "LPUSH queues:q 1", map[string]string{
			"ZCARD queues:q:reserved": unpark("queues:q:reserved", "queues:q"), "LLEN queues:q": park("queues:q", "queues:q:reserved", later),
		}},
		"Celery": {layouttest.Query("celery", "q"), "LPUSH q {}", map[string]string{
			"LLEN q": hide("q", "unacked"), "HLEN unacked": unhide("unacked", "q"),
		}},
		// What a process works on is asked in a second step.
		"Sidekiq": {layouttest.Query("sidekiq", "q", "fetch", "basic"), `LPUSH queue:q {"queue":"q"}`, map[string]string{
			"LLEN queue:q": hide("queue:q", "host:1:a:work"), "HVALS host:1:a:work": unhide("host:1:a:work", "queue:q"),
		}},
	}
}

// TestZeroIsSeenAtOneMoment: a job that goes back between two commands of a read, and
// forward between two reads, is in the way of none of them; no read is without it.
func TestZeroIsSeenAtOneMoment(t *testing.T) {
	t.Parallel()
	for name, w := range wanderers() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			layouttest.EachServer(t, func(t *testing.T, _ redistest.Version, server *redistest.Server) {
				t.Helper()
				server.Do(layouttest.Words(w.begin)...)
				server.Do("SADD", "processes", "host:1:a")
				proxy := redistest.StartProxy(t, server.Addr(), nil)
				moved := 0
				for command, script := range w.moves {
					proxy.Before(command, func() {
						server.Do("EVAL", script, 0)
						moved++
					})
				}
				source := backlogtest.Open(t, redis.Engine(), layouttest.Connection([]string{proxy.Addr()}, map[string]any{"wakeUp": "poll"}))
				for range 5 {
					if r := backlogtest.MustRead(t, source, w.query); r.Backlog() != 1 {
						t.Fatalf("%+v after %d moves, want a backlog of 1", r, moved)
					}
				}
				if moved < 2*len(w.moves) {
					t.Errorf("%d moves: the job was not on its way", moved)
				}
			})
		})
	}
}

// TestZeroWithoutTransactions: where the server or something before it runs none, two reads
// agree, and nothing else suffers. That is asked once, and not for each read.
func TestZeroWithoutTransactions(t *testing.T) {
	t.Parallel()
	w := wanderers()["active and wait of BullMQ"]
	for name, way := range map[string]struct {
		refusals map[string]string
		rules    string
	}{
		"MULTI unknown":               {refusals: map[string]string{"MULTI": "ERR unknown command 'MULTI'"}},
		"MULTI ends the connection":   {refusals: map[string]string{"MULTI": redistest.HangUp}},
		"EXEC unknown":                {refusals: map[string]string{"EXEC": "ERR unknown command 'EXEC'"}},
		"EXEC ends the connection":    {refusals: map[string]string{"EXEC": redistest.HangUp}},
		"no right to MULTI":           {rules: "-multi"},
		"no right to EXEC":            {rules: "-exec"},
		"no right to one of the keys": {rules: ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			layouttest.EachServer(t, func(t *testing.T, v redistest.Version, server *redistest.Server) {
				t.Helper()
				q := w.query
				begin, back := "LPUSH bull:q:active 1", w.moves["LLEN bull:q:active"]
				before, remove := "LLEN bull:q:active", "DEL bull:q:wait"
				more := map[string]any{"wakeUp": "poll"}
				switch {
				case way.refusals == nil && way.rules == "":
					q, begin, back = backlog.Query{Layout: "celery", Queue: "q"}, "HSET unacked f {}", unhide("unacked", "q")
					before, remove = "HLEN unacked", "DEL q"
					maps.Copy(more, layouttest.User(v, server, "%R~q* %R~unacked %R~_kombu*", redis.ACLRules, redis.ACLFrameworkRules))
				case way.refusals == nil:
					maps.Copy(more, layouttest.User(v, server, "%R~*", redis.ACLRules, redis.ACLFrameworkRules, way.rules))
				}
				server.Do(layouttest.Words(begin)...)
				proxy := redistest.StartProxy(t, server.Addr(), way.refusals)
				source := backlogtest.Open(t, redis.Engine(), layouttest.Connection([]string{proxy.Addr()}, more))
				proxy.Before(before, func() { server.Do("EVAL", back, 0) })
				for range 2 {
					if r := backlogtest.MustRead(t, source, q); r.Backlog() != 1 {
						t.Fatalf("%+v, want a backlog of 1", r)
					}
				}
				proxy.Before(before, nil)
				server.Do(layouttest.Words(remove)...)
				if r := backlogtest.MustRead(t, source, q); r.Backlog() != 0 {
					t.Fatalf("%+v of an empty queue", r)
				}
				asked := count(proxy.Seen(), "MULTI")
				for range 3 {
					server.Do(layouttest.Words(begin)...)
					backlogtest.MustRead(t, source, q)
					server.Do("FLUSHALL")
					if r := backlogtest.MustRead(t, source, q); r.Backlog() != 0 {
						t.Fatalf("%+v of an empty queue", r)
					}
				}
				if again := count(proxy.Seen(), "MULTI"); again != asked || asked == 0 || asked > 2 {
					t.Errorf("transactions were tried %d times, then %d, want it once or twice", asked, again)
				}
			})
		})
	}
}

// TestZeroOfAFurtherStep: the second read finds a message that was taken, and asks for its
// queue in a step that the first look did not have. By then it is back.
func TestZeroOfAFurtherStep(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	server.Do("HSET", "unacked", "f", `[{},"","q"]`)
	proxy := redistest.StartProxy(t, server.Addr(), nil)
	source := backlogtest.Open(t, redis.Engine(), layouttest.Connection([]string{proxy.Addr()}, map[string]any{"wakeUp": "poll"}))
	asked := 0
	for command, script := range map[string]string{
		"HLEN unacked": unhide("unacked", "q"), "ZCARD unacked_index": hide("q", "unacked"), "HRANDFIELD unacked": unhide("unacked", "q"),
	} {
		proxy.Before(command, func() {
			server.Do("EVAL", script, 0)
			if command == "HRANDFIELD unacked" {
				asked++
			}
		})
	}
	for range 3 {
		if r := backlogtest.MustRead(t, source, backlog.Query{Layout: "celery", Queue: "q"}); r.Backlog() == 0 {
			t.Fatalf("%+v although there was work at each moment", r)
		}
	}
	if asked == 0 {
		t.Error("no message was asked for")
	}
}

func count(all []string, one string) (n int) {
	for _, s := range all {
		if s == one {
			n++
		}
	}
	return n
}

// TestSecondLookCostsNothingAtRest: a queue that stays without work is read by the same
// commands as before, armed or polled, and one with work is too.
func TestSecondLookCostsNothingAtRest(t *testing.T) {
	t.Parallel()
	for name, mode := range map[string]string{"armed": "tracking", "polled": "poll"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := redistest.Start(t)
			proxy := redistest.StartProxy(t, server.Addr(), nil)
			source := backlogtest.Open(t, redis.Engine(), layouttest.Connection([]string{proxy.Addr()}, map[string]any{"wakeUp": mode}))
			ear := backlogtest.Listen(t, source)
			q := wanderers()["active and wait of BullMQ"].query
			server.Do("HSET", "bull:q:meta", "opts.maxLenEvents", "1")
			trips := func() (lengths, transactions int) {
				seen := proxy.Seen()
				return count(seen, "LLEN"), count(seen, "EXEC")
			}
			if mode == "tracking" {
				backlogtest.Arm(t, source, ear, q)
			}
			backlogtest.MustRead(t, source, q)
			lengths, transactions := trips()
			if transactions == 0 {
				t.Error("the first zero was believed at one look")
			}
			for range 10 {
				backlogtest.MustRead(t, source, q)
			}
			// wait, paused and active.
			if l, x := trips(); l != lengths+10*3 || x != transactions {
				t.Errorf("10 reads of an idle queue took %d lengths and %d transactions, want 30 and none", l-lengths, x-transactions)
			}
			server.Do("LPUSH", "bull:q:wait", "1")
			lengths, transactions = trips()
			for range 10 {
				backlogtest.MustRead(t, source, q)
			}
			if l, x := trips(); l != lengths+10*3 || x != transactions {
				t.Errorf("10 reads of a queue with work took %d lengths and %d transactions, want 30 and none", l-lengths, x-transactions)
			}
		})
	}
}

// TestTransactionArms: what is read in a transaction alone wakes when it changes.
func TestTransactionArms(t *testing.T) {
	t.Parallel()
	layouttest.EachServer(t, func(t *testing.T, _ redistest.Version, server *redistest.Server) {
		t.Helper()
		proxy := redistest.StartProxy(t, server.Addr(), nil)
		source := backlogtest.Open(t, redis.Engine(), layouttest.Connection([]string{proxy.Addr()}, nil))
		ear := backlogtest.Listen(t, source)
		q := wanderers()["active and wait of BullMQ"].query
		server.Do("HSET", "bull:q:meta", "opts.maxLenEvents", "1")
		for range 3 {
			server.Do("LPUSH", "bull:q:wait", "1")
			backlogtest.Arm(t, source, ear, q)
			server.Do("DEL", "bull:q:wait")
			ear.Await(t, q)
			// The first look arms it, and this takes the arming away again.
			fired := 0
			proxy.Before("LLEN bull:q:wait", func() {
				fired++
				if fired == 2 {
					server.Do("LPUSH", "bull:q:wait", "1")
					server.Do("DEL", "bull:q:wait")
				}
			})
			if r := backlogtest.MustRead(t, source, q); r.Backlog() != 0 || fired != 2 {
				t.Fatalf("%+v after %d looks, want a zero after 2", r, fired)
			}
			proxy.Before("LLEN bull:q:wait", nil)
			ear.Await(t, q)
			backlogtest.Arm(t, source, ear, q)
			server.Do("LPUSH", "bull:q:wait", "1")
			ear.Await(t, q)
			server.Do("DEL", "bull:q:wait")
		}
	})
}
