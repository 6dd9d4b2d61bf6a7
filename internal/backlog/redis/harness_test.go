package redis_test

import (
	"context"
	"slices"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/backlogtest"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/layout/layouttest"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/redistest"
)

func TestMain(m *testing.M) { layouttest.Main(m) }

// wakesOf returns the wake-ups of a source.
func wakesOf(t testing.TB, source backlog.Source) <-chan backlog.Wake {
	t.Helper()
	waker, ok := source.(backlog.Waker)
	if !ok {
		t.Fatalf("%T does not wake", source)
	}
	return waker.Wakes()
}

// patience bounds the wait for what must happen.
const patience = 3 * time.Minute

// A probe is a queue whose change shows that all that was reported before it has arrived.
type probe struct {
	source backlog.Source
	ear    *backlogtest.Wakeups
	wakes  <-chan backlog.Wake
	server *redistest.Server
	query  backlog.Query
}

func newProbe(t testing.TB, source backlog.Source, ear *backlogtest.Wakeups, server *redistest.Server) probe {
	t.Helper()
	return probe{source, ear, wakesOf(t, source), server, list("probe")}
}

// settle waits until nothing is on its way of what the connections cause when they
// begin. The first wake-up of the probe may be of that kind, the second is not.
func (p probe) settle(t testing.TB) {
	t.Helper()
	for rounds := 0; rounds < 2; {
		backlogtest.Arm(t, p.source, p.ear, p.query)
		p.server.Do("LPUSH", p.query.Queue, "a")
		if !p.next(t).Everything {
			rounds++
		}
	}
	backlogtest.Arm(t, p.source, p.ear, p.query)
}

// drain changes the probe, which is armed, and returns the queries that are woken until
// its own wake-up has come, and with it.
func (p probe) drain(t testing.TB) []backlog.Query {
	t.Helper()
	p.server.Do("LPUSH", p.query.Queue, "a")
	var woken []backlog.Query
	for {
		w := p.take(t)
		if w.Everything {
			t.Fatal("everything is woken")
		}
		woken = append(woken, w.Queries...)
		if slices.Contains(w.Queries, p.query) {
			return woken
		}
	}
}

// next returns the next wake-up of the probe.
func (p probe) next(t testing.TB) backlog.Wake {
	t.Helper()
	for {
		if w := p.take(t); w.Everything || slices.Contains(w.Queries, p.query) {
			return w
		}
	}
}

func (p probe) take(t testing.TB) backlog.Wake {
	t.Helper()
	select {
	case w, open := <-p.wakes:
		if !open {
			t.Fatal("the wake-ups have ended")
		}
		return w
	case <-time.After(patience):
		t.Fatalf("not woken within %s", patience)
		return backlog.Wake{}
	}
}

func list(key string) backlog.Query { return backlog.Query{Layout: "list", Queue: key} }

func stream(key, group string, more ...string) backlog.Query {
	values := map[string]string{"consumerGroup": group}
	for i := 0; i < len(more); i += 2 {
		values[more[i]] = more[i+1]
	}
	return backlog.Query{Layout: "stream", Queue: key, Params: backlog.NewParams(values)}
}

// A writer is a client of the queues: one server's or a cluster's.
type writer interface {
	goredis.Cmdable
	Do(ctx context.Context, args ...any) *goredis.Cmd
}

