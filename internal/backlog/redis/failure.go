package redis

import (
	"errors"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/conn"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/conn/topology"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/keyscan"
)

// unanswered makes something of a job of which a command was not answered; see settle.
func (s *reader) unanswered(j *job, err error, results []backlog.Result) (moved, more bool) {
	switch {
	case errors.Is(err, topology.ErrNoOwner):
		// Nothing more is known by asking now, and others may be waiting.
		s.topology.TriggerRefresh()
	case s.cfg.Mode != conn.ModeStandalone:
		// It may be another server by now; the error stands if it is not.
		results[j.index].Err = err
		return true, true
	}
	s.fail(j, err, results)
	return false, false
}

// giveUp fails jobs whose server did not answer although it is the right one.
func (s *source) giveUp(jobs []job, results []backlog.Result) []job {
	rest := jobs[:0]
	for i := range jobs {
		if err := results[jobs[i].index].Err; err != nil {
			s.fail(&jobs[i], err, results)
			continue
		}
		rest = append(rest, jobs[i])
	}
	return rest
}

// fail makes err the result of a job.
func (s *source) fail(j *job, err error, results []backlog.Result) {
	if known := results[j.index].Err; known != nil && errors.Is(err, topology.ErrNotFound) {
		err = known
	}
	_, _ = j.plan.stillArmed(false)
	j.plan.empty = false
	failure := &backlog.ReadError{Query: j.plan.query, Connection: s.connection, Err: err}
	if of, whole := errors.AsType[*connectionError](err); whole {
		failure.Err, failure.Whole = of, true
	} else {
		failure.Err = s.advised(err)
	}
	results[j.index] = backlog.Result{Err: failure, Pending: errors.Is(err, keyscan.ErrNotSearched)}
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

// follow makes the command at a place of a job go to another server, and reports whether
// that is possible: one that is no node of a cluster is not the server that the settings say
// it is. A slot that has moved for good is read there for the rest of the read, and the
// topology is asked for soon: following does not wait for it.
func (s *reader) follow(j *job, place int, to topology.Redirect, key string) bool {
	if s.cfg.Mode == conn.ModeStandalone || to.Address == "" {
		return false
	}
	if j.redirects == nil {
		j.redirects = make(map[int]topology.Redirect)
	}
	j.redirects[place] = to
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
