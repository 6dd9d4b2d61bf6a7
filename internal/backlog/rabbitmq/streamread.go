package rabbitmq

import (
	"cmp"
	"context"
	"encoding/hex"
	"fmt"
	"hash/fnv"
	"slices"
	"sync"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/network"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/rabbitmq/stream"
)

// streams reads the queries of the layout stream. The goroutine that reads owns histories and swept.
type streams struct {
	cfg       *config
	nodes     *streamNodes
	leaders   *streamLeaders
	budget    *chunkBudget
	histories map[string]*streamHistory
	swept     time.Time
}

func newStreams(life context.Context, cfg *config, tasks *sync.WaitGroup) *streams {
	nodes := newStreamNodes(life, cfg, tasks)
	return &streams{
		cfg: cfg, nodes: nodes, leaders: newStreamLeaders(life, cfg, nodes, tasks), budget: &chunkBudget{},
		histories: make(map[string]*streamHistory),
	}
}

// close ends the connections.
func (s *streams) close() {
	s.leaders.close()
	s.nodes.close()
}

// probe verifies that the server answers for streams.
func (s *streams) probe(ctx context.Context) error {
	_, err := s.leaders.of(ctx, []string{""}) // no stream has this name, and the server says so
	return err
}

// read asks for the streams of plans, each once. The error is one of the connection.
func (s *streams) read(ctx context.Context, plans []*plan) (map[string]*streamJob, error) {
	now := time.Now()
	s.sweep(now) //nolint:contextcheck // what it closes has a bound of its own
	jobs := make(map[string]*streamJob)
	var names []string
	for _, p := range plans {
		consumer := p.query.Params.Get(paramConsumer)
		for _, name := range p.queues {
			j := jobs[name]
			if j == nil {
				j = &streamJob{name: name, history: s.history(name, now), places: make(map[string]*stream.OffsetQuery)}
				jobs[name] = j
				names = append(names, name)
			}
			j.places[consumer] = &stream.OffsetQuery{Stream: name, Reference: consumer}
		}
	}
	leaders, err := s.leaders.of(ctx, names)
	if err != nil && len(leaders) == 0 && len(names) > 0 {
		return nil, err
	}
	groups := make(map[stream.Endpoint][]*streamJob)
	for _, name := range names {
		j := jobs[name]
		one, known := leaders[name]
		switch {
		case !known:
			j.err = cmp.Or(err, errNoLeader)
		case j.history.rest.After(now):
			j.err = j.history.resting
		case one.Code != stream.OK:
			j.err = streamCode(one.Code)
			j.stats.Code = one.Code
		default:
			j.led = one
			groups[one.Endpoint] = append(groups[one.Endpoint], j)
		}
	}
	var waiting sync.WaitGroup
	for endpoint, group := range groups {
		waiting.Go(func() { s.ask(ctx, endpoint, group) })
	}
	waiting.Wait()
	return jobs, nil
}

// errNoLeader is a stream for which no leader was answered.
var errNoLeader = fmt.Errorf("%w: the leader of the stream is not known", backlog.ErrUnavailable)

// history returns what is remembered of a stream.
func (s *streams) history(name string, now time.Time) *streamHistory {
	h := s.histories[name]
	if h == nil {
		h = &streamHistory{committed: stream.None}
		s.histories[name] = h
	}
	h.read = now
	return h
}

// asks is how often a node is asked in one read, where it ends the connection.
const asks = 3

// ask asks one node for the streams that it leads. The server ends the connection where the leader of a
// stream has gone a moment ago: that stream is left out, and the others are asked for again.
func (s *streams) ask(ctx context.Context, endpoint stream.Endpoint, jobs []*streamJob) {
	for again := 1; len(jobs) > 0; again++ {
		node, err := s.nodes.at(ctx, endpoint)
		if err == nil {
			err = s.askNode(ctx, node, jobs)
		}
		if err == nil {
			return
		}
		silent := network.IsTimeout(err)
		i := -1
		if node != nil {
			i = slices.IndexFunc(jobs, (*streamJob).unanswered)
		}
		if i >= 0 && ctx.Err() == nil {
			jobs[i].blame(err, silent && i > 0)
		}
		if i < 0 || silent || again == asks || ctx.Err() != nil {
			for _, j := range jobs {
				if j.err == nil {
					j.err = err
				}
			}
			return
		}
		jobs = slices.Delete(slices.Clone(jobs), i, i+1)
		for _, j := range jobs {
			j.reset()
		}
	}
}

