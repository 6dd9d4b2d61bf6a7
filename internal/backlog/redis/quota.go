package redis

import (
	"fmt"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
)

const (
	// queuesPerNamespace is how many queues all triggers of one namespace may read over one
	// connection, of those triggers that name several or patterns. Each takes some 2 KiB.
	queuesPerNamespace = 20_000
	// nameUnit is how many bytes of a name count as one more queue.
	nameUnit = 256
	// idleMultiQueue is how long a trigger keeps its queues when another one needs
	// it: one that is idle and armed is read at least once in a minute.
	idleMultiQueue = 3 * time.Minute
)

// A quota counts the queues of each namespace. The goroutine that reads owns it.
type quota struct {
	used    map[string]int
	members map[*multiQueue]struct{}
	// swept is when a namespace was last looked through for queues that are not read any more.
	swept map[string]time.Time
}

func newQuota() *quota {
	return &quota{used: make(map[string]int), members: make(map[*multiQueue]struct{}), swept: make(map[string]time.Time)}
}

// weight is what a queue counts for.
func weight(queue string) int { return 1 + len(queue)/nameUnit }

// reserve reports whether s may read one more queue, and counts it. Where there is no room,
// triggers of the namespace lose their queues that are not read any more.
func (l *quota) reserve(s *multiQueue, queue string, now time.Time) bool {
	namespace, n := s.query.Namespace, weight(queue)
	if l.used[namespace]+n > queuesPerNamespace && now.Sub(l.swept[namespace]) > time.Second {
		l.swept[namespace] = now
		for other := range l.members {
			if other != s && other.query.Namespace == namespace && now.Sub(other.read) > idleMultiQueue {
				other.release()
			}
		}
	}
	if l.used[namespace]+n > queuesPerNamespace {
		return false
	}
	l.used[namespace] += n
	l.members[s] = struct{}{}
	return true
}

// mayFit reports whether there may be room for queues, without searching those that could go.
func (l *quota) mayFit(s *multiQueue, queues []string, now time.Time) bool {
	sum := 0
	for _, queue := range queues {
		sum += weight(queue)
	}
	return sum <= queuesPerNamespace-l.used[s.query.Namespace] || len(l.members) > 0 && now.Sub(l.swept[s.query.Namespace]) > excessRetry
}

// release returns one queue of s.
func (l *quota) release(s *multiQueue, queue string) {
	namespace := s.query.Namespace
	if l.used[namespace] -= weight(queue); l.used[namespace] == 0 {
		delete(l.used, namespace)
		delete(l.swept, namespace)
	}
}

// errManyQueues is a trigger whose queues are more than its namespace may have.
func errManyQueues(namespace string) error {
	return fmt.Errorf("%w: the triggers of namespace %q that name several queues, or patterns, have more than %d queues on this connection, want at most that many",
		backlog.ErrExhausted, namespace, queuesPerNamespace)
}
