package bullmq_test

import (
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/backlogtest"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/layout/layouttest"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/redistest"
)

// TestBullMQWithoutMeta: a pattern finds a queue by any key that holds its jobs, and
// takes no other key for a queue.
func TestBullMQWithoutMeta(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		keys [][]any
		want map[string]int64
	}{
		"wait":         {[][]any{{"LPUSH", "bull:jobs:wait", "1", "2"}}, map[string]int64{"jobs": 2}},
		"paused":       {[][]any{{"SET", "bull:jobs:meta-paused", "1"}, {"LPUSH", "bull:jobs:paused", "1", "2"}}, map[string]int64{"jobs": 2}},
		"active":       {[][]any{{"LPUSH", "bull:jobs:active", "1"}}, map[string]int64{"jobs": 0}},
		"delayed":      {[][]any{{"ZADD", "bull:jobs:delayed", 1, "1"}}, map[string]int64{"jobs": 0}},
		"prioritized":  {[][]any{{"ZADD", "bull:jobs:prioritized", 1, "1"}}, map[string]int64{"jobs": 1}},
		"used before":  {[][]any{{"INCR", "bull:jobs:id"}}, map[string]int64{"jobs": 0}},
		"never paused": {[][]any{{"HSET", "bull:jobs:meta", "opts.maxLenEvents", "10000"}}, map[string]int64{"jobs": 0}},
		"other keys": {
			[][]any{
				{"LPUSH", "bull:jobs:wait", "1"},
				{"HSET", "bull:jobs:1", "timestamp", "1"},
				{"LPUSH", "bull:jobs:1:logs", "a"},
				{"SET", "bull:jobs:1:lock", "a"},
				{"LPUSH", "bull:jobs:metrics:completed:data", "1"},
				{"SADD", "bull:jobs:stalled", "1"},
				{"ZADD", "bull:jobs:completed", 1, "0"},
				{"ZADD", "bull:jobs:repeat", 1, "a"},
				{"ZADD", "bull:jobs:marker", 0, "0"},
				{"HSET", "bull:jobs:groups:tenant:meta", "conc", "1"},
				{"XADD", "bull:jobs:events", "*", "a", "b"},
			},
			map[string]int64{"jobs": 1},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := redistest.Start(t)
			for _, command := range c.keys {
				server.Do(command...)
			}
			r := backlogtest.MustRead(t, layouttest.OpenServer(t, server, nil), layouttest.Query("bullmq", "job*"))
			if diff := cmp.Diff(c.want, layouttest.Ready(r)); diff != "" || r.Missing {
				t.Errorf("ready (-want +got):\n%s\n%+v", diff, r)
			}
		})
	}
}

// TestBullMQEditions: keys of Bull, of old versions of BullMQ and of BullMQ Pro.
func TestBullMQEditions(t *testing.T) {
	t.Parallel()
	const pro = "groups of BullMQ Pro (bull:q:groups)"
	q := layouttest.Query("bullmq", "q")
	known := []any{"HSET", "bull:q:meta", "opts.maxLenEvents", "10000"}
	for name, e := range map[string]layouttest.Edition{
		"a group of BullMQ Pro": {
			Query: q, Warning: pro,
			Keys: [][]any{known, {"ZADD", "bull:q:groups", 1, "tenant"}, {"LPUSH", "bull:q:groups:tenant", "1", "2"}, {"ZADD", "bull:q:groups:tenant:p", 1, "3"}},
			Want: layouttest.Figures{Ready: 3, InFlight: backlog.Exactly(0), Quality: backlog.LowerBound},
		},
		"groups of BullMQ Pro at their limits": {
			Query: q, Warning: pro,
			Keys: [][]any{
				known,
				{"ZADD", "bull:q:groups:limit", 1, "a"},
				{"LPUSH", "bull:q:groups:a", "1"},
				{"ZADD", "bull:q:groups:max", 1, "b"},
				{"LPUSH", "bull:q:groups:b", "2"},
				{"LPUSH", "bull:q:active", "3"},
			},
			Want: layouttest.Figures{Ready: 2, InFlight: backlog.Exactly(1), Quality: backlog.LowerBound},
		},
		"a group of BullMQ Pro whose jobs are elsewhere": {
			Query: q, Warning: pro,
			Keys: [][]any{known, {"ZADD", "bull:q:groups", 1, "tenant"}},
			Want: layouttest.Figures{Ready: 1, InFlight: backlog.Exactly(0), Quality: backlog.LowerBound},
		},
		"a paused group of BullMQ Pro": {
			Query: q,
			Keys:  [][]any{known, {"ZADD", "bull:q:groups:paused", 1, "tenant"}, {"LPUSH", "bull:q:groups:tenant", "1"}},
			Want:  layouttest.Figures{InFlight: backlog.Exactly(0)},
		},
		"Bull 3.0, paused": {
			Query: q, Paused: true,
			Keys: [][]any{{"SET", "bull:q:meta-paused", "1"}, {"LPUSH", "bull:q:paused", "1"}},
			Want: layouttest.Figures{Ready: 1, InFlight: backlog.Exactly(0)},
		},
		"Bull 4, paused": {
			Query: q, Paused: true,
			Keys: [][]any{{"SET", "bull:q:meta-paused", "1"}, {"HSET", "bull:q:meta", "paused", "1"}, {"LPUSH", "bull:q:paused", "1"}},
			Want: layouttest.Figures{Ready: 1, InFlight: backlog.Exactly(0)},
		},
		"Bull, paused, with a job that workers take even so": {
			Query: q,
			Keys:  [][]any{{"SET", "bull:q:meta-paused", "1"}, {"LPUSH", "bull:q:paused", "1", "2"}, {"LPUSH", "bull:q:wait", "3"}},
			Want:  layouttest.Figures{Ready: 1, InFlight: backlog.Exactly(0)},
		},
		"BullMQ after Bull, which left it paused": {
			Query: q,
			Keys:  [][]any{known, {"SET", "bull:q:meta-paused", "1"}, {"ZADD", "bull:q:prioritized", 1, "1"}},
			Want:  layouttest.Figures{Ready: 1, InFlight: backlog.Exactly(0)},
		},
		"Bull, drained": {
			Query: q,
			Keys:  [][]any{{"SET", "bull:q:id", "7"}},
			Want:  layouttest.Figures{InFlight: backlog.Exactly(0)},
		},
		"BullMQ 3, prioritized": {
			Query: layouttest.Query("bullmq", "q", "age", "payload"),
			Keys:  [][]any{known, {"LPUSH", "bull:q:wait", "1"}, {"ZADD", "bull:q:priority", 1, "1"}},
			Want:  layouttest.Figures{Ready: 1, InFlight: backlog.Exactly(0)},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e.Read(t)
		})
	}
}

