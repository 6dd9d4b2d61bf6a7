package postgresql_test

import (
	"context"
	"encoding/binary"
	"errors"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/backlogtest"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/postgresql"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/postgresql/postgresqltest"
)

// TestOutages: a server that is frozen, restarted, or locked, on a server that no other test uses.
func TestOutages(t *testing.T) {
	t.Parallel()
	for _, version := range postgresqltest.Versions(t) {
		t.Run(version.Name, func(t *testing.T) {
			t.Parallel()
			server := postgresqltest.Start(t, version)
			database := server.Database(t)
			database.Run(t, ownSchema("bullmq")(t)+"; INSERT INTO bullmq.job (queue, id, seq, name, state, added_at_ms) VALUES ('busy', '1', 1, 'j', 'waiting', 0)")
			source := backlogtest.Open(t, postgresql.Engine(), connection(database, map[string]any{"statementTimeout": 500 * time.Millisecond}))
			wakeups := backlogtest.Listen(t, source)
			idle, busy := query("bullmqPg", "idle"), query("bullmqPg", "busy")
			backlogtest.Arm(t, source, wakeups, idle)
			before := backlogtest.MustRead(t, source, busy)

			server.Freeze(t)
			for range 3 {
				ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
				for _, r := range source.Read(ctx, []backlog.Query{idle, busy}, nil) {
					if !errors.Is(r.Err, backlog.ErrUnavailable) || r.Armed {
						t.Errorf("a frozen server: %+v, want ErrUnavailable", r)
					}
				}
				cancel()
			}
			server.Thaw(t)
			backlogtest.Arm(t, source, wakeups, idle)

			server.Restart(t)
			database.Reconnect()
			wakeups.AwaitEverything(t)
			backlogtest.Arm(t, source, wakeups, idle)
			after := backlogtest.MustRead(t, source, busy)
			if after.Ready != 1 || after.Epoch != before.Epoch || before.Epoch == "" {
				t.Errorf("before a restart %+v, after it %+v, want the same", before, after)
			}
			locked(t, database, source, busy)
			database.Run(t, "SELECT pg_notify('bullmq_jobs', 'idle')")
			wakeups.Await(t, idle)
		})
	}
}

// locked: a table that a migration locks is no table without rows.
func locked(t *testing.T, database *postgresqltest.Database, source backlog.Source, q backlog.Query) {
	t.Helper()
	held, release := make(chan error, 1), make(chan struct{})
	ctx := context.WithoutCancel(t.Context())
	go func() { held <- database.Locked(ctx, "bullmq.job", release) }()
	unlock := sync.OnceFunc(func() { close(release) })
	defer unlock()
	eventually(t, "the lock", func() bool {
		return database.Text(t, "SELECT count(*) FROM pg_locks WHERE relation = 'bullmq.job'::regclass AND mode = 'AccessExclusiveLock' AND granted") == "1"
	})
	r := backlogtest.Read(t, source, q)[0]
	unlock()
	if err := <-held; err != nil {
		t.Error(err)
	}
	if !errors.Is(r.Err, backlog.ErrUnavailable) || !strings.Contains(r.Err.Error(), "57014") {
		t.Errorf("a locked table: %+v, want ErrUnavailable by the timeout", r)
	}
	eventually(t, "a read after the lock", func() bool {
		r := backlogtest.Read(t, source, q)[0]
		return r.Err == nil && r.Reading.Ready == 1
	})
}

// TestPooler: behind PgBouncer between transactions all is read, and nothing is armed although LISTEN
// succeeds, unless there is an address for the connection that listens. In session mode all works.
func TestPooler(t *testing.T) {
	t.Parallel()
	server := postgresqltest.Start(t, postgresqltest.Versions(t)[0])
	database := server.Database(t)
	database.Run(t, ownSchema("bullmq")(t)+"; INSERT INTO bullmq.job (queue, id, seq, name, state, added_at_ms) VALUES ('busy', '1', 1, 'j', 'waiting', 0)")
	idle, busy := query("bullmqPg", "idle"), query("bullmqPg", "busy")
	pooled := server.StartPgBouncer(t, "transaction")
	source := backlogtest.Open(t, postgresql.Engine(), connection(database, map[string]any{"addresses": []string{pooled}, "allowQueries": true}))
	eventually(t, "the pooler is recognised", func() bool {
		results := backlogtest.Read(t, source, idle, busy, userQuery("SELECT 7"))
		for _, r := range results {
			if r.Err != nil || r.Armed {
				t.Fatalf("behind a pooler: %+v, want a reading that is not armed", r)
			}
		}
		if results[1].Reading.Ready != 1 || results[2].Reading.Ready != 7 {
			t.Fatalf("behind a pooler: %+v, want 1 and 7", results)
		}
		status := source.Status()
		return status.WakeUp == "poll" && strings.Contains(status.WakeUpReason, "listenAddresses")
	})
	confirmer, ok := source.(backlog.Confirmer)
	if !ok {
		t.Fatal("the source does not confirm")
	}
	if _, err := confirmer.Confirm(t.Context()); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("confirmed through a pooler: %v, want ErrUnsupported", err)
	}
	for name, settings := range map[string]map[string]any{
		"listenAddresses": {"addresses": []string{pooled}, "listenAddresses": []string{server.Addr()}},
		"several servers": {"addresses": []string{"127.0.0.1:1", server.Addr()}, "target": "primary"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			source := backlogtest.Open(t, postgresql.Engine(), connection(database, settings))
			wakeups := backlogtest.Listen(t, source)
			backlogtest.Arm(t, source, wakeups, idle)
			database.Run(t, "SELECT pg_notify('bullmq_jobs', 'idle')")
			wakeups.Await(t, idle)
			if status := source.Status(); status.WakeUp != "listen" || status.WakeUpReason != "" {
				t.Errorf("the status is %+v, want listen", status)
			}
		})
	}
}