// cases are all layouts.
func cases(client writer) []backlogtest.Case {
	k := new(layouttest.Names)
	must := func(t testing.TB, args ...any) any {
		t.Helper()
		value, err := client.Do(t.Context(), args...).Result()
		if err != nil && err != goredis.Nil { //nolint:errorlint // go-redis returns the bare value
			t.Fatalf("%v: %v", args, err)
		}
		return value
	}
	spoil := func(t testing.TB, q backlog.Query) {
		t.Helper()
		must(t, "SET", q.Queue, "a string")
	}
	trim := func(t testing.TB, q backlog.Query, _ int) {
		t.Helper()
		must(t, "XTRIM", q.Queue, "MAXLEN", 0)
	}
	query := func(layout string, params map[string]string) func(testing.TB) backlog.Query {
		return func(testing.TB) backlog.Query {
			return backlog.Query{Layout: layout, Queue: k.Next(layout), Params: backlog.NewParams(params)}
		}
	}
	// each runs a command n times with the key and a value that is new.
	each := func(args ...any) func(testing.TB, backlog.Query, int) {
		return func(t testing.TB, q backlog.Query, n int) {
			t.Helper()
			for range n {
				command := []any{args[0], q.Queue}
				for _, a := range args[1:] {
					if a == "NEW" {
						a = k.Next("message")
					}
					command = append(command, a)
				}
				must(t, command...)
			}
		}
	}
	dropHash := func(t testing.TB, q backlog.Query, n int) {
		t.Helper()
		fields, _ := must(t, "HKEYS", q.Queue).([]any)
		must(t, append([]any{"HDEL", q.Queue}, fields[:n]...)...)
	}
	addEntries := func(t testing.TB, q backlog.Query, n int) {
		t.Helper()
		if must(t, "EXISTS", q.Queue) == int64(0) {
			must(t, "XGROUP", "CREATE", q.Queue, "workers", "0", "MKSTREAM")
		}
		each("XADD", "*", "message", "NEW")(t, q, n)
	}
	takeEntries := func(t testing.TB, q backlog.Query, n int) {
		t.Helper()
		must(t, "XREADGROUP", "GROUP", "workers", "one", "COUNT", n, "STREAMS", q.Queue, ">")
	}
	acknowledge := func(t testing.TB, q backlog.Query, n int) {
		t.Helper()
		pending, err := client.XPendingExt(t.Context(), &goredis.XPendingExtArgs{Stream: q.Queue, Group: "workers", Start: "-", End: "+", Count: int64(n)}).Result()
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range pending {
			must(t, "XACK", q.Queue, "workers", p.ID)
		}
	}
	return []backlogtest.Case{
		{
			Name: "list", Query: query("list", nil), Corrupt: spoil,
			Add: each("LPUSH", "NEW"), Ack: each("RPOP"),
		},
		{
			Name: "list with work in flight",
			Query: func(testing.TB) backlog.Query {
				return layouttest.Query("list", k.Next("{list}"), "inFlightList", "{queue}:taken")
			},
			Corrupt: func(t testing.TB, q backlog.Query) {
				t.Helper()
				must(t, "SADD", q.Queue+":taken", "a member")
			},
			Add: each("LPUSH", "NEW"),
			Take: func(t testing.TB, q backlog.Query, n int) {
				t.Helper()
				for range n {
					must(t, "RPOPLPUSH", q.Queue, q.Queue+":taken")
				}
			},
			Ack: func(t testing.TB, q backlog.Query, n int) {
				t.Helper()
				for range n {
					must(t, "RPOP", q.Queue+":taken")
				}
			},
		},
		{
			Name: "stream", Query: query("stream", map[string]string{"consumerGroup": "workers"}), Corrupt: spoil, EmptyExists: true,
			Add: addEntries, Take: takeEntries, Ack: acknowledge,
		},
		{
			Name: "stream counted by its entries", Query: query("stream", map[string]string{"consumerGroup": "workers", "scan": "100"}), Corrupt: spoil, EmptyExists: true,
			Add: addEntries, Take: takeEntries, Ack: acknowledge,
		},
		{
			Name: "stream whose group does not exist yet", Query: query("stream", map[string]string{"consumerGroup": "workers"}), Corrupt: spoil, EmptyExists: true,
			Add: each("XADD", "*", "message", "NEW"),
			Ack: trim,
		},
		{
			Name: "stream without group", Query: query("stream", nil), Corrupt: spoil, EmptyExists: true,
			Add: each("XADD", "*", "message", "NEW"),
			Ack: trim,
		},
		{
			Name: "sorted set by seconds", Query: query("sortedSet", nil), Corrupt: spoil,
			Add: each("ZADD", 1700000000, "NEW"), Ack: each("ZPOPMIN"),
		},
		{
			Name: "sorted set by milliseconds", Query: query("sortedSet", map[string]string{"score": "milliseconds"}), Corrupt: spoil,
			Add: each("ZADD", 1700000000000, "NEW"), Ack: each("ZPOPMIN"),
		},
		{
			Name: "sorted set without time", Query: query("sortedSet", map[string]string{"score": "none"}), Corrupt: spoil,
			Add: each("ZADD", "+inf", "NEW"), Ack: each("ZPOPMIN"),
		},
		{Name: "set", Query: query("set", nil), Corrupt: spoil, Add: each("SADD", "NEW"), Ack: each("SPOP")},
		{Name: "hash", Query: query("hash", nil), Corrupt: spoil, Add: each("HSET", "NEW", "value"), Ack: dropHash},
	}
}
