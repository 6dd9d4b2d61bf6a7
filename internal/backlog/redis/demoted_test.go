package redis_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/backlogtest"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/layout/layouttest"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/redistest"
)

// replicate makes replica follow master, and waits until it has its data.
func replicate(t testing.TB, replica *redistest.Server, address string) {
	t.Helper()
	host, port, _ := strings.Cut(address, ":")
	replica.Do("REPLICAOF", host, port)
	redistest.Eventually(t, "the replica is in step", func() bool {
		text, _ := replica.Do("INFO", "replication").(string)
		return strings.Contains(text, "master_link_status:up") && strings.Contains(text, "master_sync_in_progress:0")
	})
}

// confirmOnce asks a source whether what is armed stands.
func confirmOnce(t testing.TB, source backlog.Source) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	_, err := source.(backlog.Confirmer).Confirm(ctx) //nolint:errcheck // it is one
	return err
}

// TestReplicaLosesItsMaster: a replica whose link to its master dies while it is read is
// unavailable, whether its queues are confirmed or read, and answers again with the link.
func TestReplicaLosesItsMaster(t *testing.T) {
	t.Parallel()
	for name, way := range map[string]struct {
		more map[string]any
		// noticed reports whether the loss has shown.
		noticed func(testing.TB, backlog.Source, backlog.Query) bool
	}{
		"confirmed": {noticed: func(t testing.TB, source backlog.Source, _ backlog.Query) bool {
			t.Helper()
			return confirmOnce(t, source) != nil
		}},
		"read":   {noticed: isUnavailable},
		"polled": {more: map[string]any{"wakeUp": "poll"}, noticed: isUnavailable},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			layouttest.EachServer(t, func(t *testing.T, v redistest.Version, replica *redistest.Server) {
				t.Helper()
				master := redistest.Start(t, redistest.WithVersion(v), redistest.WithConfig("repl-diskless-sync-delay 0"))
				link := backlogtest.NewProxy(t, master.Addr())
				replicate(t, replica, link.Addr())
				source := layouttest.OpenServer(t, replica, way.more)
				q := list("jobs")
				if way.more == nil {
					backlogtest.Arm(t, source, backlogtest.Listen(t, source), q)
				} else {
					backlogtest.MustRead(t, source, q)
				}
				link.Refuse()
				master.Do("LPUSH", "jobs", "a", "b")
				redistest.Eventually(t, "the loss is noticed", func() bool { return way.noticed(t, source, q) })
				for range 3 {
					if !isUnavailable(t, source, q) {
						t.Fatal("a replica that has lost its master is read")
					}
				}
				link.Restore()
				redistest.Eventually(t, "the replica answers with what it has missed", func() bool {
					r := backlogtest.Read(t, source, q)[0]
					return r.Err == nil && r.Reading.Ready == 2
				})
			})
		})
	}
}

// isUnavailable reads once, and reports whether that failed.
func isUnavailable(t testing.TB, source backlog.Source, q backlog.Query) bool {
	t.Helper()
	r := backlogtest.Read(t, source, q)[0]
	if r.Err != nil && !errors.Is(r.Err, backlog.ErrUnavailable) {
		t.Fatal(r.Err)
	}
	return r.Err != nil
}

// TestMasterIsDemoted: REPLICAOF ends no connection. A server that has become a replica
// without a master is unavailable within seconds, and a replica that has become a master
// is read on.
func TestMasterIsDemoted(t *testing.T) {
	t.Parallel()
	layouttest.EachServer(t, func(t *testing.T, _ redistest.Version, server *redistest.Server) {
		t.Helper()
		source := layouttest.OpenServer(t, server, nil)
		q := list("jobs")
		backlogtest.Arm(t, source, backlogtest.Listen(t, source), q)
		server.Do("REPLICAOF", "127.0.0.1", "1")
		redistest.Eventually(t, "it is unavailable", func() bool { return isUnavailable(t, source, q) })
		server.Do("REPLICAOF", "NO", "ONE")
		redistest.Eventually(t, "it answers", func() bool { return !isUnavailable(t, source, q) })
	})
}

// TestOldMasterBehindSentinel: a server that has become a replica is not read where the
// master is wanted, even while the sentinels still name it.
func TestOldMasterBehindSentinel(t *testing.T) {
	t.Parallel()
	g := redistest.StartSentinel(t)
	source := openSentinel(t, g, nil)
	q := list("jobs")
	master := g.Master(t)
	backlogtest.Arm(t, source, backlogtest.Listen(t, source), q)
	// The sentinels would undo it.
	for _, s := range g.Sentinels {
		s.Freeze()
	}
	other := redistest.Start(t, redistest.WithConfig("repl-diskless-sync-delay 0"))
	replicate(t, master, other.Addr())
	redistest.Eventually(t, "the replica is not read", func() bool { return isUnavailable(t, source, q) })
	for _, s := range g.Sentinels {
		s.Thaw()
	}
}

// TestSilentMaster: a replica whose master has stopped, so that their connection stays, is
// unavailable long before Redis itself gives the link up.
func TestSilentMaster(t *testing.T) {
	t.Parallel()
	master := redistest.Start(t, redistest.WithConfig("repl-diskless-sync-delay 0"))
	replica := redistest.Start(t)
	link := backlogtest.NewProxy(t, master.Addr())
	replicate(t, replica, link.Addr())
	source := layouttest.OpenServer(t, replica, nil)
	q := list("jobs")
	backlogtest.Arm(t, source, backlogtest.Listen(t, source), q)
	link.BlackHole()
	for began := time.Now(); confirmOnce(t, source) == nil; time.Sleep(100 * time.Millisecond) {
		if time.Since(began) > patience {
			t.Fatal("the silence is not noticed")
		}
	}
	if !isUnavailable(t, source, q) {
		text, _ := replica.Do("INFO", "replication").(string)
		t.Errorf("a replica that hears nothing from its master is read:\n%s", text)
	}
}
