package redis

import (
	"errors"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/conn"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/conn/topology"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/keyscan"
)

// concludeUnanswered is conclude for a query with a command that was not answered.
func (s *reader) concludeUnanswered(p *pendingQuery, err error, results []backlog.Result) (moved, more bool) {
	switch {
	case errors.Is(err, topology.ErrNoOwner):
		// Nothing more is known by asking now, and others may be waiting.
		s.topology.TriggerRefresh()
	case s.cfg.Mode != conn.ModeStandalone:
		// It may be another server by now; the error stands if it is not.
		results[p.index].Err = err
		return true, true
	}
	s.fail(p, err, results)
	return false, false
}

// giveUp fails queries whose server did not answer although it is the right one.
func (s *source) giveUp(pending []pendingQuery, results []backlog.Result) []pendingQuery {
	rest := pending[:0]
	for i := range pending {
		if err := results[pending[i].index].Err; err != nil {
			s.fail(&pending[i], err, results)
			continue
		}
		rest = append(rest, pending[i])
	}
	return rest
}

// fail makes err the result of a query.
func (s *source) fail(p *pendingQuery, err error, results []backlog.Result) {
	if known := results[p.index].Err; known != nil && errors.Is(err, topology.ErrNotFound) {
		err = known
	}
	_, _ = p.plan.stillArmed(false)
	p.plan.empty = false
	failure := &backlog.ReadError{Query: p.plan.query, Connection: s.connection, Err: err}
	if of, whole := errors.AsType[*connectionError](err); whole {
		failure.Err, failure.Whole = of, true
	} else {
		failure.Err = s.advised(err)
	}
	results[p.index] = backlog.Result{Err: failure, Pending: errors.Is(err, keyscan.ErrNotSearched)}
}

// A connectionError is why nothing could be read over a connection, with its reason and
// with what to change. All queries of a batch share it, so that the advice is looked for
// once.
type connectionError struct{ error }

// Unwrap returns the advised error.
func (e *connectionError) Unwrap() error { return e.error }

// ofConnection returns err as the reason of every query that needs the connection.
func (s *source) ofConnection(err error) error {
	if err == nil {
		return nil
	}
	return &connectionError{s.advised(err)}
}

// follow makes the command at a place of a query go to another server, and reports whether
// that is possible: one that is no node of a cluster is not the server that the settings say
// it is. A slot that has moved for good is read there for the rest of the read, and the
// topology is asked for soon: following does not wait for it.
func (s *reader) follow(p *pendingQuery, place int, to topology.Redirect, key string) bool {
	if s.cfg.Mode == conn.ModeStandalone || to.Address == "" {
		return false
	}
	if p.redirects == nil {
		p.redirects = make(map[int]topology.Redirect)
	}
	p.redirects[place] = to
	if to.Asking {
		return true
	}
	if s.moved == nil {
		s.moved = make(map[int]string)
	}
	s.moved[topology.SlotOf(key)] = to.Address
	s.topology.TriggerRefresh()
	return true
}
