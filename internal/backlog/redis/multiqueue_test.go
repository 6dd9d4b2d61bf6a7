package redis_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/backlogtest"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/layout/layouttest"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/redistest"
)

// TestPatterns: for each layout, queues that match a pattern are found, each counts,
// and what does not match is left alone.
func TestPatterns(t *testing.T) {
	t.Parallel()
	// The keys are those that the libraries leave: the tests of the frameworks
	// prove them.
	for name, c := range map[string]struct {
		query backlog.Query
		keys  [][]any
		want  map[string]int64
	}{
		"list": {
			layouttest.Query("list", "tenant-*"),
			[][]any{{"LPUSH", "tenant-1", "a"}, {"LPUSH", "tenant-2", "a", "b"}, {"SADD", "tenant-set", "a"}, {"LPUSH", "other", "a"}},
			map[string]int64{"tenant-1": 1, "tenant-2": 2},
		},
		"list with names and patterns": {
			layouttest.Query("list", `first,t?,[x]*,t\*`),
			[][]any{{"LPUSH", "first", "a"}, {"LPUSH", "t1", "a"}, {"LPUSH", "t*", "a", "b"}, {"LPUSH", "t12", "a"}, {"LPUSH", "[x]y", "a"}, {"LPUSH", "xy", "a"}},
			map[string]int64{"first": 1, "t1": 1, "t*": 2, "[x]y": 1},
		},
		"stream": {
			layouttest.Query("stream", "tenant-*", "consumerGroup", "workers"),
			[][]any{{"XADD", "tenant-1", "*", "a", "b"}, {"XADD", "tenant-2", "*", "a", "b"}},
			map[string]int64{"tenant-1": 1, "tenant-2": 1},
		},
		"sortedSet": {layouttest.Query("sortedSet", "tenant-*"), [][]any{{"ZADD", "tenant-1", 1, "a"}, {"LPUSH", "tenant-2", "a"}}, map[string]int64{"tenant-1": 1}},
		"set":       {layouttest.Query("set", "tenant-*"), [][]any{{"SADD", "tenant-1", "a"}}, map[string]int64{"tenant-1": 1}},
		"hash":      {layouttest.Query("hash", "tenant-*"), [][]any{{"HSET", "tenant-1", "a", "b"}}, map[string]int64{"tenant-1": 1}},
		"bullmq": {
			layouttest.Query("bullmq", "tenant-*", "prefix", "{b*ll}"),
			[][]any{{"HSET", "{b*ll}:tenant-1:meta", "a", "b"}, {"LPUSH", "{b*ll}:tenant-1:wait", "1"}, {"HSET", "{b*ll}:tenant-2:meta", "a", "b"}, {"HSET", "{bull}:tenant-3:meta", "a", "b"}},
			map[string]int64{"tenant-1": 1, "tenant-2": 0},
		},
		"beequeue": {
			layouttest.Query("beequeue", "tenant-*"),
			[][]any{{"SET", "bq:tenant-1:id", "1"}, {"LPUSH", "bq:tenant-1:waiting", "1"}, {"HSET", "bq:tenant-2:jobs", "own", "{}"}, {"LPUSH", "bq:tenant-2:waiting", "own"}},
			map[string]int64{"tenant-1": 1, "tenant-2": 1},
		},
		"laravel": {
			layouttest.Query("laravel", "*", "prefix", "shop_"),
			[][]any{{"RPUSH", "shop_queues:mail", "{}"}, {"RPUSH", "shop_queues:mail:notify", "1"}, {"ZADD", "shop_queues:later:delayed", 1, "{}"}, {"RPUSH", "queues:alien", "{}"}},
			map[string]int64{"mail": 1, "later": 0},
		},
		"dramatiq": {
			layouttest.Query("dramatiq", "tenant-*"),
			[][]any{{"RPUSH", "dramatiq:tenant-1", "id"}, {"HSET", "dramatiq:tenant-1.msgs", "id", "{}"}, {"HSET", "dramatiq:tenant-2.DQ.msgs", "id", `{"options":{"eta":1}}`}},
			map[string]int64{"tenant-1": 1, "tenant-2": 0},
		},
		"arq":    {layouttest.Query("arq", "arq:*"), [][]any{{"ZADD", "arq:queue", 1, "job"}}, map[string]int64{"arq:queue": 1}},
		"taskiq": {layouttest.Query("taskiq", "tenant-*", "broker", "list"), [][]any{{"LPUSH", "tenant-1", "a"}}, map[string]int64{"tenant-1": 1}},
		"sidekiq": {
			layouttest.Query("sidekiq", "critical,mail*"),
			[][]any{{"SADD", "queues", "critical", "mail", "mailers", "low"}, {"LPUSH", "queue:critical", "{}"}, {"LPUSH", "queue:mailers", "{}", "{}"}},
			map[string]int64{"critical": 1, "mail": 0, "mailers": 2},
		},
		"resque": {
			layouttest.Query("resque", "mail*", "namespace", "shop"),
			[][]any{{"SADD", "shop:queues", "mail", "low"}, {"RPUSH", "shop:queue:mail", "{}"}},
			map[string]int64{"mail": 1},
		},
		"asynq": {
			layouttest.Query("asynq", "*"),
			[][]any{{"SADD", "asynq:queues", "mail", "low"}, {"LPUSH", "asynq:{mail}:pending", "1"}},
			map[string]int64{"mail": 1, "low": 0},
		},
		"rq": {
			layouttest.Query("rq", "m*"),
			[][]any{{"SADD", "rq:queues", "rq:queue:mail", "rq:queue:low"}, {"RPUSH", "rq:queue:mail", "1"}},
			map[string]int64{"mail": 1},
		},
		"celery": {
			layouttest.Query("celery", "m*,cel*", "globalKeyPrefix", "app-"),
			[][]any{
				{"SADD", "app-_kombu.binding.celery", "celery\x06\x16\x06\x16celery", "mixed\x06\x16\x06\x16mixed"},
				{"SADD", "app-_kombu.binding.mail", "mail\x06\x16\x06\x16mail"},
				{"LPUSH", "app-mail", "{}"},
				{"LPUSH", "app-mail\x06\x163", "{}"},
				{"LPUSH", "app-mixed", "{}"},
			},
			map[string]int64{"celery": 0, "mail": 2, "mixed": 1},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := redistest.Start(t)
			for _, command := range c.keys {
				server.Do(command...)
			}
			r := layouttest.MustFind(t, layouttest.OpenServer(t, server, nil), c.query)
			if diff := cmp.Diff(c.want, layouttest.Ready(r)); diff != "" || r.Missing {
				t.Errorf("ready (-want +got):\n%s\n%+v", diff, r)
			}
		})
	}
}

