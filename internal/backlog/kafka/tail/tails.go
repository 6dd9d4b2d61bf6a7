// Package tail waits at the ends of partitions of Apache Kafka, which is how the engine notices new
// messages, and looks into the few offsets that may be no messages.
package tail

import (
	"context"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/wakes"
)

const (
	// Life is how long a query is woken after it was read last. One that is armed is read every
	// ten seconds.
	Life = 3 * time.Minute
	// deniedRetry is how long a topic is polled without READ before it is fetched again.
	deniedRetry = time.Minute
)

// Brokers are those of a cluster. Several goroutines use them.
type Brokers interface {
	// Fetch sends a fetch to a broker and waits for its answer, on a connection that is for fetches
	// alone. The error of a broker that is known to be silent comes at once.
	Fetch(ctx context.Context, broker int32, r *kmsg.FetchRequest) (*kmsg.FetchResponse, error)
	// Silence notes that a broker does not answer.
	Silence(broker int32)
}

// Tails are those of all brokers. Several goroutines may use it.
type Tails struct {
	brokers Brokers
	wakes   *wakes.Queue
	// life ends the goroutines of tails.
	life context.Context //nolint:containedctx // it is the life of the goroutines that reads start

	mu     sync.Mutex
	tasks  sync.WaitGroup
	closed bool
	// byBroker are the tails that run.
	byBroker map[int32]*tail
	// denied are topics that the user may not read, with the time of the refusal.
	denied map[string]time.Time
	// found are the ranges that were looked into.
	found map[Span]Finding
}

// New returns the tails of a cluster. Their goroutines end with life.
func New(life context.Context, b Brokers, w *wakes.Queue) *Tails {
	return &Tails{brokers: b, wakes: w, life: life, byBroker: make(map[int32]*tail), denied: make(map[string]time.Time), found: make(map[Span]Finding)}
}

// Close waits for the goroutines. Their context has ended.
func (a *Tails) Close() {
	a.mu.Lock()
	a.closed = true
	a.mu.Unlock()
	a.tasks.Wait()
}

// of returns the tail of a broker; nil after Close.
func (a *Tails) of(broker int32) *tail {
	a.mu.Lock()
	defer a.mu.Unlock()
	t := a.byBroker[broker]
	if t == nil && !a.closed {
		t = newTail(broker, a)
		a.byBroker[broker] = t
		a.tasks.Go(func() { t.run(a.life) })
	}
	return t
}

// remove forgets a tail without work. It reports whether there was none.
func (a *Tails) remove(t *tail) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if t.hasWork() {
		return false
	}
	delete(a.byBroker, t.broker)
	return true
}

// Arm waits at the end of a partition for a query, and reports whether each change from now on wakes
// it.
func (a *Tails) Arm(broker int32, at Place, end int64, q backlog.Query, now time.Time) bool {
	if a.isDenied(at.Topic, now) {
		return false
	}
	// Between of and arm the tail may end, which takes a minute without work; then nothing is armed.
	t := a.of(broker)
	return t != nil && t.arm(at, end, q, now)
}

// wake wakes the queries of a spot, except one.
func (a *Tails) wake(s *spot, except backlog.Query) {
	queries := make([]backlog.Query, 0, len(s.queries))
	for q := range s.queries {
		if q != except {
			queries = append(queries, q)
		}
	}
	a.wakes.Wake(queries)
}

// deny notes that the user may not read a topic.
func (a *Tails) deny(topic string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.denied[topic] = time.Now()
}

func (a *Tails) isDenied(topic string, now time.Time) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	since, denied := a.denied[topic]
	return denied && now.Sub(since) < deniedRetry
}

// DeniedTopic returns a topic that the user may not read; "" if there is none.
func (a *Tails) DeniedTopic(now time.Time) string {
	a.mu.Lock()
	defer a.mu.Unlock()
	first := ""
	for topic, since := range a.denied {
		if now.Sub(since) < 2*deniedRetry && (first == "" || topic < first) {
			first = topic
		}
	}
	return first
}

// Sweep forgets what is not used any more.
func (a *Tails) Sweep(now time.Time) {
	a.mu.Lock()
	all := make([]*tail, 0, len(a.byBroker))
	for _, t := range a.byBroker {
		all = append(all, t)
	}
	for topic, since := range a.denied {
		if now.Sub(since) > 2*deniedRetry {
			delete(a.denied, topic)
		}
	}
	for s, f := range a.found {
		if now.Sub(f.used) > Life {
			delete(a.found, s)
		}
	}
	a.mu.Unlock()
	for _, t := range all {
		t.sweep(now.Add(-Life))
	}
}
