package sqlqueue

import (
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
)

const (
	// slowQuery is from when on a query of a user is slow.
	slowQuery = 100 * time.Millisecond
	// slowShare is the share of the time that a slow query may take: a tenth.
	slowShare = 10
	// remembered is for how long it counts that a query was slow.
	remembered = 10 * time.Minute
)

// A Pace holds the results of slow queries for nine times as long as they took. So no trigger loads the
// server for more than a tenth of the time, or keeps others waiting. A query is as slow as the faster of
// its last two runs: a single one may have waited for a server that did not answer for a while, and its
// result would hold although nothing is slow any more. One goroutine at a time uses it.
type Pace struct{ slow map[backlog.Query]slowResult }

// A slowResult holds until then. The run took so long, and ended at a time.
type slowResult struct {
	reading   backlog.Reading
	err       error
	until, at time.Time
	took      time.Duration
}

// Sweep forgets queries that were slow long ago.
func (p *Pace) Sweep(now time.Time) {
	for q, result := range p.slow {
		if now.Sub(result.at) > remembered && now.After(result.until) {
			delete(p.slow, q)
		}
	}
}

// Held returns the result of a query that still holds.
func (p *Pace) Held(q backlog.Query, now time.Time) (reading backlog.Reading, err error, holds bool) { //nolint:revive // the error is a result that is held
	result, known := p.slow[q]
	if !known || !now.Before(result.until) {
		return backlog.Reading{}, nil, false
	}
	return result.reading, result.err, true
}

// Note notes a result and how long it took.
func (p *Pace) Note(q backlog.Query, reading backlog.Reading, err error, took time.Duration, now time.Time) {
	if took <= slowQuery {
		delete(p.slow, q)
		return
	}
	if p.slow == nil {
		p.slow = make(map[backlog.Query]slowResult)
	}
	hold := (slowShare - 1) * min(took, p.slow[q].took)
	p.slow[q] = slowResult{reading: reading, err: err, until: now.Add(hold), at: now, took: took}
}
