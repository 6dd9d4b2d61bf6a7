package server

import (
	"errors"
	"fmt"
	"strings"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
)

// errQuota is a limit that a namespace, or all of them together, have reached.
var errQuota = errors.New("limit reached")

// Defaults of Options. A trigger with its two streams takes some 35 KiB, so one namespace at
// its limit takes 70 MiB.
const (
	defaultMaxTriggers             = 100_000
	defaultMaxTriggersPerNamespace = 2000
	// streamsPerTrigger is the number of streams for each trigger: KEDA holds two, and opens
	// new ones before it closes those of a connection that it gave up.
	streamsPerTrigger = 3

	// metadataPerTrigger is the metadata for each trigger in KiB, summed over the triggers of
	// a namespace. One trigger may have 64.
	metadataPerTrigger = 4

	// A connection without a stream takes some 50 KiB.
	defaultMaxConnections = 1000
	// A stream takes some 14 KiB, so a pod with this many needs more memory than the default
	// of the chart.
	defaultMaxStreamsPerConnection = 40_000
)

// A quota limits what each namespace holds of one kind, and all of them together.
type quota struct {
	kind string
	// flag sets the limit of a namespace; it is named in errors.
	flag                string
	perNamespace, total int
	rejections          prometheus.Counter

	// mu guards what follows. It is a leaf: nothing else is locked while it is held.
	mu   sync.Mutex
	held map[string]int
	all  int
}

func newQuota(kind, flag string, perNamespace, total int, rejections *prometheus.CounterVec) *quota {
	return &quota{kind: kind, flag: flag, perNamespace: perNamespace, total: total, rejections: rejections.WithLabelValues(kind[strings.LastIndexByte(kind, ' ')+1:]), held: map[string]int{}}
}

// acquire adds one to a namespace. The error wraps errQuota.
func (q *quota) acquire(namespace string) error { return q.take(namespace, 1) }

// take adds n to a namespace. The error wraps errQuota.
func (q *quota) take(namespace string, n int) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	switch {
	case q.held[namespace]+n > q.perNamespace:
		q.rejections.Inc()
		return fmt.Errorf("%w: namespace %q already has %d %s, which --%s limits", errQuota, namespace, q.held[namespace], q.kind, q.flag)
	case q.all+n > q.total:
		q.rejections.Inc()
		return fmt.Errorf("%w: there are already %d %s, which --max-triggers limits", errQuota, q.all, q.kind)
	}
	q.held[namespace] += n
	q.all += n
	return nil
}

// release removes one from a namespace.
func (q *quota) release(namespace string) { q.give(namespace, 1) }

// give removes n from a namespace.
func (q *quota) give(namespace string, n int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.all -= n
	q.held[namespace] -= n
	if q.held[namespace] == 0 {
		delete(q.held, namespace)
	}
}
