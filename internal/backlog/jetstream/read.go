package jetstream

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
)

// A batch is one read under way.
type batch struct {
	*source
	session *session
	began   time.Time
	jobs    []*job
	// streams and consumers are what was asked for, each once, by the subject of the request.
	streams   map[string]*streamAnswer
	consumers map[string]*consumerAnswer
}

// A job is one query of a batch.
type job struct {
	spec     *spec
	result   *backlog.Result
	stream   *streamAnswer
	consumer *consumerAnswer
	// counts are the answers of how many messages match each filter, while the consumer does not exist.
	counts []*streamAnswer
	err    error
}

// A streamAnswer is what is known of a stream: the answer, or why there is none.
type streamAnswer struct {
	info *streamInfo
	err  error
}

// A consumerAnswer is what is known of a consumer. It exists unless missing.
type consumerAnswer struct {
	info    *consumerInfo
	missing bool
	err     error
}

// Read implements backlog.Source. All queries share their requests:
//
//  1. Each stream and each consumer is asked for once, with requests that do not wait for each other.
//  2. A stream is asked for again where its consumer does not exist, for the messages that match the
//     filter, or where more messages are pending than it has: these came in between, or the consumer
//     counts wrong.
//  3. Queues that are idle are subscribed to, which the server confirms.
func (s *source) Read(ctx context.Context, queries []backlog.Query, results []backlog.Result) []backlog.Result {
	base := len(results)
	results = append(results, make([]backlog.Result, len(queries))...)
	if len(queries) == 0 {
		return results
	}
	ctx, done, ok := s.begin(ctx)
	if !ok {
		s.fail(queries, results[base:], errClosed)
		return results
	}
	defer done()
	if err := s.read(ctx, queries, results[base:]); err != nil {
		s.log.ErrorContext(ctx, "a read caused a panic", "err", err)
		s.fail(queries, results[base:], fmt.Errorf("%w: %w", backlog.ErrUnavailable, err))
	}
	return results
}

// fail sets an error of the connection as the result of all queries.
func (s *source) fail(queries []backlog.Query, results []backlog.Result, err error) {
	for i, q := range queries {
		results[i] = backlog.Result{Err: &backlog.ReadError{Query: q, Connection: s.cfg.connection, Err: err, Whole: true}}
	}
}

// read reads a batch. The error is a panic.
func (s *source) read(ctx context.Context, queries []backlog.Query, results []backlog.Result) (err error) {
	defer backlog.Contain(&err)
	now := time.Now()
	s.sweep(now)
	session, failure := s.connector.session(ctx)
	if failure != nil {
		s.fail(queries, results, failure)
		return nil
	}
	b := &batch{
		source: s, session: session, began: time.Now(),
		streams: make(map[string]*streamAnswer), consumers: make(map[string]*consumerAnswer),
	}
	for i, q := range queries {
		b.jobs = append(b.jobs, b.newJob(q, &results[i], now))
	}
	b.first(ctx)
	b.second(ctx)
	at := time.Now()
	for _, j := range b.jobs {
		b.conclude(j, at)
	}
	b.subscribe(ctx)
	var pending []backlog.Query
	for i, j := range b.jobs {
		switch {
		case errors.Is(j.err, errUncounted):
			pending = append(pending, queries[i])
		case j.err != nil && j.spec != nil:
			j.spec.empty = time.Time{}
		}
		if j.err != nil {
			results[i] = backlog.Result{
				Err:     &backlog.ReadError{Query: queries[i], Connection: s.cfg.connection, Err: j.err},
				Pending: errors.Is(j.err, errUncounted),
			}
		}
	}
	s.alarms.add(pending, at.Add(counting+time.Millisecond))
	return nil
}

// newJob returns the job of a query.
func (b *batch) newJob(q backlog.Query, result *backlog.Result, now time.Time) *job {
	j := &job{spec: b.specs[q], result: result}
	if j.spec == nil {
		spec, err := newSpec(q)
		if err != nil {
			j.err = err
			return j
		}
		j.spec, b.specs[q] = spec, spec
	}
	j.spec.used = now
	return j
}

