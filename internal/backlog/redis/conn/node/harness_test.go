package node

import (
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog/backlogtest"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/conn"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/redistest"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/resp"
)

func TestMain(m *testing.M) {
	backlogtest.Main(m,
		// A client of the tests themselves that was dialling when its server was killed.
		goleak.IgnoreAnyFunction("github.com/redis/go-redis/v9/internal/pool.(*ConnPool).tryDial"),
	)
}

// shortRetry takes the place of a minute.
const shortRetry = 300 * time.Millisecond

// A recorder is a Tracker and a Waker that counts.
type recorder struct {
	mu   sync.Mutex
	keys map[string]int
	all  int
}

func (r *recorder) Invalidate(keys []string, _ time.Time) (fruitless int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, key := range keys {
		r.keys[key]++
	}
	return 0
}

func (r *recorder) Len() int { return 1 }

func (r *recorder) WakeKey(string) {}

func (r *recorder) WakeAll() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.all++
}

// changes returns how often the key jobs was reported, and how often everything was woken.
func (r *recorder) changes() (ofKey, all int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.keys["jobs"], r.all
}

// openNode opens a node that tries again soon what was refused, until the test ends.
func openNode(t *testing.T, address string, change func(*conn.Config)) (*Node, *recorder) {
	t.Helper()
	cfg := &conn.Config{
		Mode: conn.ModeStandalone, Addresses: []string{address}, ClientName: "test", WakeUp: conn.WakeAuto,
		IdlePoll: 100 * time.Millisecond, DialTimeout: time.Minute, AnswerTimeout: time.Minute, UnsupportedRetry: shortRetry,
		Prober: conn.NewProber(),
	}
	change(cfg)
	r := &recorder{keys: make(map[string]int)}
	n := New(cfg, address, r, r, backlogtest.Logger(t))
	t.Cleanup(n.Close)
	return n, r
}

// read returns the reply to LLEN jobs.
func read(t *testing.T, n *Node) resp.Reply {
	t.Helper()
	replies, err := n.Do(t.Context(), []resp.Command{{Key: "jobs", KeyType: 'l', Args: []any{"LLEN", "jobs"}}}, nil)
	if err != nil {
		return resp.Reply{Err: err}
	}
	return replies[0]
}

// arm reads the key jobs until its next change will be reported.
func arm(t *testing.T, n *Node) {
	t.Helper()
	redistest.Eventually(t, "the key is armed", func() bool { return read(t, n).Armed })
}
