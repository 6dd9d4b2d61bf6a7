// Package quota bounds the queues that the triggers of one namespace read over one connection, of
// those triggers that name several queues or patterns.
package quota

import (
	"fmt"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
)

const (
	// PerNamespace is the number of queues of one namespace. Each takes some 2 KiB.
	PerNamespace = 20_000
	// nameUnit is how many bytes of a name count as one more queue.
	nameUnit = 256
	// idle is how long a holder keeps its queues when another one needs their place: one whose
	// queues are idle and armed is read at least once in a minute.
	idle = 3 * time.Minute
	// sweepInterval is the least time between two searches for holders that are idle.
	sweepInterval = time.Second
	// Retry is how long a trigger with too many queues is refused before they are counted again.
	Retry = 30 * time.Second
)

// A Holder reads several queues of one namespace. It is comparable.
type Holder interface {
	// Namespace is that of its trigger.
	Namespace() string
	// LastRead is when its queues were read last.
	LastRead() time.Time
	// Release makes the holder forget its queues, and calls Release of the quota for each.
	Release()
}

// A Quota counts the queues of each namespace. The goroutine that reads owns it.
type Quota struct {
	used    map[string]int
	holders map[Holder]struct{}
	// swept is when a namespace was last looked through for queues that are not read any more.
	swept map[string]time.Time
}

// New returns an unused quota.
func New() *Quota {
	return &Quota{used: make(map[string]int), holders: make(map[Holder]struct{}), swept: make(map[string]time.Time)}
}

// weight is what a queue counts for.
func weight(queue string) int { return 1 + len(queue)/nameUnit }

// Reserve reports whether a holder may read one more queue, and counts it. Where there is no room,
// holders of the namespace lose their queues that are not read any more.
func (q *Quota) Reserve(h Holder, queue string, now time.Time) bool {
	namespace, n := h.Namespace(), weight(queue)
	if q.used[namespace]+n > PerNamespace && now.Sub(q.swept[namespace]) > sweepInterval {
		q.swept[namespace] = now
		for other := range q.holders {
			if other != h && other.Namespace() == namespace && now.Sub(other.LastRead()) > idle {
				other.Release()
			}
		}
	}
	if q.used[namespace]+n > PerNamespace {
		return false
	}
	q.used[namespace] += n
	q.holders[h] = struct{}{}
	return true
}

// MayFit reports whether there may be room for queues, without searching those that could go.
func (q *Quota) MayFit(h Holder, queues []string, now time.Time) bool {
	sum := 0
	for _, queue := range queues {
		sum += weight(queue)
	}
	return sum <= PerNamespace-q.used[h.Namespace()] || len(q.holders) > 0 && now.Sub(q.swept[h.Namespace()]) > Retry
}

// Release returns one queue of a holder.
func (q *Quota) Release(h Holder, queue string) {
	namespace := h.Namespace()
	if q.used[namespace] -= weight(queue); q.used[namespace] == 0 {
		delete(q.used, namespace)
		delete(q.swept, namespace)
	}
}

// Forget is called when a holder has released all of its queues.
func (q *Quota) Forget(h Holder) { delete(q.holders, h) }

// Error is that of a trigger whose queues are more than its namespace may have.
func Error(namespace string) error {
	return fmt.Errorf("%w: the triggers of namespace %q that name several queues, or patterns, have more than %d queues on this connection, want at most that many",
		backlog.ErrExhausted, namespace, PerNamespace)
}