// TestBullMQProGroupWakes: a group of BullMQ Pro that gets its first job wakes the queue.
func TestBullMQProGroupWakes(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	source := layouttest.OpenServer(t, server, nil)
	for _, set := range []string{"groups", "groups:limit", "groups:max"} {
		q := layouttest.Query("bullmq", set)
		layouttest.CheckWakes(t, source, q, func() { server.Do("ZADD", "bull:"+set+":"+set, 1, "tenant") })
	}
}

// TestBullMQMovers: whatever moves due jobs, in any version, leaves the key by which the
// layout knows that there is such a process; the worker of BullMQ 1 alone moves none.
// That it is not version 1 shows by a marker, in versions from 3.2 on.
func TestBullMQMovers(t *testing.T) {
	t.Parallel()
	layouttest.EachVersion(t, slices.Concat(bullmqVersions(), bullVersions()), startBullMQ, func(t *testing.T, b *library) {
		t.Helper()
		if library, _, _ := strings.Cut(b.module, "-"); library == "bullmq" {
			b.add("later", "done", map[string]any{"delay": 1})
			last, _ := b.server.Do("LINDEX", b.prefix+":later:wait", -1).(string)
			marked := strings.HasPrefix(last, "0:") || b.server.Do("EXISTS", b.prefix+":later:marker") == int64(1)
			if marked != (b.major() >= 3) {
				t.Errorf("a delayed job has a marker: %t", marked)
			}
		}
		moves := func() bool { return b.server.Do("EXISTS", b.prefix+":mail:stalled-check") == int64(1) }
		if b.module == "bullmq-1" {
			b.add("mail", "done", map[string]any{"delay": 1})
			b.add("mail", "done", nil)
			b.start(t).Do(nil, "work", "mail", b.prefix, 1, map[string]any{"alone": true})
			redistest.Eventually(t, "the worker has done what it was given", func() bool { return b.counts("mail").Completed == 1 })
			if own := b.counts("mail"); own.Delayed != 1 || moves() {
				t.Errorf("a worker without a QueueScheduler: BullMQ counts %+v, moves %t", own, moves())
			}
		}
		b.start(t).Do(nil, "work", "mail", b.prefix, 1)
		redistest.Eventually(t, "the process that moves due jobs is known", moves)
		redistest.Eventually(t, "due jobs are moved", func() bool { return b.counts("mail").Delayed == 0 })
	})
}

// TestBullMQManyGroups: of groups of BullMQ Pro beyond a hundred each counts as one job.
func TestBullMQManyGroups(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	for i := range 120 {
		group := strconv.Itoa(i)
		server.Do("ZADD", "bull:q:groups", i, group)
		server.Do("LPUSH", "bull:q:groups:"+group, "1", "2")
	}
	r := backlogtest.MustRead(t, layouttest.OpenServer(t, server, nil), layouttest.Query("bullmq", "q"))
	if r.Ready != 220 || r.Quality != backlog.LowerBound {
		t.Errorf("240 jobs in 120 groups: %+v", r)
	}
}