// first asks for each stream and each consumer.
func (b *batch) first(ctx context.Context) {
	var questions []question
	ask := func(subject string) { questions = append(questions, b.question(subject, nil)) }
	for _, j := range b.jobs {
		if j.err != nil {
			continue
		}
		stream, consumer := b.cfg.api+"STREAM.INFO."+j.spec.stream, b.cfg.api+"CONSUMER.INFO."+j.spec.stream+"."+j.spec.consumer
		if j.stream = b.streams[stream]; j.stream == nil {
			j.stream = new(streamAnswer)
			b.streams[stream] = j.stream
			ask(stream)
		}
		if j.consumer = b.consumers[consumer]; j.consumer == nil {
			j.consumer = new(consumerAnswer)
			b.consumers[consumer] = j.consumer
			ask(consumer)
		}
	}
	replies := b.session.ask(ctx, questions)
	b.listen(questions, replies)
	bySubject := make(map[string]reply, len(replies))
	for i, q := range questions {
		bySubject[q.subject] = replies[i]
	}
	for _, j := range b.jobs {
		if j.err != nil || j.stream.info != nil || j.stream.err != nil {
			continue
		}
		j.stream.take(bySubject[b.cfg.api+"STREAM.INFO."+j.spec.stream], j.spec.stream)
	}
	for _, j := range b.jobs {
		if j.err == nil && j.consumer.info == nil && j.consumer.err == nil && !j.consumer.missing {
			j.consumer.take(bySubject[b.cfg.api+"CONSUMER.INFO."+j.spec.stream+"."+j.spec.consumer], j.spec)
		}
	}
}

// question returns a request.
func (b *batch) question(subject string, body []byte) question {
	_, doubtful := b.silent[subject]
	return question{subject: subject, body: body, doubtful: doubtful}
}

// listen notes which requests had no answer although the server answers.
func (b *batch) listen(questions []question, replies []reply) {
	for i, q := range questions {
		if replies[i].unanswered {
			b.silent[q.subject] = b.began
		} else if replies[i].data != nil {
			delete(b.silent, q.subject)
		}
	}
}

// take takes over the reply about a stream.
func (a *streamAnswer) take(r reply, name string) {
	if a.err = r.err; a.err == nil {
		a.info, a.err = parseStream(r.data, name)
	}
	if a.err != nil {
		a.info = nil
	}
}

// take takes over the reply about a consumer.
func (a *consumerAnswer) take(r reply, about *spec) {
	if a.err = r.err; a.err == nil {
		a.info, a.err = parseConsumer(r.data, about.stream, about.consumer)
	}
	if a.err != nil {
		a.info = nil
	}
	if errors.Is(a.err, errNoConsumer) {
		a.missing, a.err = true, nil
	}
}

// second asks for streams again, where the first answers leave something open.
func (b *batch) second(ctx context.Context) {
	var questions []question
	var takers []*streamAnswer
	var names []string
	again := make(map[*streamAnswer]*streamAnswer)
	for _, j := range b.jobs {
		if j.err != nil || j.stream.info == nil || j.consumer.err != nil {
			continue
		}
		subject := b.cfg.api + "STREAM.INFO." + j.spec.stream
		switch {
		case j.consumer.missing && j.spec.needsCount(j.stream.info):
			for _, filter := range j.spec.filters {
				answer := new(streamAnswer)
				j.counts = append(j.counts, answer)
				takers, names = append(takers, answer), append(names, j.spec.stream)
				questions = append(questions, question{subject: subject, body: filterRequest(filter)})
			}
		case !j.consumer.missing && *j.consumer.info.Pending > *j.stream.info.State.Messages:
			later := again[j.stream]
			if later == nil {
				later = new(streamAnswer)
				again[j.stream] = later
				takers, names = append(takers, later), append(names, j.spec.stream)
				questions = append(questions, question{subject: subject})
			}
			j.stream = later
		}
	}
	for i, r := range b.session.ask(ctx, questions) {
		takers[i].take(r, names[i])
	}
}

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
		if reason == "" && b.session.wakes.armed(j.spec.query, subjects, b.began) && b.session.isOpen() {
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
