package sidekiq_test

import (
	"encoding/json"
	"fmt"
	"slices"
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

// searched reads a query until its first search of keys is done. The first read waits for
// it, but only for a moment.
func searched(t testing.TB, source backlog.Source, q backlog.Query, done func(backlog.Reading) bool) backlog.Reading {
	t.Helper()
	var r backlog.Reading
	redistest.Eventually(t, "the keys are searched", func() bool {
		r = backlogtest.MustRead(t, source, q)
		return done(r)
	})
	return r
}

func isExact(r backlog.Reading) bool { return r.Quality == backlog.Exact }

// job is what a process reports of one that it works on, with no blank in it.
func job(queue string) string {
	return fmt.Sprintf(`{"queue":%q,"payload":"{}","run_at":%d}`, queue, time.Now().Unix())
}

// process are the commands by which a process of Sidekiq reports, each before a prefix.
func process(prefix, identity, work string, queues ...string) []string {
	names, _ := json.Marshal(queues)
	info := fmt.Sprintf(`{"queues":%s,"concurrency":2}`, names)
	all := []string{
		"SADD " + prefix + "processes " + identity,
		fmt.Sprintf("HSET %s%s info %s busy 2 beat %d", prefix, identity, info, time.Now().Unix()),
	}
	if work != "" {
		all = append(all, fmt.Sprintf("HSET %s%s:%s t1 %s t2 %s", prefix, identity, work, job(queues[0]), job(queues[0])))
	}
	return all
}

// TestSidekiqVersionsOfKeys: the work of processes counts under the keys of all versions,
// and is not nothing under those of a version to come.
func TestSidekiqVersionsOfKeys(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		commands []string
		want     layouttest.Figures
	}{
		"to 6.4.1":   {process("", "w:1:a", "workers", "default"), layouttest.Figures{InFlight: backlog.Exactly(2)}},
		"from 6.4.2": {process("", "w:1:a", "work", "default"), layouttest.Figures{InFlight: backlog.Exactly(2)}},
		"during an update": {
			slices.Concat(process("", "w:1:a", "workers", "default"), process("", "w:1:b", "work", "default")),
			layouttest.Figures{InFlight: backlog.Exactly(4)},
		},
		"to come": {
			process("", "w:1:a", "", "default"),
			layouttest.Figures{InFlight: backlog.Exactly(1), Quality: backlog.LowerBound},
		},
		"to come, of another queue": {process("", "w:1:a", "", "other"), layouttest.Figures{InFlight: backlog.Exactly(0)}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := redistest.Start(t)
			source := layouttest.OpenServer(t, server, nil)
			server.Do("SADD", "queues", "default")
			for _, command := range c.commands {
				server.Do(layouttest.Words(command)...)
			}
			r := searched(t, source, layouttest.Query("sidekiq", "default"), func(r backlog.Reading) bool {
				return layouttest.FiguresOf(r) == c.want
			})
			if r.Missing || r.Warning != "" {
				t.Errorf("%+v", r)
			}
		})
	}
}

// TestSidekiqNamespaceOfKeys: with a namespace every key is read below it, and nothing
// else; without it the hint names it.
func TestSidekiqNamespaceOfKeys(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	source := layouttest.OpenServer(t, server, nil)
	past, future := time.Now().Add(-time.Minute).Unix(), time.Now().Add(time.Hour).Unix()
	for _, command := range slices.Concat([]string{
		"SADD app:queues default mail",
		`LPUSH app:queue:default {"queue":"default"}`,
		fmt.Sprintf(`ZADD app:schedule %d {"queue":"default","jid":"1"} %d {"queue":"default","jid":"2"}`, past, future),
		fmt.Sprintf(`ZADD app:retry %d {"queue":"default","jid":"3"}`, past),
		"SADD app:paused default",
		"LPUSH app:working:queue:default:pod-9:7:abc 1 2 3",
		// None of these belongs to the namespace.
		"LPUSH queue:mail 1 2 3 4 5", "ZADD schedule 1 nonsense", "SADD processes p", "HSET p:work t nonsense",
		"LPUSH working:queue:default:pod-9:7:def 1",
	}, process("app:", "w:1:a", "workers", "default")) {
		server.Do(layouttest.Words(command)...)
	}
	for _, namespace := range []string{"app", "app:"} {
		r := searched(t, source, layouttest.Query("sidekiq", "default", "namespace", namespace), isExact)
		got := []any{layouttest.FiguresOf(r), r.NextDue.Unix(), r.Paused, r.Consumers.N}
		want := []any{layouttest.Figures{Ready: 1, Due: 2, InFlight: backlog.Exactly(5)}, future, true, int64(1)}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: %s", namespace, diff)
		}
	}
	if r := backlogtest.MustRead(t, source, layouttest.Query("sidekiq", "def*", "namespace", "app")); r.Ready != 1 || len(r.Parts) != 1 {
		t.Errorf("a pattern: %+v", r)
	}
	server.Do("DEL", "schedule", "processes", "working:queue:default:pod-9:7:def")
	redistest.Eventually(t, "the hint names the namespace", func() bool {
		r := backlogtest.MustRead(t, source, layouttest.Query("sidekiq", "default"))
		return r.Hint == `there is no other queue either; a queue of this name exists with the namespace "app:"`
	})
	redistest.Eventually(t, "the hint names that there is none", func() bool {
		r := backlogtest.MustRead(t, source, layouttest.Query("sidekiq", "mail", "namespace", "shop"))
		return strings.Contains(r.Hint, `a queue of this name exists with the namespace ""`)
	})
}

