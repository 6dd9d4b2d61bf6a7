package layouttest

import (
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/backlogtest"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/redistest"
)

// A ConformanceCase is how jobs of a framework move, as commands. Each word is an argument, in
// which QUEUE stands for the queue and JOB for the job.
type ConformanceCase struct {
	Layout string
	// Params are names and values.
	Params []string
	// Add makes a job ready, Take hands the oldest one out to a worker, and Ack finishes the
	// oldest one that was handed out. Without Take no job is in flight, and Ack finishes the
	// oldest ready one.
	Add, Take, Ack []string
	// Corrupt is a key of the queue that is a string where the layout does not read one.
	Corrupt string
	// EmptyExists reports whether an empty queue differs from a missing one.
	EmptyExists bool
}

// Conformance holds a layout to the suite of engines, on each server and with each way to
// notice a change that arms keys. Next to the layout's queues there are plain lists, so that
// the batches are mixed. The framework's own library is driven elsewhere: here it matters how
// the layout is read, on which server and how it fails.
func Conformance(t *testing.T, c ConformanceCase) {
	t.Helper()
	list := ConformanceCase{Layout: "list", Add: []string{"LPUSH QUEUE JOB"}, Ack: []string{"RPOP QUEUE"}, Corrupt: "QUEUE"}
	for name, way := range map[string]struct {
		lines []string
		more  map[string]any
	}{
		"tracking": {},
		"keyspace": {lines: []string{"notify-keyspace-events KA"}, more: map[string]any{"wakeUp": "keyspace"}},
	} {
		for _, version := range redistest.Versions(t) {
			t.Run(version.Name+"/"+name, func(t *testing.T) {
				t.Parallel()
				server, names := redistest.Start(t, redistest.WithVersion(version), redistest.WithConfig(way.lines...)), new(Names)
				backlogtest.Exercise(t, backlogtest.Harness{
					Engine:     redis.Engine(),
					Address:    server.Addr(),
					Connection: func(address string) backlog.Connection { return Connection([]string{address}, way.more) },
					Cases:      []backlogtest.Case{c.on(server, names), list.on(server, names)},
					Wakes:      true,
					Confirms:   name == "tracking",
				})
			})
		}
	}
}

// on returns the case of the suite that moves jobs on a server.
func (c ConformanceCase) on(server *redistest.Server, names *Names) backlogtest.Case {
	m := &movement{server: server, names: names, ready: map[string][]string{}, taken: map[string][]string{}}
	all := backlogtest.Case{
		Name: c.Layout,
		Query: func(testing.TB) backlog.Query {
			queue := names.Next("q")
			params := make([]string, len(c.Params))
			for i, p := range c.Params {
				params[i] = strings.ReplaceAll(p, "QUEUE", queue)
			}
			return Query(c.Layout, queue, params...)
		},
		Add: func(t testing.TB, q backlog.Query, n int) {
			t.Helper()
			m.add(t, q.Queue, n, c.Add)
		},
		Ack: func(t testing.TB, q backlog.Query, n int) {
			t.Helper()
			from := m.taken
			if c.Take == nil {
				from = m.ready
			}
			m.move(t, q.Queue, n, c.Ack, from, nil)
		},
		Corrupt: func(t testing.TB, q backlog.Query) {
			t.Helper()
			m.do(t, "SET", strings.ReplaceAll(c.Corrupt, "QUEUE", q.Queue), "a string")
		},
		EmptyExists: c.EmptyExists,
	}
	if c.Take != nil {
		all.Take = func(t testing.TB, q backlog.Query, n int) {
			t.Helper()
			m.move(t, q.Queue, n, c.Take, m.ready, m.taken)
		}
	}
	return all
}

// A movement moves jobs on a server, one at a time.
type movement struct {
	server *redistest.Server
	names  *Names
	// mu guards the jobs of each queue, the oldest first: the suite's tests run side by side.
	mu           sync.Mutex
	ready, taken map[string][]string
}

func (m *movement) add(t testing.TB, queue string, n int, commands []string) {
	t.Helper()
	m.mu.Lock()
	defer m.mu.Unlock()
	for range n {
		job := m.names.Next("job")
		m.run(t, queue, job, commands)
		m.ready[queue] = append(m.ready[queue], job)
	}
}

// move runs commands for the n oldest jobs of a queue, which then are among others, if any.
func (m *movement) move(t testing.TB, queue string, n int, commands []string, from, to map[string][]string) {
	t.Helper()
	m.mu.Lock()
	defer m.mu.Unlock()
	jobs := from[queue][:n]
	from[queue] = from[queue][n:]
	for _, job := range jobs {
		m.run(t, queue, job, commands)
	}
	if to != nil {
		to[queue] = append(to[queue], jobs...)
	}
}

func (m *movement) run(t testing.TB, queue, job string, commands []string) {
	t.Helper()
	names := strings.NewReplacer("QUEUE", queue, "JOB", job)
	for _, command := range commands {
		m.do(t, Words(names.Replace(command))...)
	}
}

func (m *movement) do(t testing.TB, args ...any) {
	t.Helper()
	if err := m.server.Client().Do(t.Context(), args...).Err(); err != nil {
		t.Fatalf("%v: %v", args, err)
	}
}

// Names numbers the keys of all tests, so that none is used twice.
type Names struct{ n atomic.Int64 }

// Next returns a name that was not returned before.
func (k *Names) Next(what string) string { return fmt.Sprintf("%s:%d", what, k.n.Add(1)) }
