package redis_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/backlogtest"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/layout/layouttest"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/redistest"
)

// TestSearchIsNotOnTheWayOfARead: while a server does not answer SCAN, all other reads of
// its connection are answered, and so is one whose keys are searched: as pending.
func TestSearchIsNotOnTheWayOfARead(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		query backlog.Query
		keys  [][]any
		// known says that there is a reading before the search has ended.
		known bool
		ready int64
	}{
		"pattern":             {layouttest.Query("list", "tenant-*"), [][]any{{"LPUSH", "tenant-1", "a", "b"}}, false, 2},
		"pattern and a name":  {layouttest.Query("list", "tenant-*,other"), [][]any{{"LPUSH", "tenant-1", "a"}, {"LPUSH", "other", "a"}}, false, 2},
		"pattern of bullmq":   {layouttest.Query("bullmq", "tenant-*"), [][]any{{"HSET", "bull:tenant-1:meta", "a", "b"}, {"LPUSH", "bull:tenant-1:wait", "1"}}, false, 1},
		"pattern of beequeue": {layouttest.Query("beequeue", "tenant-*"), [][]any{{"SET", "bq:tenant-1:id", "1"}, {"LPUSH", "bq:tenant-1:waiting", "1"}}, false, 1},
		"private lists":       {layouttest.Query("sidekiq", "mail"), [][]any{{"SADD", "queues", "mail"}, {"LPUSH", "queue:mail", "{}"}}, true, 1},
		"private lists of several": {
			layouttest.Query("sidekiq", "mail,low"), [][]any{{"SADD", "queues", "mail", "low"}, {"LPUSH", "queue:mail", "{}"}}, true, 1,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := redistest.Start(t)
			for _, command := range c.keys {
				server.Do(command...)
			}
			proxy := redistest.StartProxy(t, server.Addr(), map[string]string{"SCAN": redistest.Silence})
			source := backlogtest.Open(t, redis.Engine(), layouttest.Connection([]string{proxy.Addr()}, nil))
			ear := backlogtest.Listen(t, source)
			backlogtest.Arm(t, source, ear, list("hot"))
			// A read that waited for a search would not end before Allow.
			for n := range 50 {
				results := backlogtest.ReadOnce(t, source, list("hot"), c.query)
				if hot := results[0]; hot.Err != nil || hot.Pending || hot.Reading.Ready != int64(n) {
					t.Fatalf("the hot queue reads as %+v", hot)
				}
				r := results[1]
				if n == 0 && !r.Pending || (r.Err == nil) != c.known || r.Err == nil && r.Reading.Quality == backlog.Exact {
					t.Fatalf("what is searched reads as %+v", r)
				}
				server.Do("LPUSH", "hot", "a")
				if n == 0 {
					ear.Await(t, list("hot"))
				}
			}
			redistest.Eventually(t, "the keys are searched", func() bool { return slices.Contains(proxy.Seen(), "SCAN") })
			proxy.Allow()
			redistest.Eventually(t, "the search ends", func() bool {
				r := backlogtest.ReadOnce(t, source, c.query)[0]
				return r.Err == nil && !r.Pending && r.Reading.Ready == c.ready && r.Reading.Quality == backlog.Exact
			})
		})
	}
}

// TestSearchWakes: the end of the first search wakes its query, whatever it has found.
func TestSearchWakes(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	source := layouttest.OpenServer(t, server, nil)
	ear := backlogtest.Listen(t, source)
	for _, q := range []backlog.Query{layouttest.Query("list", "none-*"), layouttest.Query("sidekiq", "mail")} {
		if r := backlogtest.ReadOnce(t, source, q)[0]; r.Pending {
			ear.Await(t, q)
		}
		redistest.Eventually(t, "the search ends", func() bool { return !backlogtest.ReadOnce(t, source, q)[0].Pending })
	}
}

// TestEmptyPatternIsNotZeroInAnOutage: a pattern that matched nothing reads as an error
// when the keys can no longer be searched, because no queue is read that would show it.
func TestEmptyPatternIsNotZeroInAnOutage(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	proxy := redistest.StartProxy(t, server.Addr(), nil)
	source := backlogtest.Open(t, redis.Engine(), layouttest.Connection([]string{proxy.Addr()}, nil))
	q := layouttest.Query("list", "tenant-*")
	if r := layouttest.MustFind(t, source, q); !r.Missing {
		t.Fatalf("%+v", r)
	}
	proxy.Refuse(map[string]string{"SCAN": "LOADING Redis is loading the dataset in memory"})
	redistest.Eventually(t, "it is unavailable", func() bool {
		r := backlogtest.Read(t, source, q)[0]
		return errors.Is(r.Err, backlog.ErrUnavailable) && !r.Pending && strings.Contains(r.Err.Error(), "LOADING")
	})
}

// TestSearchesShareAScan: many patterns take the commands of one, and each finds its own.
func TestSearchesShareAScan(t *testing.T) {
	t.Parallel()
	const patterns = 400
	server := redistest.Start(t)
	server.Do("EVAL", "for i = 1, 20000 do redis.call('SET', 'noise:' .. i, i) end", 0)
	queries := make([]backlog.Query, patterns)
	for i := range queries {
		server.Do("LPUSH", fmt.Sprintf("tenant-%d:one", i), "a")
		server.Do("LPUSH", fmt.Sprintf("tenant-%d:two", i), "a", "b")
		queries[i] = layouttest.Query("list", fmt.Sprintf("tenant-%d:*", i))
	}
	source := layouttest.OpenServer(t, server, nil)
	redistest.Eventually(t, "all patterns are found", func() bool {
		return !slices.ContainsFunc(backlogtest.ReadOnce(t, source, queries...), func(r backlog.Result) bool { return r.Pending })
	})
	for i, r := range backlogtest.Read(t, source, queries...) {
		if r.Reading.Ready != 3 || len(r.Reading.Parts) != 2 {
			t.Errorf("pattern %d reads as %+v", i, r)
		}
	}
	// A scan takes 21 pages. One is of the first searches, which begin before the others are
	// asked for, and the searches may come in two parts.
	if n := server.Info("commandstats", "cmdstat_scan"); n > 10*25 {
		t.Errorf("%d patterns took %d commands", patterns, n)
	}
}

// TestOnePatternNextToManyOthers: it is found while hundreds of others are, not after them.
func TestOnePatternNextToManyOthers(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	server.Do("EVAL", "for i = 1, 100000 do redis.call('SET', 'noise:' .. i, i) end", 0)
	server.Do("LPUSH", "mine-1", "a")
	source := layouttest.OpenServer(t, server, nil)
	many := make([]backlog.Query, 400)
	for i := range many {
		many[i] = layouttest.Query("list", fmt.Sprintf("tenant-%d:*", i))
	}
	backlogtest.ReadOnce(t, source, many...)
	began := time.Now()
	before := server.Info("commandstats", "cmdstat_scan")
	if r := layouttest.MustFind(t, source, layouttest.Query("list", "mine-*")); r.Ready != 1 {
		t.Errorf("%+v", r)
	}
	n := server.Info("commandstats", "cmdstat_scan") - before
	t.Logf("found after %s and %d commands", time.Since(began), n)
	// A scan takes 101 pages.
	if n > 3000 {
		t.Errorf("%d commands until it was found, want those of a few scans", n)
	}
}