// TestSidekiqReliableFetchKeys: jobs in the private lists of a reliable fetch are in
// flight, also when their process is dead, and those of one alive count once.
func TestSidekiqReliableFetchKeys(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		commands []string
		inFlight int64
		rights   []string // nil is all of them
	}{
		"GitLab's gem":             {[]string{"LPUSH working:queue:default:pod-1:7:abc 1 2"}, 2, nil},
		"GitLab's gem before 0.6":  {[]string{"LPUSH working:queue:default:pod-1:7 1 2"}, 2, nil},
		"GitLab's gem, two of it":  {[]string{"LPUSH working:queue:default:pod-1:7:abc 1 2", "LPUSH working:queue:default:pod-2:7:abc 1"}, 3, nil},
		"super_fetch":              {[]string{"LPUSH queue:sq|pod-1:7:abc|default 1 2"}, 2, nil},
		"super_fetch, registered":  {[]string{"SADD super_processes pod-1:7:abc", "LPUSH queue:sq|pod-1:7:abc|default 1 2"}, 2, nil},
		"super_fetch of Pro 3.4":   {[]string{"LPUSH queue:sq_pod-1:7:abc_default 1 2"}, 2, nil},
		"other queues":             {[]string{"LPUSH working:queue:default:b:pod-1:7:abc 1", "LPUSH queue:sq|pod-1:7:abc|other 1", "LPUSH queue:sq_pod-1:7:abc_my_default 1", "LPUSH queue:sq_default 1"}, 0, nil},
		"GitLab's gem, alive":      {append(process("", "pod-1:7:123", "workers", "default"), "LPUSH working:queue:default:pod-1:7:abc 1 2 3"), 3, nil},
		"super_fetch, alive":       {append(process("", "pod-1:7:abc", "work", "default"), "SADD super_processes pod-1:7:abc", "LPUSH queue:sq|pod-1:7:abc|default 1"), 2, nil},
		"one alive and one dead":   {append(process("", "pod-1:7:123", "work", "default"), "LPUSH working:queue:default:pod-1:7:abc 1 2", "LPUSH working:queue:default:pod-2:7:abc 1"), 3, nil},
		"two lives of a container": {append(process("", "pod-1:7:123", "work", "default"), "LPUSH working:queue:default:pod-1:7:abc 1 2", "LPUSH working:queue:default:pod-1:7:def 1"), 3, nil},
		"without SCAN": {
			[]string{"SADD super_processes pod-1:7:abc", "LPUSH queue:sq|pod-1:7:abc|default 1 2"},
			2,
			[]string{"%R~*", redis.ACLRules, redis.ACLFrameworkRules},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := redistest.Start(t)
			server.Do("SADD", "queues", "default")
			for _, command := range c.commands {
				server.Do(layouttest.Words(command)...)
			}
			want := layouttest.Figures{InFlight: backlog.Exactly(c.inFlight)}
			var rights map[string]any
			if c.rights != nil {
				rights = layouttest.User(redistest.Version{}, server, c.rights[0], c.rights[1:]...)
				want.Quality = backlog.LowerBound
			}
			searched(t, layouttest.OpenServer(t, server, rights), layouttest.Query("sidekiq", "default"), func(r backlog.Reading) bool {
				return layouttest.FiguresOf(r) == want
			})
		})
	}
}

