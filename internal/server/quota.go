package server

import (
	"errors"
	"fmt"
	"strings"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
)

// errQuota is something of which a namespace, or all of them together, hold as much as
// they may.
var errQuota = errors.New("limit reached")

// Defaults of Options. A trigger with its two streams takes some 35 KiB, so that one
// namespace at its limit takes 70 MiB.
const (
	defaultMaxTriggers             = 100_000
	defaultMaxTriggersPerNamespace = 2000
	// streamsPerTrigger is how many streams there may be for each trigger: KEDA holds two,
	// and opens new ones before it has closed those of a connection that it gave up.
	streamsPerTrigger = 3

	// metadataPerTrigger is how many KiB of metadata there may be for each trigger, of all
	// triggers of a namespace together. One trigger may have 64.
	metadataPerTrigger = 4

	// A connection without a stream takes some 50 KiB.
	defaultMaxConnections = 1000
	// A stream takes some 14 KiB, so that a pod that holds so many has more memory than the
	// chart gives it unasked.
	defaultMaxStreamsPerConnection = 40_000
)

// A quota limits how much of one kind each namespace holds, and all of them together.
type quota struct {
	kind string
	// flag is the flag that sets the limit of a namespace, for errors.
	flag                string
	perNamespace, total int
	refusals            prometheus.Counter

	// mu guards what follows. It is a leaf: nothing else is locked while it is held.
	mu   sync.Mutex
	held map[string]int
	all  int
}

func newQuota(kind, flag string, perNamespace, total int, refusals *prometheus.CounterVec) *quota {
	return &quota{kind: kind, flag: flag, perNamespace: perNamespace, total: total, refusals: refusals.WithLabelValues(kind[strings.LastIndexByte(kind, ' ')+1:]), held: map[string]int{}}
}

// acquire takes one for a namespace. The error wraps errQuota.
func (q *quota) acquire(namespace string) error { return q.take(namespace, 1) }

// take takes n for a namespace. The error wraps errQuota.
func (q *quota) take(namespace string, n int) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	switch {
	case q.held[namespace]+n > q.perNamespace:
		q.refusals.Inc()
		return fmt.Errorf("%w: namespace %q has %d %s already; --%s sets how many it may have", errQuota, namespace, q.held[namespace], q.kind, q.flag)
	case q.all+n > q.total:
		q.refusals.Inc()
		return fmt.Errorf("%w: there are %d %s already; --max-triggers sets how many there may be", errQuota, q.all, q.kind)
	}
	q.held[namespace] += n
	q.all += n
	return nil
}

// release gives one of a namespace back.
func (q *quota) release(namespace string) { q.give(namespace, 1) }

// give gives n of a namespace back.
func (q *quota) give(namespace string, n int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.all -= n
	q.held[namespace] -= n
	if q.held[namespace] == 0 {
		delete(q.held, namespace)
	}
}
