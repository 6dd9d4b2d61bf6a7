// Package quota bounds the queues that the triggers of one namespace read over one connection, of
// those triggers that name several queues or patterns.
package quota

import (
	"fmt"
	"sync"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
)

const (
	// PerNamespace is the number of queues of one namespace. Each takes some 2 KiB.
	PerNamespace = 20_000
	// nameUnit is how many bytes of a name count as one more queue.
	nameUnit = 256
	// Life is how long the queues of a query count that is not read any more. One whose queues are
	// idle and armed is read at least once in a minute.
	Life = 3 * time.Minute
	// Retry is how long a trigger with too many queues is refused before they are counted again.
	Retry = 30 * time.Second
)

// A Quota counts the queues of each namespace. Several goroutines may use it.
type Quota struct {
	// mu guards used, the number of queues by namespace.
	mu   sync.Mutex
	used map[string]int
}

// New returns an unused quota.
func New() *Quota { return &Quota{used: make(map[string]int)} }

// weight is what a queue counts for.
func weight(queue string) int { return 1 + len(queue)/nameUnit }

// Reserve reports whether a namespace may read one more queue, and counts it.
func (q *Quota) Reserve(namespace, queue string) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	n := weight(queue)
	if q.used[namespace]+n > PerNamespace {
		return false
	}
	q.used[namespace] += n
	return true
}

// MayFit reports whether there is room for queues at present.
func (q *Quota) MayFit(namespace string, queues []string) bool {
	sum := 0
	for _, queue := range queues {
		sum += weight(queue)
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	return sum <= PerNamespace-q.used[namespace]
}

// Release returns queues that were reserved.
func (q *Quota) Release(namespace string, queues ...string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, queue := range queues {
		q.used[namespace] -= weight(queue)
	}
	if q.used[namespace] == 0 {
		delete(q.used, namespace)
	}
}

// Error is that of a trigger whose queues are more than its namespace may have.
func Error(namespace string) error {
	return fmt.Errorf("%w: the triggers of namespace %q that name several queues, or patterns, have more than %d queues on this connection, want at most that many",
		backlog.ErrExhausted, namespace, PerNamespace)
}
