package redis_test

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/backlogtest"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/layout/layouttest"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/redistest"
)

// A notice is how soon a change is noticed, as docs/operations.md says it.
type notice string

const (
	// atOnce is a wake-up.
	atOnce notice = "at once"
	// regularly is the regular read of the mode: a change that nothing reports.
	regularly notice = "10 s"
	// byConfirmation is a confirmation that fails.
	byConfirmation notice = "10 s, by a confirmation"
	// seldom is the read of an idle queue that is confirmed in between.
	seldom notice = "1 min"
	// withWork is the read of a queue with work.
	withWork notice = "1 s, the queue has work"
)

// A change is one kind of change of a queue, which is a row in docs/operations.md.
type change struct {
	name               string
	query              backlog.Query
	tracking, keyspace notice
	// before prepares what is read first; nil is nothing.
	before func(testing.TB, *redistest.Server)
	// ways change the queue, so that it then has so many messages.
	ways map[string]func(testing.TB, *redistest.Server)
	want int64
}

// commands are a way that consists of commands, each a line of words.
func commands(lines ...string) func(testing.TB, *redistest.Server) {
	return func(_ testing.TB, s *redistest.Server) {
		for _, line := range lines {
			s.Do(layouttest.Words(line)...)
		}
	}
}

// restore writes a list of one element, as a dump of the server itself.
func restore(_ testing.TB, s *redistest.Server) {
	s.Do("RPUSH", "other", "a")
	s.Do("RESTORE", "jobs", 0, s.Do("DUMP", "other"))
}

// changes are all kinds.
func changes() []change {
	type ways = map[string]func(testing.TB, *redistest.Server)
	return []change{
		{
			name: "a command or script that writes to the key, such as `LPUSH`", query: list("jobs"), tracking: atOnce, keyspace: atOnce, want: 1,
			ways: ways{
				"LPUSH": commands("LPUSH jobs a"), "EVAL": commands("EVAL redis.call('lpush',KEYS[1],'a') 1 jobs"),
				"LTRIM": commands("RPUSH jobs a b c", "LTRIM jobs 1 1"), "RPOPLPUSH": commands("RPUSH other a", "RPOPLPUSH other jobs"),
			},
		},
		{
			name: "`RENAME`, `RESTORE`, `COPY`, `MOVE`, `SORT` with `STORE`", query: list("jobs"), tracking: atOnce, keyspace: atOnce, want: 1,
			ways: ways{
				"RENAME": commands("RPUSH other a", "RENAME other jobs"), "RESTORE": restore,
				"COPY": commands("RPUSH other a", "COPY other jobs"), "SORT": commands("RPUSH other a", "SORT other ALPHA STORE jobs"),
				"MOVE": func(t testing.TB, s *redistest.Server) {
					t.Helper()
					pipe := s.Client().TxPipeline()
					for _, line := range []string{"SELECT 1", "RPUSH jobs a", "MOVE jobs 0", "SELECT 0"} {
						pipe.Do(t.Context(), layouttest.Words(line)...)
					}
					if _, err := pipe.Exec(t.Context()); err != nil {
						t.Fatal(err)
					}
				},
			},
		},
		{
			name: "`XGROUP CREATE`, `SETID`, `DESTROY`", query: stream("jobs", "g", "groupStart", "last"), tracking: seldom, keyspace: atOnce, want: 1,
			before: commands("XGROUP CREATE jobs other $ MKSTREAM", "XADD jobs * a b"),
			ways:   ways{"CREATE": commands("XGROUP CREATE jobs g 0"), "SETID": commands("XGROUP CREATE jobs g $", "XGROUP SETID jobs g 0")},
		},
		{
			name: "`FLUSHDB`, `FLUSHALL`", query: list("jobs"), tracking: atOnce, keyspace: withWork, want: 0,
			before: commands("RPUSH jobs a"),
			ways:   ways{"FLUSHDB": commands("FLUSHDB"), "FLUSHALL": commands("FLUSHALL")},
		},
		{
			name: "`SWAPDB`", query: list("jobs"), tracking: byConfirmation, keyspace: regularly, want: 1,
			before: func(t testing.TB, s *redistest.Server) {
				t.Helper()
				pipe := s.Client().TxPipeline()
				for _, line := range []string{"SELECT 1", "RPUSH jobs a", "SELECT 0"} {
					pipe.Do(t.Context(), layouttest.Words(line)...)
				}
				if _, err := pipe.Exec(t.Context()); err != nil {
					t.Fatal(err)
				}
			},
			ways: ways{"SWAPDB": commands("SWAPDB 0 1"), "EVAL": commands("EVAL return(redis.call('swapdb',0,1)) 0")},
		},
		{
			name: "the key expires, or is evicted (`maxmemory`)", query: list("jobs"), tracking: withWork, keyspace: withWork, want: 0,
			before: commands("RPUSH jobs a"),
			ways: ways{
				"expires":            commands("PEXPIRE jobs 1"),
				"no active expiry":   commands("DEBUG SET-ACTIVE-EXPIRE 0", "PEXPIRE jobs 1"),
				"evicted":            commands("CONFIG SET maxmemory-policy allkeys-random", "CONFIG SET maxmemory 1", "PING"),
				"expires in passing": commands("PEXPIREAT jobs 1"),
			},
		},
		{
			name: "a restart, a failover, a lost connection", query: list("jobs"), tracking: atOnce, keyspace: atOnce, want: 1,
			ways: ways{
				"restart": func(_ testing.TB, s *redistest.Server) {
					s.Restart()
					s.Do("RPUSH", "jobs", "a")
				},
				"connections lost": commands("CLIENT KILL TYPE pubsub", "RPUSH jobs a"),
			},
		},
		{
			name: "`DEBUG RELOAD`", query: list("jobs"), tracking: atOnce, keyspace: withWork, want: 1,
			before: commands("RPUSH jobs a"),
			ways:   ways{"RELOAD": commands("DEBUG RELOAD")},
		},
		{
			name: "a replica receives the data of another master", query: list("jobs"), tracking: atOnce, keyspace: regularly, want: 1,
			ways: ways{"REPLICAOF": func(t testing.TB, s *redistest.Server) {
				t.Helper()
				master := redistest.Start(t, redistest.WithConfig("repl-diskless-sync-delay 0", "rdbcompression no"), redistest.SameVersion(s))
				master.Do("RPUSH", "jobs", "a")
				replicate(t, s, master.Addr())
			}},
		},
	}
}