// TestPatternsAreOfEveryLayout: none is left out of TestPatterns.
func TestPatternsAreOfEveryLayout(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	source := layouttest.OpenServer(t, server, nil)
	for _, layout := range redis.Engine().Layouts {
		if layout.Patterns == "" {
			t.Errorf("layout %s does not say where queues that match a pattern are found", layout.Name)
		}
		query := layouttest.Query(layout.Name, "none-*", "broker", "stream")
		if r := layouttest.MustFind(t, source, query); !r.Missing || r.Backlog() != 0 || !strings.Contains(r.Warning, "no queue matches none-*") {
			t.Errorf("layout %s: a pattern that nothing matches reads as %+v", layout.Name, r)
		}
	}
}

// TestPatternFindsNewQueues: one that is in a registry wakes at once, one that is not
// is found by and by; both are woken at once from then on, also when they were empty.
func TestPatternFindsNewQueues(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		query  backlog.Query
		before [][]any
		create [][]any
		drain  []any
		add    []any
	}{
		"registry": {
			layouttest.Query("asynq", "tenant-*"),
			[][]any{{"SADD", "asynq:queues", "tenant-1"}},
			[][]any{{"SADD", "asynq:queues", "tenant-2"}, {"LPUSH", "asynq:{tenant-2}:pending", "1"}},
			[]any{"DEL", "asynq:{tenant-2}:pending"},
			[]any{"LPUSH", "asynq:{tenant-2}:pending", "2"},
		},
		"keys": {
			layouttest.Query("list", "tenant-*"),
			[][]any{{"LPUSH", "tenant-1", "a"}},
			[][]any{{"LPUSH", "tenant-2", "a"}},
			[]any{"DEL", "tenant-2"},
			[]any{"LPUSH", "tenant-2", "b"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := redistest.Start(t)
			allow := func(rules string) map[string]any {
				return layouttest.User(redistest.Version{}, server, "%R~*", redis.ACLRules, redis.ACLFrameworkRules, rules)
			}
			source := layouttest.OpenServer(t, server, allow(redis.ACLPatternRules))
			ear := backlogtest.Listen(t, source)
			for _, command := range c.before {
				server.Do(command...)
			}
			backlogtest.Arm(t, source, ear, c.query)
			for _, command := range c.create {
				server.Do(command...)
			}
			ear.Await(t, c.query)
			r := backlogtest.MustRead(t, source, c.query)
			for layouttest.Ready(r)["tenant-2"] == 0 {
				// The registry may have been heard of before the job that came after it.
				ear.Await(t, c.query)
				r = backlogtest.MustRead(t, source, c.query)
			}
			server.Do(c.drain...)
			ear.Await(t, c.query)
			backlogtest.Arm(t, source, ear, c.query)
			p := newProbe(t, source, ear, server)
			p.settle(t)
			// Without the right to look for queues, which would wake for one that is found again,
			// only what is armed wakes.
			allow("-scan")
			server.Do(c.add...)
			ear.Await(t, c.query)
			if r := backlogtest.MustRead(t, source, c.query); layouttest.Ready(r)["tenant-2"] != 1 {
				t.Errorf("the queue that was empty reads as %+v", r)
			}
		})
	}
}

