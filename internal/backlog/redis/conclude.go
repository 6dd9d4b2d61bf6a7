package redis

import (
	"strings"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/conn/topology"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/resp"
)

// conclude makes a result, or the next step, of the replies to a query. It reports whether they
// show that the topology has changed, and whether the query needs another round trip.
func (s *reader) conclude(p *pendingQuery, b *batch, now, at time.Time, results []backlog.Result) (moved, more bool) {
	p.redirects = nil
	if err := b.failure(p); err != nil {
		return s.concludeUnanswered(p, err, results)
	}
	replies := b.replies[p.from:p.to]
	if p.reads > 0 && p.wasDiscarded(replies, now) {
		return false, true
	}
	for i := range replies {
		switch s.classify(p, b, i, results) {
		case replyFails:
			return false, false
		case replyRepeats:
			return false, true
		case replyCounts, replyMoves:
		}
	}
	if p.redirects != nil {
		// All its commands are sent again.
		p.armed, p.epoch = true, ""
		return false, true
	}
	// By the moment of the answer: the data is no older than that.
	o := &s.outcome
	if p.reads == 0 {
		p.step.Conclude(replies, at, o)
	} else {
		p.concludeRecheck(replies, now, at, o)
	}
	p.noteSent(b.commands[p.from:p.to])
	switch {
	case o.next != nil:
		p.step = o.next
		return false, true
	case o.err != nil:
		s.fail(p, o.err, results)
	case p.needsRecheck(&o.reading):
		p.startRecheck()
		return false, true
	default:
		s.complete(p, &o.reading, now, at, results)
	}
	return false, false
}

// A replyMeaning is what a reply means for its query.
type replyMeaning uint8

const (
	// replyCounts is one that the step of the query concludes from.
	replyCounts replyMeaning = iota
	// replyMoves is one that names the server that has the key.
	replyMoves
	// replyRepeats is one after which the query asks something else.
	replyRepeats
	// replyFails is one that ends the query with an error.
	replyFails
)

// classify returns what the reply to the command at a place of a query means.
func (s *reader) classify(p *pendingQuery, b *batch, i int, results []backlog.Result) replyMeaning {
	c, r := &b.commands[p.from+i], b.replies[p.from+i]
	if r.Err != nil {
		if to, redirected := topology.RedirectOf(r.Err, b.from(p.from+i)); redirected {
			if s.follow(p, i, to, c.Key) {
				return replyMoves
			}
			s.fail(p, r.Err, results)
			return replyFails
		}
		if resp.HasCode(r.Err, "WRONGTYPE") && !isTypeStep(p.step) && i < p.to-p.from-int(p.counters) {
			p.step, p.redirects = &typeStep{key: c.Key, layout: p.plan.query.Layout}, nil
			return replyRepeats
		}
	}
	p.armed = p.armed && (r.Armed || c.KeyType == 0)
	if p.roundTrips == 0 && i < p.own {
		// Further steps are taken of an empty queue only, and may ask other servers: the data of
		// a queue must not seem to be replaced because the queue has become empty.
		p.noteEpoch(r.Server.Epoch)
	}
	return replyCounts
}

// complete makes a reading the result of a query.
func (s *reader) complete(p *pendingQuery, r *backlog.Reading, now, at time.Time, results []backlog.Result) {
	s.hint(p.plan, r, now)
	s.worked.Store(true)
	r.At = at
	r.Epoch = p.epoch
	if p.plan.query.Workers && r.Workers == nil {
		// No queue matches, so no worker has work.
		r.Workers = make(map[string]bool)
	}
	p.plan.compare(r)
	// Which workers are busy is written to keys that are not watched.
	armed, changed := p.plan.stillArmed(p.armed && !p.plan.query.Workers)
	p.plan.remember(r, armed, changed)
	p.plan.tally.complete(r)
	// In place: a result is large, and there may be ten thousand.
	result := &results[p.index]
	result.Reading, result.Err = *r, nil
	result.Armed, result.Changed, result.Pending = armed, changed || p.changed, p.isPending
}

// noteEpoch adds the epoch of a server that answered. A query whose keys lie on
// several servers has an epoch made of theirs.
func (p *pendingQuery) noteEpoch(epoch string) {
	switch {
	case p.epoch == "":
		p.epoch = epoch
	case !strings.Contains(p.epoch, epoch):
		p.epoch += "+" + epoch
	}
}
