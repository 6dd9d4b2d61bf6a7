package layouttest

import (
	"errors"
	"os"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/backlogtest"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/redistest"
)

// A WorkersCase is workers as they lie in Redis, and which of them are busy.
type WorkersCase struct {
	// Query is what is asked; that of the table if it is zero.
	Query backlog.Query
	// Keys are commands; each word is an argument.
	Keys []string
	// Want has whether each worker is busy, or Err is the error in place of that.
	Want map[string]bool
	Err  error
}

// CheckWorkers checks which workers of each case are busy, each on a server of its own.
func CheckWorkers(t *testing.T, q backlog.Query, cases map[string]WorkersCase) {
	t.Helper()
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := redistest.Start(t)
			source := OpenServer(t, server, nil)
			for _, command := range c.Keys {
				server.Do(Words(command)...)
			}
			query := q
			if c.Query.Layout != "" {
				query = c.Query
			}
			query.Workers = true
			r := backlogtest.Read(t, source, query)[0]
			if !errors.Is(r.Err, c.Err) {
				t.Fatalf("%+v, want the error %v", r, c.Err)
			}
			if diff := cmp.Diff(c.Want, r.Reading.Workers); diff != "" || r.Armed || r.Reading.Backlog() != 0 {
				t.Errorf("%+v: %s", r, diff)
			}
		})
	}
}

// OpenForWorkers opens a source whose user may read the given keys, by the rights that are
// documented for job frameworks and for which workers are busy.
func OpenForWorkers(t testing.TB, server *redistest.Server, keys string) backlog.Source {
	t.Helper()
	return OpenServer(t, server, User(redistest.Version{Name: "redis-7"}, server, keys, redis.ACLRules, redis.ACLFrameworkRules, redis.ACLWorkerRules))
}

// AwaitWorkers waits until a source reads which workers of a queue are busy as it is wanted.
func AwaitWorkers(t testing.TB, step string, source backlog.Source, q backlog.Query, want map[string]bool) {
	t.Helper()
	q.Workers = true
	for deadline := time.Now().Add(2 * Patience); ; time.Sleep(20 * time.Millisecond) {
		r := backlogtest.Read(t, source, q)[0]
		if r.Err == nil && cmp.Equal(want, r.Reading.Workers) {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s: the workers are %v and the error is %v, want %v", step, r.Reading.Workers, r.Err, want)
		}
	}
}

// AwaitNoWorkers waits until it is not known which workers of a queue are busy.
func AwaitNoWorkers(t testing.TB, source backlog.Source, q backlog.Query, want error) {
	t.Helper()
	q.Workers = true
	redistest.Eventually(t, "it is not known which workers are busy", func() bool {
		return errors.Is(backlogtest.Read(t, source, q)[0].Err, want)
	})
}

// Hostname returns the name of this host, by which workers name themselves.
func Hostname(t testing.TB) string {
	t.Helper()
	name, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	return name
}