// TestPatternNamesWhatThereIs: for a name that fits nothing the hint has the nearest, and
// the warning, which may reach the author of the trigger, names no other queue.
func TestPatternNamesWhatThereIs(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	source := layouttest.OpenServer(t, server, nil)
	server.Do("SADD", "queues", "mailers", "default", "low")
	for queue, want := range map[string][2]string{
		"mialers": {`Sidekiq knows no queue "mialers" here`, `there are default, low; did you mean "mailers"?`},
		"mial*":   {"no queue matches mial* in what Sidekiq knows", "there are default, low, mailers"},
		"alien":   {`Sidekiq knows no queue "alien" here`, "there are default, low, mailers"},
	} {
		if r := backlogtest.MustRead(t, source, layouttest.Query("sidekiq", queue)); !r.Missing || r.Warning != want[0] || r.Hint != want[1] {
			t.Errorf("%s: warning %q and hint %q, want %q", queue, r.Warning, r.Hint, want)
		}
	}
}

// TestLostQueueIsFoundElsewhere: with a wrong prefix or name, the hint has the right one.
func TestLostQueueIsFoundElsewhere(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	source := layouttest.OpenServer(t, server, nil)
	server.Do("HSET", "shop:emails:meta", "a", "b")
	server.Do("HSET", "bull:invoices:meta", "a", "b")
	server.Do("INCR", "shop:images:id")
	server.Do("RPUSH", "shop_queues:default", "{}")
	server.Do("LPUSH", "{bull}:never-paused:wait", "1")
	server.Do("ZADD", "old:only-delayed:delayed", 1, "1")
	server.Do("LPUSH", "bull:{tagged}:active", "1")
	server.Do("ZADD", "queues:{mail}:delayed", 1, "{}")
	server.Do("SADD", "asynq:queues", "critical")
	for _, c := range []struct {
		query backlog.Query
		want  string
	}{
		{layouttest.Query("bullmq", "emails"), `a queue of this name exists with the prefix "shop"`},
		{layouttest.Query("bullmq", "invoces"), `did you mean "invoices"?`},
		{layouttest.Query("beequeue", "images"), `a queue of this name exists with the prefix "shop"`},
		{layouttest.Query("laravel", "default"), `a queue of this name exists with the prefix "shop_"`},
		{layouttest.Query("bullmq", "never-paused"), `a queue of this name exists with the prefix "{bull}"`},
		{layouttest.Query("bullmq", "only-delayed"), `a queue of this name exists with the prefix "old"`},
		{layouttest.Query("bullmq", "tagged"), `did you mean "{tagged}"?`},
		{layouttest.Query("laravel", "{mails}"), `did you mean "{mail}"?`},
		{layouttest.Query("asynq", "{critical}"), `did you mean "critical"?`},
	} {
		var r backlog.Reading
		redistest.Eventually(t, "the right prefix or name is reported", func() bool {
			r = backlogtest.MustRead(t, source, c.query)
			return strings.Contains(r.Hint, c.want)
		})
		if !r.Missing {
			t.Errorf("%+v reads as %+v, want Missing", c.query, r)
		}
	}
}

