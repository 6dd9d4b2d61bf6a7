package jetstream

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
)

// conclude sets the result of a job.
func (b *batch) conclude(j *job, now time.Time) {
	switch {
	case j.err != nil:
		return
	case errors.Is(j.stream.err, errNoStream):
		j.result.Reading = backlog.Reading{At: now, Missing: true, InFlight: backlog.Exactly(0)}
		return
	case j.stream.err != nil:
		j.err = j.stream.err
		return
	case errors.Is(j.consumer.err, errNoStream):
		// It was created or deleted in between.
		j.err = fmt.Errorf("%w: one answer has the stream and another has not", backlog.ErrPartial)
		return
	case j.consumer.err != nil:
		j.err = j.consumer.err
		return
	}
	info := j.stream.info
	if j.consumer.missing {
		j.result.Reading = judgeMissing(info, j.spec.consumer, j.spec.filters, j.spec.matching(info, j.counts), now)
	} else {
		j.result.Reading = judge(info, j.consumer.info, now)
		j.err = b.believe(j, now)
	}
	j.result.Reading.Epoch = b.epoch(j.spec.stream, info, now)
}

// believe returns errUncounted if nothing is pending or in flight and that is not certain. It is once the
// answer was the same for as long as counting takes.
func (b *batch) believe(j *job, now time.Time) error {
	if j.result.Reading.Backlog() > 0 {
		j.spec.empty = time.Time{}
		return nil
	}
	if j.spec.empty.IsZero() {
		j.spec.empty = now
	}
	if b.began.Sub(j.spec.empty) < counting && !provesEmpty(j.stream.info, j.consumer.info) {
		return errUncounted
	}
	return nil
}

// subscribe subscribes to the messages of idle queues, and arms those that are subscribed already.
func (b *batch) subscribe(ctx context.Context) {
	if b.cfg.poll {
		return
	}
	// The library waits for the server if its buffers are full.
	defer context.AfterFunc(ctx, b.session.unblock)()
	unconfirmed := false
	now := time.Now()
	for _, j := range b.jobs {
		if j.err != nil || j.result.Reading.Missing || j.result.Reading.Backlog() > 0 {
			continue
		}
		filters := j.spec.filters
		if !j.consumer.missing {
			filters = j.consumer.info.filters()
		}
		subjects, reason := wakeSubjects(b.cfg, j.stream.info, filters)
		if reason == "" && b.session.wakes.armed(j.spec.query, subjects, b.began) && b.session.Alive() {
			j.result.Armed = true
			b.note(j.spec.query, "")
			continue
		}
		if reason == "" {
			var open bool
			open, reason = b.session.wakes.subscribe(b.session.conn, j.spec.query, subjects, now)
			unconfirmed = unconfirmed || open
		}
		b.note(j.spec.query, reason)
	}
	if unconfirmed && b.session.flush(ctx, b.cfg.answer) == nil {
		b.session.wakes.confirm(time.Now())
	}
}

// sweepInterval is the time between two searches for what is not read any more, and forgetAfter is for
// how long that is remembered.
const (
	sweepInterval = time.Minute
	forgetAfter   = 10 * time.Minute
)

// sweep forgets what is not read any more.
func (s *source) sweep(now time.Time) {
	if now.Sub(s.swept) < sweepInterval {
		return
	}
	s.swept = now
	session := s.connector.existing()
	for q, spec := range s.specs {
		if now.Sub(spec.used) <= forgetAfter {
			continue
		}
		delete(s.specs, q)
		s.note(q, "")
		if session != nil {
			session.wakes.forget(q)
		}
	}
	for subject, at := range s.silent {
		if now.Sub(at) > forgetAfter {
			delete(s.silent, subject)
		}
	}
	for name, l := range s.lives {
		if now.Sub(l.used) > forgetAfter {
			delete(s.lives, name)
		}
	}
}
