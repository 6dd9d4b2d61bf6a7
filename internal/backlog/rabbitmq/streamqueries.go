package rabbitmq

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/rabbitmq/lag"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/rabbitmq/management"
)

// server returns the name and version of the server.
func (s *source) server() string {
	name := s.connector.server()
	if name == "" && s.streams != nil {
		about := s.streams.Server()
		name = backlog.Line(strings.TrimSpace(strings.ToLower(about.Product[:min(len(about.Product), maxName)]) + " " + about.Version[:min(len(about.Version), maxName)]))
	}
	return name
}

// readAll reads queues and streams, which do not wait for each other.
func (s *source) readAll(ctx context.Context, queries []backlog.Query, results []backlog.Result) {
	var queues, streams []int
	for i, q := range queries {
		if q.Layout == layoutStream {
			streams = append(streams, i)
		} else {
			queues = append(queues, i)
		}
	}
	if len(streams) == 0 {
		s.read(ctx, queries, results)
		return
	}
	b := s.planStreams(ctx, queries, streams, results)
	var waiting sync.WaitGroup
	waiting.Go(func() { b.ask(ctx) })
	defer waiting.Wait() // also after a panic
	if len(queues) > 0 {
		some, found := make([]backlog.Query, len(queues)), make([]backlog.Result, len(queues))
		for i, at := range queues {
			some[i] = queries[at]
		}
		s.read(ctx, some, found)
		for i, at := range queues {
			results[at] = found[i]
		}
	}
	waiting.Wait()
	b.conclude(ctx, results)
}

// A streamBatch is one read of streams under way.
type streamBatch struct {
	*source

	now time.Time
	// at are the indexes of the results, and plans those of the queries.
	at    []int
	plans []*plan
	// answers are those of the server, and err is why there are none.
	answers lag.Answers
	err     error
}

// planStreams decides which streams the queries mean, and sets the results of those that it cannot be
// decided for.
func (s *source) planStreams(ctx context.Context, queries []backlog.Query, indexes []int, results []backlog.Result) *streamBatch {
	b := &streamBatch{source: s, now: time.Now()}
	s.sweep(b.now)
	var l *management.Listing
	var failure error
	listed := false
	for _, i := range indexes {
		q := queries[i]
		p, err := s.streamPlan(q)
		if err != nil {
			results[i] = s.failed(q, err, false)
			continue
		}
		if len(p.patterns) > 0 && s.management != nil && !listed {
			listed = true
			l, failure = s.management.Latest(ctx, 2*s.management.Pace(), s.cfg.Answer)
		}
		if pending, err := p.refresh(l, failure, b.now); err != nil {
			results[i] = s.failed(q, err, false)
			results[i].Pending = pending
			continue
		}
		b.at, b.plans = append(b.at, i), append(b.plans, p)
	}
	return b
}

// streamPlan returns the plan of a query.
func (s *source) streamPlan(q backlog.Query) (*plan, error) {
	if p := s.plans[q]; p != nil {
		return p, nil
	}
	if s.streams == nil {
		return nil, backlog.WithAdvice(fmt.Errorf("%w: the connection has no addresses for the stream protocol", backlog.ErrMismatch), lag.SettingAddresses+": the addresses of the nodes for streams, whose port is 5552 as a rule")
	}
	if err := checkStream(q); err != nil {
		return nil, fmt.Errorf("%w: %w", backlog.ErrMismatch, err)
	}
	p, err := newPlan(q, s.quota)
	if err != nil {
		return nil, err
	}
	s.plans[q] = p
	return p, nil
}

// question returns what is asked about the streams of a plan.
func (p *plan) question() lag.Question {
	return lag.Question{
		Streams: p.queues, Consumer: p.query.Params.Get(paramConsumer), Missing: p.query.Params.Get(lag.ParamMissingOffset),
		Several: p.several, Matched: len(p.patterns) > 0,
	}
}

// ask asks the server.
func (b *streamBatch) ask(ctx context.Context) {
	if len(b.plans) == 0 {
		return
	}
	defer backlog.Contain(&b.err)
	questions := make([]lag.Question, len(b.plans))
	for i, p := range b.plans {
		questions[i] = p.question()
	}
	b.answers, b.err = b.streams.Read(ctx, questions)
}

// conclude sets the results.
func (b *streamBatch) conclude(ctx context.Context, results []backlog.Result) {
	for i, p := range b.plans {
		if b.err != nil {
			results[b.at[i]] = b.failed(p.query, b.err, true)
			continue
		}
		r, err := b.streams.Reading(b.answers, p.question(), b.now)
		if err == nil && r.Missing {
			err = b.otherKind(ctx, p)
		}
		results[b.at[i]] = backlog.Result{Reading: r}
		if err != nil {
			results[b.at[i]] = b.failed(p.query, err, false)
		}
	}
}

// otherKind returns an error where what is no stream is a queue of that name, if the management API lists it.
func (b *streamBatch) otherKind(ctx context.Context, p *plan) error {
	if b.management == nil {
		return nil
	}
	l, _ := b.management.Latest(ctx, 2*b.management.Pace(), b.cfg.Answer)
	if l == nil {
		return nil
	}
	for _, name := range p.queues {
		if one, listed := l.Queues[name]; listed && one.Kind != management.TypeStream {
			return fmt.Errorf("%w: %q is a queue and no stream, want the layout %s", backlog.ErrMismatch, backlog.Line(name), layoutQueue)
		}
	}
	return nil
}