// TestChangeIsNoticed: each kind of change is noticed as soon as docs/operations.md says.
func TestChangeIsNoticed(t *testing.T) {
	t.Parallel()
	for _, c := range changes() {
		for mode, soon := range map[string]notice{"tracking": c.tracking, "keyspace": c.keyspace} {
			for way, do := range c.ways {
				for _, v := range redistest.Versions(t) {
					if way == "COPY" && v.Before(6, 2) {
						// It has no such command.
						continue
					}
					t.Run(fmt.Sprintf("%s/%s/%s/%s", strings.ReplaceAll(c.name, " ", "-"), mode, way, v.Name), func(t *testing.T) {
						t.Parallel()
						lines := []string{"notify-keyspace-events KA"}
						if !v.Before(7, 0) {
							lines = append(lines, "enable-debug-command yes")
						}
						server := redistest.Start(t, redistest.WithVersion(v), redistest.WithConfig(lines...))
						c.noticed(t, server, mode, soon, do)
					})
				}
			}
		}
	}
}

// noticed changes the queue and waits for the notice.
func (c change) noticed(t *testing.T, server *redistest.Server, mode string, soon notice, do func(testing.TB, *redistest.Server)) {
	t.Helper()
	if c.before != nil {
		c.before(t, server)
	}
	source := layouttest.OpenServer(t, server, map[string]any{"wakeUp": mode})
	ear := backlogtest.Listen(t, source)
	backlogtest.Arm(t, source, ear, c.query)
	do(t, server)
	switch soon {
	case atOnce:
		ear.Await(t, c.query)
	case byConfirmation:
		if err := confirmOnce(t, source); err == nil {
			t.Error("what was armed is confirmed")
		}
	case withWork:
		if r := backlogtest.MustRead(t, source, c.query); r.Backlog() == 0 && c.want > 0 {
			t.Errorf("the queue reads as %+v", r)
		}
	case regularly, seldom:
	}
	redistest.Eventually(t, "it is read as it is", func() bool {
		r := backlogtest.Read(t, source, c.query)[0]
		return r.Err == nil && r.Reading.Backlog() == c.want
	})
	// And whatever happened to it, it is armed again.
	backlogtest.Arm(t, source, ear, c.query)
}

// TestNoticesAreDocumented holds the table in docs/operations.md to the kinds of change.
func TestNoticesAreDocumented(t *testing.T) {
	t.Parallel()
	var want strings.Builder
	want.WriteString("| change | `tracking` | `keyspace` |\n| --- | --- | --- |\n")
	for _, c := range changes() {
		fmt.Fprintf(&want, "| %s | %s | %s |\n", c.name, c.tracking, c.keyspace)
	}
	text, err := os.ReadFile("../../../docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(text), want.String()) {
		t.Errorf("docs/operations.md does not have the table\n%s", want.String())
	}
}
