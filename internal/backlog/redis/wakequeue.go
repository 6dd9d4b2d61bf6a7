package redis

import (
	"context"
	"sync"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
)

// wakeQueue collects wake-ups until they are taken. Adding never waits, and what is
// added before it is taken becomes one Wake.
type wakeQueue struct {
	out chan backlog.Wake
	// signal holds a value while there may be something to take.
	signal chan struct{}

	// mu guards what is collected: listeners add, forward takes.
	mu         sync.Mutex
	queries    map[backlog.Query]struct{}
	everything bool
}

func newWakeQueue() *wakeQueue {
	return &wakeQueue{
		out:     make(chan backlog.Wake),
		signal:  make(chan struct{}, 1),
		queries: make(map[backlog.Query]struct{}),
	}
}

// Wake collects queries that may have changed.
func (w *wakeQueue) Wake(queries []backlog.Query) {
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
func (w *wakeQueue) WakeAll() {
	w.mu.Lock()
	w.everything = true
	w.mu.Unlock()
	w.notify()
}

func (w *wakeQueue) notify() {
	select {
	case w.signal <- struct{}{}:
	default:
	}
}

// forward hands out what is collected until ctx ends, and closes the channel then.
func (w *wakeQueue) forward(ctx context.Context) {
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

func (w *wakeQueue) take() (wake backlog.Wake, some bool) {
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
