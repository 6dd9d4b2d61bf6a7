package redis

import (
	"strings"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/conn/topology"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/layout"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/resp"
)

// settle makes something of the replies to a job. It tells whether they show that
// the topology has changed, and whether the job needs another trip.
func (s *reader) settle(j *job, b *batch, now, at time.Time, results []backlog.Result) (moved, more bool) {
	j.redirects = nil
	if err := b.failure(j); err != nil {
		return s.unanswered(j, err, results)
	}
	replies := b.replies[j.from:j.to]
	if j.looks > 0 && j.notRun(replies, now) {
		return false, true
	}
	for i := range replies {
		switch s.take(j, b, i, results) {
		case replyFails:
			return false, false
		case replyRepeats:
			return false, true
		case replyCounts, replyMoves:
		}
	}
	if j.redirects != nil {
		// All its commands are sent again.
		j.armed, j.epoch = true, ""
		return false, true
	}
	// By the moment of the answer: what was seen is no older than that.
	var o layout.Outcome
	if j.looks == 0 {
		o = j.step.Outcome(replies, at)
	} else {
		o = j.lookedAgain(replies, now, at)
	}
	j.note(b.commands[j.from:j.to])
	switch {
	case o.Next != nil:
		j.step = o.Next
		return false, true
	case o.Err != nil:
		s.fail(j, o.Err, results)
	case j.doubts(&o.Reading):
		j.lookAgain()
		return false, true
	default:
		s.conclude(j, &o.Reading, now, at, results)
	}
	return false, false
}

// What a reply means for its job.
type replyMeaning uint8

const (
	// replyCounts is one that the step of the job concludes from.
	replyCounts replyMeaning = iota
	// replyMoves is one that names the server that has the key.
	replyMoves
	// replyRepeats is one after which the job asks something else.
	replyRepeats
	// replyFails is one that ends the job with an error.
	replyFails
)

// take looks at the reply to the command at a place of a job.
func (s *reader) take(j *job, b *batch, i int, results []backlog.Result) replyMeaning {
	c, r := &b.commands[j.from+i], b.replies[j.from+i]
	if r.Err != nil {
		if to, redirected := topology.RedirectOf(r.Err, b.from(j.from+i)); redirected {
			if s.follow(j, i, to, c.Key) {
				return replyMoves
			}
			s.fail(j, r.Err, results)
			return replyFails
		}
		if resp.HasCode(r.Err, "WRONGTYPE") && !isTypeStep(j.step) && i < j.to-j.from-int(j.counters) {
			j.step, j.redirects = &typeStep{key: c.Key, layout: j.plan.query.Layout}, nil
			return replyRepeats
		}
	}
	j.armed = j.armed && (r.Armed || c.KeyType == 0)
	if j.trips == 0 && i < j.own {
		// Further steps are taken of an empty queue only, and may ask other servers: what is
		// known of a queue must not look like other data because it has become empty.
		j.noteEpoch(r.Server.Epoch)
	}
	return replyCounts
}

// conclude makes a reading the result of a job.
func (s *reader) conclude(j *job, r *backlog.Reading, now, at time.Time, results []backlog.Result) {
	s.hint(j.plan, r, now)
	s.worked.Store(true)
	r.At = at
	r.Epoch = j.epoch
	j.plan.note(r)
	armed, changed := j.plan.stillArmed(j.armed)
	j.plan.keep(r, armed, changed)
	j.plan.tally.complete(r)
	// In place: a result is large, and there may be ten thousand.
	result := &results[j.index]
	result.Reading, result.Err = *r, nil
	result.Armed, result.Changed, result.Pending = armed, changed || j.changed, j.pending
}

// noteEpoch adds the epoch of a server that answered. A query whose keys lie on
// several servers has an epoch made of theirs.
func (j *job) noteEpoch(epoch string) {
	switch {
	case j.epoch == "":
		j.epoch = epoch
	case !strings.Contains(j.epoch, epoch):
		j.epoch += "+" + epoch
	}
}
