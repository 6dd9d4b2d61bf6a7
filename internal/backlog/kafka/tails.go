package kafka

import (
	"context"
	"sync"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/wakes"
)

const (
	// armedLife is how long a query is woken after it was read last. One that is armed is read every
	// ten seconds.
	armedLife = 3 * time.Minute
	// deniedRetry is how long a topic is polled without READ before it is fetched again.
	deniedRetry = time.Minute
)

// tails are those of all brokers. Several goroutines may use it.
type tails struct {
	sender *sender
	wakes  *wakes.Queue
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
	found map[span]finding
}

func newTails(life context.Context, s *sender, w *wakes.Queue) *tails {
	return &tails{sender: s, wakes: w, life: life, byBroker: make(map[int32]*tail), denied: make(map[string]time.Time), found: make(map[span]finding)}
}

// close waits for the goroutines. Their context has ended.
func (a *tails) close() {
	a.mu.Lock()
	a.closed = true
	a.mu.Unlock()
	a.tasks.Wait()
}

// of returns the tail of a broker; nil after close.
func (a *tails) of(broker int32) *tail {
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
func (a *tails) remove(t *tail) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if t.hasWork() {
		return false
	}
	delete(a.byBroker, t.broker)
	return true
}

// arm waits at the end of a partition for a query, and reports whether each change from now on wakes
// it.
func (a *tails) arm(broker int32, at place, end int64, q backlog.Query, now time.Time) bool {
	if a.isDenied(at.topic, now) {
		return false
	}
	// Between of and arm the tail may end, which takes a minute without work; then nothing is armed.
	t := a.of(broker)
	return t != nil && t.arm(at, end, q, now)
}

// wake wakes the queries of a spot, except one.
func (a *tails) wake(s *spot, except backlog.Query) {
	queries := make([]backlog.Query, 0, len(s.queries))
	for q := range s.queries {
		if q != except {
			queries = append(queries, q)
		}
	}
	a.wakes.Wake(queries)
}

// deny notes that the user may not read a topic.
func (a *tails) deny(topic string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.denied[topic] = time.Now()
}

func (a *tails) isDenied(topic string, now time.Time) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	since, denied := a.denied[topic]
	return denied && now.Sub(since) < deniedRetry
}

// deniedTopic returns a topic that the user may not read; "" if there is none.
func (a *tails) deniedTopic(now time.Time) string {
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

// sweep forgets what is not used any more.
func (a *tails) sweep(now time.Time) {
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
		if now.Sub(f.used) > armedLife {
			delete(a.found, s)
		}
	}
	a.mu.Unlock()
	for _, t := range all {
		t.sweep(now.Add(-armedLife))
	}
}
