package node

import (
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/redis/go-redis/v9"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/conn"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/redistest"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/resp"
)

// TestRisks: what a server says of its limits is a risk or none. That it does not say whether it deletes queues is named.
func TestRisks(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name   string
		change func(l *limits)
		want   []string
	}{
		{"nothing known", func(*limits) {}, []string{"unknown true the server has not said its maxmemory-policy (INFO memory), so it is unknown whether it deletes queues"}},
		{"no eviction", func(l *limits) { l.policy, l.memory = "noeviction", 1000 }, nil},
		{"eviction", func(l *limits) { l.policy, l.memory = "allkeys-lru", 1000 }, []string{"eviction false maxmemory-policy is allkeys-lru, so the server deletes queues when its memory is full, at 1000 bytes (maxmemory)"}},
		{"eviction of an unknown memory", func(l *limits) { l.policy = "allkeys-lru" }, []string{"eviction false maxmemory-policy is allkeys-lru, so the server deletes queues when its memory is full"}},
		{"eviction without a limit", func(l *limits) { l.policy, l.memory = "allkeys-lfu", 0 }, []string{"eviction true maxmemory-policy is allkeys-lfu, so the server deletes queues once it has a maxmemory, which is 0, and that is full"}},
		{"eviction of what expires", func(l *limits) { l.policy, l.memory = "volatile-lru", 1000 }, []string{"eviction false maxmemory-policy is volatile-lru, so the server deletes keys that have an expiry, such as the locks of jobs, when its memory is full, at 1000 bytes (maxmemory)"}},
		{"room in the table", func(l *limits) { l.table = trackingTable{keys: 899, most: 1000} }, nil},
		{"a table without a bound", func(l *limits) { l.table = trackingTable{keys: 5000, most: 0} }, nil},
		{"a table that is almost full", func(l *limits) { l.table = trackingTable{keys: 900, most: 1000} }, []string{"tracking false the server tracks 900 keys of at most 1000 (tracking-table-max-keys); beyond that it reports changes of queues that did not change"}},
		{"room for clients", func(l *limits) { l.clients, l.most = 8999, 10000 }, nil},
		{"many clients", func(l *limits) { l.clients, l.most = 9000, 10000 }, []string{"clients false 9000 clients are connected of at most 10000 (maxclients); beyond that the server takes no connections"}},
	} {
		l := unknownLimits()
		if tc.name != "nothing known" {
			l.policy = "noeviction"
		}
		tc.change(l)
		var got []string
		for _, r := range l.risks() {
			got = append(got, fmt.Sprint(r.Kind, " ", r.Latent, " ", r.Text))
		}
		if diff := cmp.Diff(tc.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tc.name, diff)
		}
	}
}

// readUntil reads until the status satisfies a condition. No read may fail.
func readUntil(t *testing.T, n *Node, what string, condition func(backlog.Status) bool) {
	t.Helper()
	redistest.Eventually(t, what, func() bool {
		if _, err := n.Do(t.Context(), []resp.Command{{Args: []any{"LLEN", "jobs"}}}, nil); err != nil {
			t.Fatalf("read next to a question for limits: %v", err)
		}
		return condition(n.Status())
	})
}

// kinds returns the kinds of risks.
func kinds(s backlog.Status) string {
	var all []string
	for _, r := range s.Risks {
		all = append(all, string(r.Kind))
	}
	return strings.Join(all, " ")
}

