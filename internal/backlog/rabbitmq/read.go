package rabbitmq

import (
	"context"
	"fmt"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/rabbitmq/management"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/rabbitmq/tap"
)

// sweepInterval is the time between two searches for what is not read any more.
const sweepInterval = time.Minute

// A batch is one read under way.
type batch struct {
	*source
	now     time.Time
	session *session
	listing *management.Listing
	// failure is why there is no later listing.
	failure error
	// rules are those of the session.
	rules rules
	// verdicts are those on the queues of the batch, by name.
	verdicts map[string]verdict
	// waiting are the queries that wait for a listing.
	waiting []backlog.Query
	ask     bool
}

// Read implements backlog.Source.
func (s *source) Read(ctx context.Context, queries []backlog.Query, results []backlog.Result) []backlog.Result {
	first := len(results)
	results = append(results, make([]backlog.Result, len(queries))...)
	ctx, leave, err := s.gate.Enter(ctx)
	if err != nil {
		for i, q := range queries {
			results[first+i] = s.failed(q, err, true)
		}
		return results
	}
	defer leave()
	s.readAll(ctx, queries, results[first:])
	return results
}

// read sets the result of each query: it takes the last listing over, asks for every queue once, and
// judges the answers.
func (s *source) read(ctx context.Context, queries []backlog.Query, results []backlog.Result) {
	if len(queries) == 0 {
		return
	}
	b := &batch{source: s, now: time.Now(), verdicts: make(map[string]verdict)}
	s.sweep(b.now)
	session, err := s.connector.Session(ctx)
	if err != nil {
		for i, q := range queries {
			results[i] = s.failed(q, err, true)
		}
		return
	}
	b.session = session
	if session.epoch != s.epoch {
		s.epoch = session.epoch
		for _, h := range s.histories {
			h.restart()
		}
		if s.taps != nil {
			s.taps.Restart()
		}
	}
	b.rules = rules{
		managed: s.cfg.managed, interval: s.cfg.interval, tick: s.cfg.tick, hold: s.cfg.hold, countsConsumers: session.countsConsumers,
	}
	if s.management != nil {
		b.rules.interval = s.management.Pace()
		b.listing, b.failure = s.management.Latest(ctx, 2*b.rules.interval, s.cfg.Answer)
	}
	plans := b.plan(queries, results)
	if err := b.declare(ctx, plans); err != nil {
		for i, q := range queries {
			results[i] = s.failed(q, err, true)
		}
		return
	}
	for i, p := range plans {
		if p != nil {
			results[i] = b.result(p)
		}
	}
	b.finish()
}

// plan returns the plan of each query; nil for those whose result is known.
func (b *batch) plan(queries []backlog.Query, results []backlog.Result) []*plan {
	plans := make([]*plan, len(queries))
	for i, q := range queries {
		p := b.plans[q]
		if p == nil {
			var err error
			if p, err = newPlan(q, b.quota); err != nil {
				results[i] = b.failed(q, err, false)
				continue
			}
			b.plans[q] = p
		}
		pending, err := p.refresh(b.listing, b.failure, b.now)
		if err != nil {
			results[i] = b.failed(q, err, false)
			results[i].Pending = pending
			if pending {
				b.waiting, b.ask = append(b.waiting, q), true
			}
			continue
		}
		plans[i] = p
	}
	return plans
}

// declare asks for the queues of the plans, each once, and judges the answers. The error is one of
// the connection.
func (b *batch) declare(ctx context.Context, plans []*plan) error {
	var queues []string
	for _, p := range plans {
		if p == nil {
			continue
		}
		for _, queue := range p.queues {
			if _, twice := b.verdicts[queue]; twice {
				continue
			}
			h := b.history(queue)
			b.verdicts[queue] = verdict{}
			if h.rest.After(b.now) && !b.isNew(queue, h) {
				b.verdicts[queue] = b.rested(queue, h)
				continue
			}
			queues = append(queues, queue)
		}
	}
	answers, err := b.session.declare(ctx, queues, b.cfg.Answer)
	if err != nil {
		return err
	}
	for i, queue := range queues {
		b.verdicts[queue] = b.judge(queue, answers[i])
	}
	return nil
}

// history returns what is remembered of a queue.
func (b *batch) history(queue string) *history {
	h := b.histories[queue]
	if h == nil {
		h = &history{}
		b.histories[queue] = h
	}
	h.read = b.now
	return h
}