// askNode asks over one connection, in at most three round trips: for the offsets and bounds of all
// streams, and for the last chunk of those in which it is not known, and decides something. Offsets come first: the
// other order would find offsets of messages that came after the bound, and miss what came with them.
func (s *streams) askNode(ctx context.Context, node *streamNode, jobs []*streamJob) (err error) {
	defer backlog.Contain(&err)
	var requests []stream.Request
	for _, j := range jobs {
		for _, place := range j.places {
			requests = append(requests, place)
		}
		j.stats.Stream = j.name
		requests = append(requests, &j.stats)
	}
	if err := node.conn.Do(ctx, s.cfg.Answer, requests...); err != nil {
		return fmt.Errorf("%w: ask for the offsets of streams: %w", backlog.ErrUnavailable, err)
	}
	at := time.Now()
	tails := make([]*tailSearch, 0, len(jobs))
	for _, j := range jobs {
		j.at, j.number = at, node.number
		if j.err = j.failure(); j.err != nil {
			continue
		}
		wanted, needed := j.history.needs(&j.stats, j.reached())
		if !wanted {
			continue
		}
		if !s.budget.take(j.history.tail, at) {
			if needed {
				j.err = errBudget
			}
			continue
		}
		j.search = newTailSearch(j, needed)
		tails = append(tails, j.search)
	}
	return s.searchTails(ctx, node, tails)
}

// errBudget is a last chunk that was not asked for because others have used up what may be received.
var errBudget = fmt.Errorf("%w: the last chunks of the streams are more than is received in a second", backlog.ErrUnavailable)

// result returns the reading of a stream for a query.
func (s *streams) result(j *streamJob, q backlog.Query) (backlog.Reading, error) {
	h := j.history
	if j.missing() {
		h.forget()
		return backlog.Reading{At: h.read, Missing: true, InFlight: backlog.Exactly(0)}, nil
	}
	if j.err == nil {
		j.err = streamCode(j.stats.Code)
	}
	if j.err != nil {
		s.leaders.distrust(j.name)
		return backlog.Reading{}, j.err
	}
	consumer := q.Params.Get(paramConsumer)
	place, known := j.places[consumer]
	if !known {
		return backlog.Reading{}, fmt.Errorf("%w: %w", backlog.ErrPartial, errNotAsked)
	}
	e, err := h.extent(&j.stats, j.tail, j.at, j.led.at)
	if err != nil {
		s.leaders.distrust(j.name)
		return backlog.Reading{}, err
	}
	p := placeOf(place)
	if !h.believes(consumer, e, p, j.at, j.led.at) {
		s.leaders.distrust(j.name)
		return backlog.Reading{}, fmt.Errorf("%w: the stored offset is beyond the end of the stream, which is being verified", backlog.ErrUnavailable)
	}
	r, err := streamReading(e, p, q.Params.Get(paramMissingOffset), j.at)
	if err != nil {
		return backlog.Reading{}, err
	}
	if p.has && p.stored > max(e.last, h.committed) {
		r.AddWarning(beyondEnd)
	}
	r.Epoch = fmt.Sprintf("%s#%d#%d", backlog.Line(s.nodes.server().Cluster), j.number, h.life)
	return r, nil
}

func placeOf(q *stream.OffsetQuery) place {
	return place{stored: q.Offset, has: q.Code == stream.OK}
}

// whole returns the reading of several streams.
func (s *streams) whole(p *plan, jobs map[string]*streamJob, now time.Time) (backlog.Reading, error) {
	parts := make([]backlog.Part, 0, len(p.queues))
	epochs := fnv.New64a()
	for _, name := range p.queues {
		r, err := s.result(jobs[name], p.query)
		if err != nil {
			return backlog.Reading{}, fmt.Errorf("stream %q: %w", backlog.Line(name), err)
		}
		_, _ = epochs.Write([]byte(r.Epoch + "\x00")) // never fails
		parts = append(parts, backlog.Part{Queue: name, Reading: r})
	}
	r := backlog.Aggregate(parts)
	r.At = now
	r.Epoch = hex.EncodeToString(epochs.Sum(nil))
	if len(p.patterns) > 0 {
		// Counters jump, and epochs change, when another stream is found.
		r.Enqueued, r.Dequeued, r.Passed = backlog.Count{}, backlog.Count{}, backlog.Count{}
		r.Epoch = backlog.Line(s.nodes.server().Cluster)
	}
	return r, nil
}

// sweep forgets what is not read any more.
func (s *streams) sweep(now time.Time) {
	if now.Sub(s.swept) < sweepInterval {
		return
	}
	s.swept = now
	for name, h := range s.histories {
		if now.Sub(h.read) > forgetAfter {
			delete(s.histories, name)
		}
	}
	s.leaders.sweep(now)
	s.nodes.sweep(now)
}