// TestStandby: a standby is refused unless it is wanted. Then it is read with a warning, and polled,
// because it cannot listen.
func TestStandby(t *testing.T) {
	t.Parallel()
	primary := postgresqltest.Start(t, postgresqltest.Versions(t)[0])
	database := primary.Database(t)
	database.Run(t, ownSchema("bullmq")(t)+"; INSERT INTO bullmq.job (queue, id, seq, name, state, added_at_ms) VALUES ('busy', '1', 1, 'j', 'waiting', 0)")
	standby := primary.StartStandby(t)
	busy := query("bullmqPg", "busy")
	source := backlogtest.Open(t, postgresql.Engine(), connection(database, map[string]any{"addresses": []string{standby.Addr()}}))
	if r := backlogtest.Read(t, source, busy)[0]; !errors.Is(r.Err, backlog.ErrMismatch) || !strings.Contains(r.Err.Error(), "target: standby") {
		t.Errorf("a standby: %+v, want ErrMismatch with advice", r)
	}
	source = backlogtest.Open(t, postgresql.Engine(), connection(database, map[string]any{"addresses": []string{primary.Addr(), standby.Addr()}, "target": "standby"}))
	eventually(t, "the standby is read", func() bool {
		r := backlogtest.Read(t, source, busy)[0]
		return r.Err == nil && r.Reading.Ready == 1 && !r.Armed && strings.Contains(r.Reading.Warning, "standby")
	})
	eventually(t, "the reason is known", func() bool { return strings.Contains(source.Status().WakeUpReason, "standby") })

	// The one that is promoted is found among the addresses, with another epoch.
	source = backlogtest.Open(t, postgresql.Engine(), connection(database, map[string]any{"addresses": []string{standby.Addr(), primary.Addr()}, "target": "primary"}))
	before := backlogtest.MustRead(t, source, busy)
	standby.Promote(t)
	primary.Kill()
	eventually(t, "the promoted server is read", func() bool {
		r := backlogtest.Read(t, source, busy)[0]
		return r.Err == nil && r.Reading.Ready == 1 && r.Reading.Epoch != before.Epoch && r.Reading.Epoch != ""
	})
}

// TestEndlessServer: a server that never stops to talk is an outage, and takes no memory.
func TestEndlessServer(t *testing.T) {
	t.Parallel()
	message := func(kind byte, body string) []byte {
		return append(binary.BigEndian.AppendUint32([]byte{kind}, uint32(4+len(body))), body...)
	}
	for name, talk := range map[string][]byte{
		"parameters":    message('S', strings.Repeat("n", 1000)+"\x00v\x00"),
		"notices":       message('N', "Mendless\x00\x00"),
		"notifications": message('A', "\x00\x00\x00\x01c\x00p\x00"),
		"long message":  binary.BigEndian.AppendUint32([]byte{'S'}, 1<<30),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			listener, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // lives as long as the test
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = listener.Close() })
			go func() {
				for {
					conn, err := listener.Accept()
					if err != nil {
						return
					}
					go endless(conn, message('R', "\x00\x00\x00\x00"), talk)
				}
			}()
			source := backlogtest.Open(t, postgresql.Engine(), backlog.Connection{Name: "endless", Engine: "postgresql", Settings: backlog.NewSettings(map[string]any{
				"addresses": []string{listener.Addr().String()}, "database": "d", "username": "u", "dialTimeout": time.Minute,
			})})
			if r := backlogtest.Read(t, source, query("oban", "q"))[0]; !errors.Is(r.Err, backlog.ErrUnavailable) {
				t.Errorf("%+v, want ErrUnavailable", r)
			}
		})
	}
}

// endless greets a client and repeats a message until it hangs up.
func endless(conn net.Conn, greeting, message []byte) {
	defer conn.Close()
	if _, err := conn.Read(make([]byte, 1024)); err != nil {
		return
	}
	for _, err := conn.Write(greeting); err == nil; {
		_, err = conn.Write(message)
	}
}
