// Package wakes collects wake-ups between those that notice changes and the one that reads.
package wakes

import (
	"context"
	"sync"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
)

// A Queue collects wake-ups until they are taken. Adding never waits, and what is
// added before it is taken becomes one Wake.
type Queue struct {
	out chan backlog.Wake
	// signal holds a value while there may be something to take.
	signal chan struct{}

	// mu guards what is collected: listeners add, Run takes.
	mu         sync.Mutex
	queries    map[backlog.Query]struct{}
	everything bool
}

// New returns a queue without wake-ups.
func New() *Queue {
	return &Queue{
		out:     make(chan backlog.Wake),
		signal:  make(chan struct{}, 1),
		queries: make(map[backlog.Query]struct{}),
	}
}

// Wake collects queries that may have changed.
func (w *Queue) Wake(queries []backlog.Query) {
	if len(queries) == 0 {
		return
	}
	w.mu.Lock()
	for _, q := range queries {
		w.queries[q] = struct{}{}
	}
	w.mu.Unlock()
	w.notify()
}

// WakeAll notes that everything may have changed.
func (w *Queue) WakeAll() {
	w.mu.Lock()
	w.everything = true
	w.mu.Unlock()
	w.notify()
}

func (w *Queue) notify() {
	select {
	case w.signal <- struct{}{}:
	default:
	}
}

// Out delivers what was collected. Run closes it.
func (w *Queue) Out() <-chan backlog.Wake { return w.out }

// Run hands out what is collected until ctx ends, and closes the channel then.
func (w *Queue) Run(ctx context.Context) {
	defer close(w.out)
	for {
		select {
		case <-ctx.Done():
			return
		case <-w.signal:
		}
		wake, some := w.take()
		if !some {
			continue
		}
		select {
		case <-ctx.Done():
			return
		case w.out <- wake:
		}
	}
}

func (w *Queue) take() (wake backlog.Wake, some bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	wake.Everything, w.everything = w.everything, false
	if !wake.Everything {
		wake.Queries = make([]backlog.Query, 0, len(w.queries))
		for q := range w.queries {
			wake.Queries = append(wake.Queries, q)
		}
	}
	clear(w.queries)
	return wake, wake.Everything || len(wake.Queries) > 0
}
