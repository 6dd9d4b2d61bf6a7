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
	ctx, leave, err := s.gate.Enter(ctx)
	if err != nil {
		s.fail(queries, results[base:], err)
		return results
	}
	defer leave()
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
	session, failure := s.connector.Session(ctx)
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
	var takers []func(reply)
	for _, j := range b.jobs {
		if j.err != nil {
			continue
		}
		stream, consumer := b.cfg.api+"STREAM.INFO."+j.spec.stream, b.cfg.api+"CONSUMER.INFO."+j.spec.stream+"."+j.spec.consumer
		if j.stream = b.streams[stream]; j.stream == nil {
			j.stream = new(streamAnswer)
			b.streams[stream] = j.stream
			questions = append(questions, b.question(stream))
			takers = append(takers, func(r reply) { j.stream.take(r, j.spec.stream) })
		}
		if j.consumer = b.consumers[consumer]; j.consumer == nil {
			j.consumer = new(consumerAnswer)
			b.consumers[consumer] = j.consumer
			questions = append(questions, b.question(consumer))
			takers = append(takers, func(r reply) { j.consumer.take(r, j.spec) })
		}
	}
	replies := b.session.ask(ctx, questions)
	b.listen(questions, replies)
	for i, r := range replies {
		takers[i](r)
	}
}

// question returns a request without a body.
func (b *batch) question(subject string) question {
	_, doubtful := b.silent[subject]
	return question{subject: subject, doubtful: doubtful}
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