// TestRisksOfServers: a real server says what endangers its queues, to a user without CONFIG too, and a
// server without a risk has none.
func TestRisksOfServers(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t, redistest.WithConfig(
		"maxmemory 100mb", "maxmemory-policy allkeys-lru", "tracking-table-max-keys 110000", "maxclients 30",
		"user plain on nopass ~* &* +@all -config",
	))
	for range 24 {
		if err := server.NewClient(func(*redis.Options) {}).Ping(t.Context()).Err(); err != nil {
			t.Fatal(err)
		}
	}
	all, _ := openNode(t, server.Addr(), func(*conn.Config) {})
	plain, _ := openNode(t, server.Addr(), func(c *conn.Config) { c.Login = conn.Login{Username: "plain", Password: backlog.NewSecret("any")} })
	redistest.Eventually(t, "changes are tracked", func() bool {
		return all.Status().WakeUp == conn.WakeTracking && plain.Status().WakeUp == conn.WakeTracking
	})
	readUntil(t, all, "the server was asked", func(s backlog.Status) bool { return kinds(s) == "eviction clients" })
	for batch := range 10 {
		var reads []resp.Command
		for i := range manyTracked / 10 {
			reads = append(reads, resp.Command{Args: []any{"LLEN", fmt.Sprint("jobs-", batch, "-", i)}})
		}
		if _, err := all.Do(t.Context(), reads, nil); err != nil {
			t.Fatal(err)
		}
	}
	// In a minute it is asked again.
	all.semaphore <- struct{}{}
	all.nextLimits = time.Now()
	<-all.semaphore
	readUntil(t, all, "all risks are known", func(s backlog.Status) bool { return kinds(s) == "eviction tracking clients" })
	readUntil(t, plain, "those that need no CONFIG are known", func(s backlog.Status) bool { return kinds(s) == "eviction clients" })

	sound, _ := openNode(t, redistest.Start(t).Addr(), func(*conn.Config) {})
	asked := func() bool {
		sound.semaphore <- struct{}{}
		defer func() { <-sound.semaphore }()
		return !sound.nextLimits.IsZero()
	}
	readUntil(t, sound, "the server was asked", func(backlog.Status) bool { return asked() })
	if got := kinds(sound.Status()); got != "" {
		t.Errorf("a server without a risk has %s", got)
	}
}

// TestRisksOfIdleServers: a server whose queues are only confirmed is asked, too.
func TestRisksOfIdleServers(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	n, _ := openNode(t, server.Addr(), func(*conn.Config) {})
	redistest.Eventually(t, "changes are tracked", func() bool { return n.Status().WakeUp == conn.WakeTracking })
	server.Do("CONFIG", "SET", "maxmemory-policy", "volatile-ttl")
	// A session begins to track with a read.
	if _, err := n.Do(t.Context(), []resp.Command{{Args: []any{"LLEN", "jobs"}}}, nil); err != nil {
		t.Fatal(err)
	}
	redistest.Eventually(t, "the risk is known", func() bool {
		if err := n.Confirm(t.Context()); err != nil {
			t.Fatal(err)
		}
		return kinds(n.Status()) == "eviction"
	})
}

// TestLimitsAtAProxy: what hangs up at a question for limits is not asked again, and no read fails of it.
func TestLimitsAtAProxy(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t, redistest.WithConfig("maxmemory 100mb", "maxmemory-policy allkeys-lru"))
	for _, command := range []string{"INFO memory", "INFO clients", "INFO stats"} {
		t.Run(command, func(t *testing.T) {
			t.Parallel()
			proxy := redistest.StartProxy(t, server.Addr(), map[string]string{strings.ToUpper(command): redistest.HangUp})
			var asked, checked atomic.Int64
			proxy.Before(command, func() { asked.Add(1) })
			proxy.Before("INFO replication", func() { checked.Add(1) })
			n, _ := openNode(t, proxy.Addr(), func(*conn.Config) {})
			redistest.Eventually(t, "changes are tracked", func() bool { return n.Status().WakeUp == conn.WakeTracking })
			readUntil(t, n, "the proxy has hung up", func(backlog.Status) bool { return asked.Load() > 0 })
			// A check goes with a read every two seconds.
			before := checked.Load()
			readUntil(t, n, "further checks were made", func(backlog.Status) bool { return checked.Load() > before+2 })
			if asked.Load() != 1 {
				t.Errorf("the question was asked %d times", asked.Load())
			}
		})
	}
}
