package redis

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
)

// maxTrips bounds the round trips of one Read: three of a layout for each look, as many again
// if a transaction is refused, and some for slots that are on their way from one server to
// another.
const maxTrips = 16

// A job is one query of a Read under way.
type job struct {
	plan  *plan
	index int // of its result
	step  step
	armed bool
	epoch string
	look
	// from and to delimit its commands in the batch of the current trip, of which the first
	// ones are its step's own.
	from, to, own int
	// redirects are where a server said that a command has to be sent, by the
	// command's place in the step; nil if there are none.
	redirects map[int]redirect
}

// A redirect is the server that has the slot of a key.
type redirect struct {
	address string
	// asking is a slot that is still on its way to that server.
	asking bool
}

// Read implements backlog.Source.
func (s *source) Read(ctx context.Context, queries []backlog.Query) []backlog.Result {
	results := slices.Grow(s.results[:0], len(queries))[:len(queries)]
	s.results = results
	jobs := s.prepare(queries, results)
	s.finder.await(ctx)
	for i := range jobs {
		jobs[i].calm = jobs[i].plan.arm()
	}
	var err error
	for range maxTrips {
		if len(jobs) == 0 {
			return results
		}
		if jobs, err = s.trip(ctx, jobs, results); err != nil {
			break
		}
	}
	if err == nil {
		err = fmt.Errorf("%w: the slot is moving between servers", backlog.ErrUnavailable)
	}
	for i := range jobs {
		s.fail(&jobs[i], err, results)
	}
	return results
}

// prepare returns a job for each query, and the error of those that cannot be read.
func (s *source) prepare(queries []backlog.Query, results []backlog.Result) []job {
	now := time.Now()
	jobs := slices.Grow(s.jobs[:0], len(queries))
	for i, q := range queries {
		p, err := s.watch.plan(i, q, now, s.prepareQuery)
		if err != nil {
			results[i] = backlog.Result{Err: err}
			continue
		}
		// Of an earlier read; the rest is overwritten.
		results[i].Err = nil
		jobs = append(jobs, job{plan: p, index: i, step: p.first, armed: true})
	}
	s.jobs = jobs
	if unused := s.watch.sweep(now); len(unused) > 0 {
		s.topology.forget(unused)
	}
	return jobs
}

func (s *source) prepareQuery(q backlog.Query) (step, error) {
	l, found := s.layouts[q.Layout]
	if !found {
		return nil, fmt.Errorf("%w: redis has no layout %q", backlog.ErrMismatch, q.Layout)
	}
	queues, err := backlog.ParseQueues(q.Queue)
	switch {
	case err != nil:
		return nil, fmt.Errorf("%w: %s %q: %w", backlog.ErrMismatch, q.Layout, q.Queue, err)
	case queues.Several():
		return newSeveral(l, q, queues, s.finder), nil
	default:
		search := keySearch{finder: s.finder, query: q}
		q.Queue = backlog.Unescape(queues.String())
		return l.prepare(q, search), nil
	}
}

// A batch is the commands of one trip and what became of them.
type batch struct {
	commands []command
	replies  []reply
	err      error   // of the only connection there is
	errs     []error // of the connections, for each command; nil if there is only one
}

// failure is why the command at a place was not answered, nil if it was.
func (b *batch) failure(at int) error {
	if b.errs == nil {
		return b.err
	}
	return b.errs[at]
}

// trip makes one round trip for all jobs. It returns the jobs that need another one.
func (s *source) trip(ctx context.Context, jobs []job, results []backlog.Result) ([]job, error) {
	routing, err := s.topology.current(ctx)
	if err != nil {
		return jobs, err
	}
	now := time.Now()
	b := batch{commands: s.buffer[:0]}
	for i := range jobs {
		b.commands = s.ask(&jobs[i], b.commands, now)
		if g, ok := jobs[i].plan.first.(grower); ok && g.grew() {
			// Before they are read: a change of a key must find the query that it is of.
			s.topology.forget(s.watch.cover(jobs[i].plan, now))
		}
	}
	s.buffer = b.commands
	s.run(ctx, routing, jobs, &b)
	at := time.Now()
	// What was answered is not held until the next read.
	defer clear(b.replies)
	again := jobs[:0]
	stale := false
	for i := range jobs {
		moved, more := s.settle(&jobs[i], &b, now, at, results)
		stale = stale || moved
		if more {
			again = append(again, jobs[i])
		}
	}
	if !stale {
		return again, nil
	}
	next, err := s.topology.refresh(ctx)
	if err != nil {
		return again, err
	}
	if next == routing {
		return s.giveUp(again, results), nil
	}
	return again, nil
}

