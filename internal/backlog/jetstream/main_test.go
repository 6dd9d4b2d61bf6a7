package jetstream_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/backlogtest"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/jetstream"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/jetstream/jetstreamtest"
)

// servers is the server that several tests share, started once.
var servers shared

// A shared starts a server when it is first needed.
type shared struct {
	mu      sync.Mutex
	started *jetstreamtest.Cluster
}

func TestMain(m *testing.M) {
	if code, served := jetstreamtest.ServeChild(); served {
		os.Exit(code)
	}
	const server = "github.com/nats-io/nats-server/v2/server"
	backlogtest.Main(closing{m},
		// A server in this process that is closed while it makes a stream leaves the store of that stream open:
		// newFileStoreWithCreatedAndMode in its filestore.go.
		goleak.IgnoreAnyFunction(server+".(*fileStore).flushStreamStateLoop"),
		goleak.IgnoreAnyFunction(server+"/ats.Register.func1"),
	)
}

// closing closes the shared server after the tests.
type closing struct{ m *testing.M }

// Run implements goleak.TestingM.
func (c closing) Run() int {
	code := c.m.Run()
	if servers.started != nil {
		servers.started.Close()
	}
	return code
}

// one returns the shared server.
func one(t testing.TB) *jetstreamtest.Cluster {
	t.Helper()
	if testing.Short() {
		t.Skip("servers are not started in a short run")
	}
	servers.mu.Lock()
	defer servers.mu.Unlock()
	if servers.started == nil {
		c, err := jetstreamtest.Launch(context.Background(), 1)
		if err != nil {
			t.Fatal(err)
		}
		servers.started = c
	}
	return servers.started
}

// names counts the streams of the tests.
var names atomic.Int64

// streamName returns a name that no other stream has.
func streamName(prefix string) string { return fmt.Sprintf("%s-%d", prefix, names.Add(1)) }

// worker is the name of the consumer of most streams.
const worker = "worker"

// query returns the query for a consumer of a stream; more are parameters, names and values by turns.
func query(stream string, more ...string) backlog.Query {
	params := map[string]string{"consumer": worker}
	for i := 0; i+1 < len(more); i += 2 {
		params[more[i]] = more[i+1]
	}
	return backlog.Query{Layout: "stream", Queue: stream, Params: backlog.NewParams(params)}
}

// settings are those of a connection; more adds to them.
func settings(addresses []string, more map[string]any) backlog.Connection {
	values := map[string]any{"addresses": addresses}
	maps.Copy(values, more)
	return backlog.Connection{Name: "nats", Engine: "jetstream", Settings: backlog.NewSettings(values)}
}

// open opens a source to all servers.
func open(t testing.TB, c *jetstreamtest.Cluster, more map[string]any) backlog.Source {
	t.Helper()
	return backlogtest.Open(t, jetstream.Engine(), settings(c.Addresses(), more))
}

// patience bounds the wait for what must happen. It passes only where something is wrong.
const patience = time.Minute

// eventually waits until a condition holds.
func eventually(t testing.TB, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !holds(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("within %s it did not happen that %s", patience, what)
		}
	}
}

// await reads until a reading is as wanted. An outage meanwhile is no failure.
func await(t testing.TB, source backlog.Source, q backlog.Query, what string, wanted func(backlog.Reading) bool) backlog.Reading {
	t.Helper()
	var last backlog.Result
	for deadline := time.Now().Add(patience); ; time.Sleep(5 * time.Millisecond) {
		last = backlogtest.ReadOnce(t, source, q)[0]
		switch {
		case last.Err == nil && wanted(last.Reading):
			return last.Reading
		case last.Err != nil && !last.Pending && !errors.Is(last.Err, backlog.ErrUnavailable):
			t.Fatal(last.Err)
		case time.Now().After(deadline):
			t.Fatalf("within %s the queue did not read as %s, but as %+v", patience, what, last)
		}
	}
}

// file returns a file of a setting.
func file(t testing.TB, name string, data []byte) backlog.File {
	t.Helper()
	path := t.TempDir() + "/" + name
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return backlog.File{Path: path, Data: data}
}
