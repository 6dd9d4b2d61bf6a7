package sampler

import (
	"slices"
	"strings"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
)

// Wake treats a queue of a connection as changed, as if its engine had noticed that. It returns the
// number of queries that may read the queue; zero also if there is no such connection.
func (s *Sampler) Wake(connection, queue string) int {
	l, err := s.loop(connection)
	if err != nil {
		return 0
	}
	// Matching takes longer than a copy, and the loop does not wait for it.
	queries := slices.DeleteFunc(l.queries(), func(q backlog.Query) bool { return !mayRead(q, queue) })
	if len(queries) > 0 {
		l.notify(backlog.Wake{Queries: queries})
	}
	return len(queries)
}

// queries returns what is read.
func (l *connectionLoop) queries() []backlog.Query {
	l.mu.Lock()
	defer l.mu.Unlock()
	queries := make([]backlog.Query, 0, len(l.watches))
	for q := range l.watches {
		queries = append(queries, q)
	}
	return queries
}

// mayRead reports whether a query reads a queue. It takes the text for one of backlog.Queues also where
// the layout does not: what is then read in vain costs one read.
func mayRead(q backlog.Query, queue string) bool {
	if q.Queue == queue || !strings.ContainsAny(q.Queue, `,*?\`) {
		return q.Queue == queue
	}
	all, err := backlog.ParseQueues(q.Queue)
	return err == nil && slices.ContainsFunc(all, func(name string) bool {
		return backlog.IsPattern(name) && backlog.Match(name, queue) || backlog.Unescape(name) == queue
	})
}