// TestSidekiqReliableFetchUnseen: where private lists cannot be seen a reading says so and
// is not exact, unless the trigger says that there are none.
func TestSidekiqReliableFetchUnseen(t *testing.T) {
	t.Parallel()
	const keys = "%R~queue:default %R~schedule %R~retry %R~processes %R~queues %R~paused"
	for name, c := range map[string]struct {
		keys    string
		rights  []string
		params  []string
		warning string
		quality backlog.Quality
	}{
		"no SCAN":             {keys: "%R~*", warning: "does not allow SCAN", quality: backlog.LowerBound},
		"no SCAN, basic":      {keys: "%R~*", params: []string{"fetch", "basic"}},
		"no access":           {keys: keys, rights: []string{redis.ACLPatternRules}, warning: "super_processes", quality: backlog.LowerBound},
		"no access, basic":    {keys: keys, params: []string{"fetch", "basic"}},
		"no access to a list": {keys: keys + " %R~super_processes", rights: []string{redis.ACLPatternRules}, warning: "queue:sq*", quality: backlog.LowerBound},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := redistest.Start(t)
			rights := append([]string{redis.ACLRules, redis.ACLFrameworkRules}, c.rights...)
			source := layouttest.OpenServer(t, server, layouttest.User(redistest.Version{}, server, c.keys, rights...))
			server.Do("SADD", "queues", "default")
			server.Do("SADD", "super_processes", "pod-1:7:abc")
			r := searched(t, source, layouttest.Query("sidekiq", "default", c.params...), func(r backlog.Reading) bool {
				return (r.Warning != "") == (c.warning != "")
			})
			if r.Quality != c.quality || !strings.Contains(r.Warning, c.warning) || r.Missing || r.Backlog() != 0 {
				t.Errorf("%+v", r)
			}
		})
	}
}

// TestSidekiqReliableFetchKilled: from when a process takes the last job to when it is put
// back, through its death before any heartbeat reported the job, the queue never reads as
// empty.
func TestSidekiqReliableFetchKilled(t *testing.T) {
	t.Parallel()
	eachSidekiq(t, func(t *testing.T, s *library) {
		t.Helper()
		source := layouttest.OpenServer(t, s.server, nil)
		q := layouttest.Query("sidekiq", "mail")
		s.Do(nil, "push", "mail", "SleepJob", 600)
		worker := s.start("reliable", "mail")
		read := func() backlog.Reading {
			t.Helper()
			r := backlogtest.MustRead(t, source, q)
			if r.Backlog() == 0 {
				t.Fatalf("the job is not done, and the reading is %+v", r)
			}
			return r
		}
		redistest.Eventually(t, "the process has the job", func() bool { return read().Ready == 0 })
		worker.Kill()
		processes, _ := s.server.Do("SMEMBERS", "processes").([]any)
		for _, p := range processes {
			s.server.Do("DEL", p, fmt.Sprint(p, ":work"), fmt.Sprint(p, ":workers"))
		}
		redistest.Eventually(t, "the job is found in the private list", func() bool {
			r := read()
			return r.InFlight == backlog.Exactly(1) && r.Quality == backlog.Exact
		})
		lists, _ := s.server.Do("KEYS", "working:*").([]any)
		if len(lists) != 1 {
			t.Fatalf("private lists are %v, want one", lists)
		}
		s.server.Do("RPOPLPUSH", lists[0], "queue:mail")
		redistest.Eventually(t, "the job is put back", func() bool { r := read(); return r.Ready == 1 && r.InFlight.N == 0 })
	})
}

// TestSidekiqInNamespace: with redis-namespace the figures are those of Sidekiq itself.
func TestSidekiqInNamespace(t *testing.T) {
	t.Parallel()
	s := startSidekiqIn(t, "sidekiq-6", "app")
	source := layouttest.OpenServer(t, s.server, layouttest.User(redistest.Version{}, s.server, "%R~app:*", redis.ACLRules, redis.ACLFrameworkRules, redis.ACLPatternRules))
	q := layouttest.Query("sidekiq", "mail", "namespace", "app")
	s.Do(nil, "in", "mail", 3600, "SleepJob", 0)
	s.Do(nil, "bulk_at", "mail", 3, "SleepJob", -10)
	s.agree("scheduled", source, q)
	s.Do(nil, "push", "mail", "SleepJob", 600)
	s.agree("enqueued", source, q)
	s.start("worker", "mail")
	redistest.Eventually(t, "Sidekiq reports the work", func() bool { return s.counts("mail").Work > 0 })
	s.agree("taken", source, q)
	layouttest.CheckWakes(t, layouttest.OpenServer(t, s.server, nil), layouttest.Query("sidekiq", "post", "namespace", "app"), func() {
		s.Do(nil, "push", "post", "SleepJob", 0)
	})
}