// isNew reports whether a queue that did not exist is listed by now.
func (b *batch) isNew(queue string, h *history) bool {
	if b.listing == nil || !h.resting.missing || !b.listing.Began.After(h.resting.at) {
		return false
	}
	_, listed := b.listing.Queues[queue]
	return listed
}

// rested returns the verdict on a queue that is not asked for at present.
func (b *batch) rested(queue string, h *history) verdict {
	if h.resting.err != nil {
		return verdict{err: h.resting.err}
	}
	return b.rules.judge(queue, h.resting, h, b.listing, b.failure)
}

// judge returns the verdict on an answer.
func (b *batch) judge(queue string, a answer) verdict {
	h := b.histories[queue]
	if a.err != nil {
		if a.at.IsZero() {
			// It had no answer while others had one.
			h.sleep(a, hungRest)
		}
		h.empty = time.Time{}
		return verdict{err: a.err}
	}
	h.note(a)
	return b.rules.judge(queue, a, h, b.listing, b.failure)
}

// result returns the result of a plan, whose queues are judged.
func (b *batch) result(p *plan) backlog.Result {
	var whole verdict
	if p.several {
		whole = b.aggregate(p)
	} else {
		whole = b.verdicts[p.queues[0]]
	}
	if whole.ask {
		b.ask = true
		b.waiting = append(b.waiting, p.query)
	}
	if whole.err != nil {
		result := b.failed(p.query, whole.err, false)
		result.Pending = whole.pending
		return result
	}
	whole.reading.Epoch = b.session.epoch
	result := backlog.Result{Reading: whole.reading, Pending: whole.pending}
	b.arm(p, &result)
	return result
}

// arm has a tap wake the query of a result, if it wants one.
func (b *batch) arm(p *plan, result *backlog.Result) {
	if !p.tapped {
		return
	}
	r := &result.Reading
	if b.taps == nil {
		r.AddWarning(tap.PolledBecause(tap.SettingAllow + " is not set for the connection"))
		return
	}
	read := tap.Read{
		Began: b.now, At: time.Now(), Idle: r.Backlog() == 0 && !r.Missing && !result.Pending, Waiting: r.Ready > 0,
		Prompt: true, Unused: r.Consumers == backlog.Exactly(0), Returned: 3*b.rules.interval + b.rules.tick + slack,
	}
	for _, queue := range p.queues {
		read.Prompt = read.Prompt && b.listing != nil && b.listing.Queues[queue].Kind == management.TypeClassic
	}
	armed, warning := b.taps.Observe(p.tap, p.query, read, b.listing)
	result.Armed = armed
	if warning != "" {
		r.AddWarning(warning)
	}
}

// aggregate returns the verdict on several queues. It is an error if that on any of them is one.
func (b *batch) aggregate(p *plan) verdict {
	parts := make([]backlog.Part, 0, len(p.queues))
	var whole verdict
	for _, queue := range p.queues {
		one := b.verdicts[queue]
		whole.pending, whole.ask = whole.pending || one.pending, whole.ask || one.ask
		if one.err != nil {
			return verdict{err: fmt.Errorf("queue %q: %w", backlog.Line(queue), one.err), pending: one.pending, ask: one.ask}
		}
		parts = append(parts, backlog.Part{Queue: queue, Reading: one.reading})
	}
	whole.reading = backlog.Aggregate(parts)
	whole.reading.At = b.now
	if p.streams {
		whole.reading.AddWarning("streams match the pattern too, and do not count")
	}
	return whole
}

// failed returns the result of a query that failed. whole reports an error of the connection.
func (s *source) failed(q backlog.Query, err error, whole bool) backlog.Result {
	return backlog.Result{Err: &backlog.ReadError{Query: q, Connection: s.cfg.connection, Err: err, Whole: whole}}
}

// finish asks for the listing that queries wait for.
func (b *batch) finish() {
	if !b.ask || b.management == nil {
		return
	}
	b.mu.Lock()
	for _, q := range b.waiting {
		b.unsettled[q] = struct{}{}
	}
	b.mu.Unlock()
	b.management.Ask()
}

// sweep forgets what is not read any more.
func (s *source) sweep(now time.Time) {
	if now.Sub(s.swept) < sweepInterval {
		return
	}
	s.swept = now
	for q, p := range s.plans {
		if now.Sub(p.read) > p.life() {
			p.release()
			delete(s.plans, q)
		}
	}
	for queue, h := range s.histories {
		if now.Sub(h.read) > forgetAfter {
			delete(s.histories, queue)
		}
	}
}
