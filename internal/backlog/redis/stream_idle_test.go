package redis_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/backlogtest"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/layout/layouttest"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/redistest"
)

// TestStreamIdle: entries that no consumer has touched for longer than OrphanedAfter stop
// counting, and nothing else does. The user has the least rights.
func TestStreamIdle(t *testing.T) {
	t.Parallel()
	layouttest.EachServer(t, func(t *testing.T, v redistest.Version, server *redistest.Server) {
		t.Helper()
		if v.Name == "redis-6.0" {
			idleUnknown(t, v, server)
			return
		}
		source := layouttest.OpenServer(t, server, layouttest.User(v, server, "%R~*", redis.ACLRules))
		read := func(params ...string) backlog.Reading {
			t.Helper()
			return backlogtest.MustRead(t, source, stream("s", "g", params...))
		}
		for i := range 5 {
			server.Do("XADD", "s", fmt.Sprintf("170000000000%d-1", i+1), "f", "v")
		}
		if r := read("orphanedAfter", "1h"); r.Ready != 5 || strings.Contains(r.Warning, "orphanedAfter") {
			t.Errorf("without a group it reads as %+v", r)
		}
		server.Do("XGROUP", "CREATE", "s", "g", "0")
		server.Do("XREADGROUP", "GROUP", "g", "one", "COUNT", 3, "STREAMS", "s", ">")
		if r := read("orphanedAfter", "1h"); r.InFlight != backlog.Exactly(3) || r.Ignored != 0 || r.Warning != read().Warning {
			t.Errorf("entries that were served just now read as %+v", r)
		}
		const twoHours = 7_200_000
		server.Do("XCLAIM", "s", "g", "one", 0, "1700000000001-1", "IDLE", twoHours, "JUSTID")
		server.Do("XCLAIM", "s", "g", "one", 0, "1700000000003-1", "IDLE", twoHours, "JUSTID")
		plain := read()
		if plain.InFlight != backlog.Exactly(3) || plain.Oldest.Kind != backlog.AgeExact || plain.Ignored+plain.Orphaned != 0 {
			t.Errorf("without a bound it reads as %+v", plain)
		}
		r := read("orphanedAfter", "1h")
		if r.InFlight != backlog.Exactly(1) || r.Ready != plain.Ready || r.Quality != plain.Quality || r.Ignored != 2 || !strings.Contains(r.Warning, "orphanedAfter has passed") {
			t.Errorf("3 entries, 2 of them idle for two hours, read as %+v", r)
		}
		if r.Oldest == plain.Oldest {
			t.Errorf("what does not count makes the queue old: %+v", r)
		}
		if r = read("orphanedAfter", "3h"); r.InFlight != backlog.Exactly(3) || r.Ignored != 0 {
			t.Errorf("entries that are idle for less than the bound read as %+v", r)
		}

		pipe := server.Client().Pipeline()
		for i := range 1500 {
			pipe.Do(t.Context(), "XADD", "many", fmt.Sprintf("%d-1", i+1), "f", "v")
		}
		pipe.Do(t.Context(), "XGROUP", "CREATE", "many", "g", "0")
		pipe.Do(t.Context(), "XREADGROUP", "GROUP", "g", "one", "COUNT", 1500, "STREAMS", "many", ">")
		if _, err := pipe.Exec(t.Context()); err != nil {
			t.Fatal(err)
		}
		redistest.Eventually(t, "all are idle", func() bool {
			r = backlogtest.MustRead(t, source, stream("many", "g", "orphanedAfter", "1ms"))
			return r.Ignored > 0
		})
		if r.InFlight != backlog.Exactly(500) || r.Ignored != 1000 || r.Quality != backlog.UpperBound {
			t.Errorf("of 1500 idle entries 1000 are looked at, and it reads as %+v", r)
		}
	})
}

// idleUnknown: a server that does not know which entries are idle counts all of them.
func idleUnknown(t *testing.T, v redistest.Version, server *redistest.Server) {
	t.Helper()
	server.Do("XGROUP", "CREATE", "s", "g", "0", "MKSTREAM")
	server.Do("XADD", "s", "*", "f", "v")
	server.Do("XREADGROUP", "GROUP", "g", "one", "STREAMS", "s", ">")
	server.Do("XCLAIM", "s", "g", "one", 0, "0-1", "IDLE", 7_200_000, "JUSTID")
	source := layouttest.OpenServer(t, server, layouttest.User(v, server, "%R~*", redis.ACLRules))
	r := backlogtest.MustRead(t, source, stream("s", "g", "orphanedAfter", "1h"))
	if r.InFlight != backlog.Exactly(1) || r.Ignored != 0 || !strings.Contains(r.Warning, "6.2 is needed for XPENDING with IDLE") {
		t.Errorf("an entry that was served reads as %+v", r)
	}
}
