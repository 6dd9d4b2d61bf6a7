package sampler

import (
	"slices"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
)

// A contact is a batch of reads that reached the engine.
type contact struct {
	at   time.Time
	took time.Duration
}

// contacted records a batch if any of its results comes from the engine.
func (l *connectionLoop) contacted(at time.Time, took time.Duration, results []backlog.Result) {
	if slices.ContainsFunc(results, func(r backlog.Result) bool { return !isUnavailable(r.Err) }) {
		l.lastContact.Store(&contact{at: at, took: took})
	}
}

// Connections returns the state of all connections, ordered by name, from memory.
func (s *Sampler) Connections() []backlog.ConnectionState {
	var all []backlog.ConnectionState
	for _, l := range s.all() {
		source := l.source.Load()
		state := backlog.ConnectionState{Name: l.name, Engine: source.engine, Namespaces: source.namespaces, Status: source.Status()}
		if last := l.lastContact.Load(); last != nil {
			state.LastContact, state.Took = last.at, last.took
		}
		l.addFailures(&state)
		all = append(all, state)
	}
	return all
}

// addFailures adds the number of queues and how they fail.
func (l *connectionLoop) addFailures(state *backlog.ConnectionState) {
	l.mu.Lock()
	defer l.mu.Unlock()
	state.Queues, state.Failing = len(l.watches), len(l.failing)
	for w := range l.failing {
		seen := l.observation(w)
		if seen.Err != nil && (state.Err == nil || seen.FailingSince.Before(state.FailingSince)) {
			state.FailingSince, state.Err = seen.FailingSince, seen.Err
		}
	}
}