// run sends each command to the server that owns its key, all servers at once.
func (s *source) run(ctx context.Context, r *routing, jobs []job, b *batch) {
	if only := r.only(); only != nil && !slices.ContainsFunc(jobs, func(j job) bool { return j.redirects != nil }) {
		if b.replies, b.err = only.do(ctx, b.commands, s.replies); b.err == nil {
			s.replies = b.replies
		}
		return
	}
	b.replies = make([]reply, len(b.commands))
	b.errs = make([]error, len(b.commands))
	parts := make(map[*node][]int)
	for i := range jobs {
		for at := jobs[i].from; at < jobs[i].to; at++ {
			n, err := r.node(b.commands[at].key)
			if to, redirected := jobs[i].redirects[at-jobs[i].from]; redirected {
				b.commands[at].asking = to.asking
				n, err = r.at(to.address)
			}
			if err != nil {
				b.errs[at] = err
				continue
			}
			parts[n] = append(parts[n], at)
		}
	}
	var running sync.WaitGroup
	for n, places := range parts {
		running.Go(func() { b.runPart(ctx, n, places) })
	}
	running.Wait()
}

// runPart sends the commands at the given places to one server.
func (b *batch) runPart(ctx context.Context, n *node, places []int) {
	commands := make([]command, len(places))
	for i, at := range places {
		commands[i] = b.commands[at]
	}
	replies, err := n.do(ctx, commands, nil)
	for i, at := range places {
		if err != nil {
			b.errs[at] = err
		} else {
			b.replies[at] = replies[i]
		}
	}
}

// settle makes something of the replies to a job. It tells whether they show that
// the topology has changed, and whether the job needs another trip.
func (s *source) settle(j *job, b *batch, now, at time.Time, results []backlog.Result) (moved, more bool) {
	j.redirects = nil
	for i := j.from; i < j.to; i++ {
		if err := b.failure(i); err != nil {
			if s.scout != nil {
				// It may be another server by now; the error stands if it is not.
				results[j.index].Err = err
				return true, true
			}
			s.fail(j, err, results)
			return false, false
		}
	}
	replies := b.replies[j.from:j.to]
	if j.notRun(replies, now) {
		return false, true
	}
	for i, r := range replies {
		c := &b.commands[j.from+i]
		if r.err != nil {
			if j.redirect(i, r.err) {
				if s.scout == nil {
					// It is not the one server that the settings say it is.
					s.fail(j, r.err, results)
					return false, false
				}
				continue
			}
			if hasCode(r.err, "WRONGTYPE") && !isTypeStep(j.step) && i < len(replies)-j.counters {
				j.step, j.redirects = &typeStep{key: c.key, layout: j.plan.query.Layout}, nil
				return false, true
			}
		}
		j.armed = j.armed && (r.armed || c.class == 0)
		j.noteEpoch(r.server.epoch)
	}
	if j.redirects != nil {
		// All its commands are sent again.
		j.armed, j.epoch = true, ""
		return j.hasMoved(), true
	}
	o := j.outcome(replies, now, at)
	j.note(b.commands[j.from:j.to])
	switch {
	case o.next != nil:
		j.step = o.next
		return false, true
	case o.err != nil:
		s.fail(j, o.err, results)
	case j.doubts(&o.reading):
		j.lookAgain()
		return false, true
	default:
		s.hint(j.plan, &o.reading, now)
		s.worked.Store(true)
		o.reading.At = at
		o.reading.Epoch = j.epoch
		armed, changed := j.plan.stillArmed(j.armed)
		j.plan.keep(&o.reading, armed, changed)
		j.plan.tally.complete(&o.reading)
		results[j.index] = backlog.Result{Reading: o.reading, Armed: armed, Changed: changed || j.changed}
	}
	return false, false
}

// redirect notes where the command at a place has to be sent, if err says so.
func (j *job) redirect(place int, err error) bool {
	moved, ask := hasCode(err, "MOVED"), hasCode(err, "ASK")
	if !moved && !ask {
		return false
	}
	if j.redirects == nil {
		j.redirects = make(map[int]redirect)
	}
	// MOVED <slot> <host:port>
	words := strings.Fields(err.Error())
	j.redirects[place] = redirect{address: words[len(words)-1], asking: ask}
	return true
}

// hasMoved tells whether a slot has got another owner for good.
func (j *job) hasMoved() bool {
	for _, r := range j.redirects {
		if !r.asking {
			return true
		}
	}
	return false
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
	if known := results[j.index].Err; known != nil && errors.Is(err, errFindServers) {
		err = known
	}
	_, _ = j.plan.stillArmed(false)
	j.plan.empty = false
	q := j.plan.query
	results[j.index] = backlog.Result{Err: fmt.Errorf("read %s %q of connection %q: %w", q.Layout, q.Queue, s.cfg.connection, s.cfg.advised(err, s.record()))}
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
