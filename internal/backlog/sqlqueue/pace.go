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
)

// A Pace holds the results of slow queries for nine times as long as they took. So no trigger loads the
// server for more than a tenth of the time, or keeps others waiting. One goroutine at a time uses it.
type Pace struct{ held map[backlog.Query]heldResult }

// A heldResult holds until then.
type heldResult struct {
	reading backlog.Reading
	err     error
	until   time.Time
}

// Sweep forgets the results that hold no more.
func (p *Pace) Sweep(now time.Time) {
	for q, result := range p.held {
		if now.After(result.until) {
			delete(p.held, q)
		}
	}
}

// Held returns the result of a query that still holds.
func (p *Pace) Held(q backlog.Query) (reading backlog.Reading, err error, holds bool) { //nolint:revive // the error is a result that is held
	result, holds := p.held[q]
	return result.reading, result.err, holds
}

// Note notes a result and how long it took.
func (p *Pace) Note(q backlog.Query, reading backlog.Reading, err error, took time.Duration, now time.Time) {
	if took <= slowQuery {
		return
	}
	if p.held == nil {
		p.held = make(map[backlog.Query]heldResult)
	}
	p.held[q] = heldResult{reading: reading, err: err, until: now.Add((slowShare - 1) * took)}
}