// TestSeveralShareWhatIsOfAll: sets of all queues together are read once.
func TestSeveralShareWhatIsOfAll(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	source := layouttest.OpenServer(t, server, nil)
	server.Do("SADD", "queues", "a", "b", "c")
	server.Do("ZADD", "schedule", 1, `{"queue":"a"}`, 2, `{"queue":"b"}`)
	server.Do("LPUSH", "queue:c", "{}")
	q := layouttest.Query("sidekiq", "a,b,c")
	backlogtest.MustRead(t, source, q)
	before := server.Info("commandstats", "cmdstat_zrangebyscore")
	r := backlogtest.ReadOnce(t, source, q)[0].Reading
	if n := server.Info("commandstats", "cmdstat_zrangebyscore") - before; n != 4 {
		t.Errorf("the two sets of all queues took %d commands, want 4", n)
	}
	due := map[string]int64{}
	for _, part := range r.Parts {
		due[part.Queue] = part.Reading.Due
	}
	if diff := cmp.Diff(map[string]int64{"a": 1, "b": 1, "c": 0}, due); diff != "" || r.Ready != 1 {
		t.Errorf("due (-want +got):\n%s\n%+v", diff, r)
	}
}

// TestPatternInCluster: queues that match are found on all servers, and each wakes.
func TestPatternInCluster(t *testing.T) {
	t.Parallel()
	c := redistest.StartCluster(t, 3, 0)
	client := c.NewClient(t)
	want := map[string]int64{}
	for i := range 12 {
		queue := fmt.Sprintf("tenant-%d", i)
		want[queue] = int64(i%3 + 1)
		for range i%3 + 1 {
			if err := client.LPush(t.Context(), queue, "a").Err(); err != nil {
				t.Fatal(err)
			}
		}
	}
	source := openCluster(t, c, nil)
	ear := backlogtest.Listen(t, source)
	query := layouttest.Query("list", "tenant-*")
	r := layouttest.MustFind(t, source, query)
	if diff := cmp.Diff(want, layouttest.Ready(r)); diff != "" {
		t.Errorf("ready (-want +got):\n%s", diff)
	}
	for _, queue := range []string{"tenant-0", "tenant-5", "tenant-11"} {
		backlogtest.Arm(t, source, ear, query)
		if err := client.LPush(t.Context(), queue, "b").Err(); err != nil {
			t.Fatal(err)
		}
		ear.Await(t, query)
	}
}

// TestPatternUnknown: what could not be looked for is an error and never zero.
func TestPatternUnknown(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	server.Do("LPUSH", "tenant-1", "a")
	more := layouttest.User(redistest.Version{Name: "redis-7"}, server, "%R~*", redis.ACLRules)
	source := layouttest.OpenServer(t, server, more)
	query := layouttest.Query("list", "tenant-*")
	if r := backlogtest.Read(t, source, query)[0]; !errors.Is(r.Err, backlog.ErrDenied) || !strings.Contains(fmt.Sprint(r.Err), "scan") {
		t.Errorf("a pattern without the right to scan reads as %+v", r)
	}
	layouttest.User(redistest.Version{Name: "redis-7"}, server, "%R~*", redis.ACLRules, redis.ACLPatternRules)
	redistest.Eventually(t, "the queues are found", func() bool {
		r := backlogtest.Read(t, source, query)[0]
		return r.Err == nil && r.Reading.Ready == 1
	})
	if r := backlogtest.Read(t, source, layouttest.Query("list", "a,,b"))[0]; !errors.Is(r.Err, backlog.ErrMismatch) {
		t.Errorf("a text that is no queues reads as %+v", r)
	}
}

// TestPatternAmongManyKeys: queues are found among a hundred thousand other keys.
func TestPatternAmongManyKeys(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	server.Do("EVAL", "for i = 1, 100000 do redis.call('SET', 'noise:' .. i, i) end", 0)
	var want []string
	for i := range 50 {
		queue := fmt.Sprintf("tenant-%02d", i)
		want = append(want, queue)
		server.Do("LPUSH", queue, "a")
	}
	source := layouttest.OpenServer(t, server, nil)
	query := layouttest.Query("list", "tenant-*")
	var got []string
	redistest.Eventually(t, "the queues are found", func() bool {
		r := backlogtest.Read(t, source, query)[0]
		if r.Err != nil && !errors.Is(r.Err, backlog.ErrUnavailable) || r.Err == nil && r.Reading.Ready != 50 {
			t.Fatalf("%+v", r)
		}
		got = got[:0]
		for _, part := range r.Reading.Parts {
			got = append(got, part.Queue)
		}
		return r.Err == nil
	})
	if !slices.Equal(got, want) {
		t.Errorf("queues %q", got)
	}
}
