// Package lag reads how many messages of streams a consumer has not processed, by the offset that it stores
// on the server.
//
// Each stream is asked for at the node of its leader, over one connection to each node. Its last offset says
// little about its last message, because stored offsets take offsets of the stream too: what reads have found
// is remembered.
package lag

import (
	"cmp"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/fnv"
	"slices"
	"sync"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/network"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/rabbitmq/dialer"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/rabbitmq/stream"
)

const (
	// forgetAfter is for how long is remembered what is not read, and sweepInterval the time between two
	// searches for that.
	forgetAfter   = 10 * time.Minute
	sweepInterval = time.Minute
)

// The Streams of a connection answer questions. The goroutine that reads owns histories and swept.
type Streams struct {
	cfg       *dialer.Config
	nodes     *nodes
	leaders   *leaders
	budget    *chunkBudget
	histories map[string]*history
	swept     time.Time
}

// New returns streams without a connection. addresses are those of nodes for the stream protocol. The end of
// life ends what is under way, and tasks are the goroutines of the source.
func New(life context.Context, cfg *dialer.Config, addresses []string, tasks *sync.WaitGroup) *Streams {
	nodes := newNodes(life, cfg, addresses, tasks)
	return &Streams{
		cfg: cfg, nodes: nodes, leaders: newLeaders(life, cfg, addresses, nodes, tasks), budget: &chunkBudget{},
		histories: make(map[string]*history),
	}
}

// Close ends the connections.
func (s *Streams) Close() {
	s.leaders.close()
	s.nodes.close()
}

// Probe verifies that the server answers for streams. The error is one of backlog's.
func (s *Streams) Probe(ctx context.Context) error {
	_, err := s.leaders.of(ctx, []string{""}) // no stream has this name, and the server says so
	return err
}

// Server returns what a server said about itself last.
func (s *Streams) Server() stream.About { return s.nodes.server() }

// Read asks for the streams of questions, each once. The goroutine that reads calls it, and takes the readings
// from the answers. The error is one of the connection, and one of backlog's.
func (s *Streams) Read(ctx context.Context, questions []Question) (Answers, error) {
	now := time.Now()
	s.sweep(now) //nolint:contextcheck // what it closes has a bound of its own
	jobs := make(Answers)
	var names []string
	for _, q := range questions {
		for _, name := range q.Streams {
			j := jobs[name]
			if j == nil {
				j = &job{name: name, history: s.history(name, now), places: make(map[string]*stream.OffsetQuery)}
				jobs[name] = j
				names = append(names, name)
			}
			j.places[q.Consumer] = &stream.OffsetQuery{Stream: name, Reference: q.Consumer}
		}
	}
	leaders, err := s.leaders.of(ctx, names)
	if err != nil && len(leaders) == 0 && len(names) > 0 {
		return nil, err
	}
	groups := make(map[stream.Endpoint][]*job)
	for _, name := range names {
		j := jobs[name]
		one, known := leaders[name]
		switch {
		case !known:
			j.err = cmp.Or(err, errNoLeader)
		case j.history.rest.After(now):
			j.err = j.history.resting
		case one.Code != stream.OK:
			j.err = codeError(one.Code)
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
func (s *Streams) history(name string, now time.Time) *history {
	h := s.histories[name]
	if h == nil {
		h = &history{committed: stream.None}
		s.histories[name] = h
	}
	h.read = now
	return h
}

// asks is how often a node is asked in one read, where it ends the connection.
const asks = 3

// ask asks one node for the streams that it leads. The server ends the connection where the leader of a
// stream has gone a moment ago: that stream is left out, and the others are asked for again.
func (s *Streams) ask(ctx context.Context, endpoint stream.Endpoint, jobs []*job) {
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
			i = slices.IndexFunc(jobs, (*job).unanswered)
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
func (s *Streams) askNode(ctx context.Context, node *node, jobs []*job) (err error) {
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

// errNotAsked is a consumer that no question named.
var errNotAsked = errors.New("the stream was not asked for")

// Reading returns the reading of a question, by the answers of the read that asked it. now is when that began.
// The error is one of backlog's.
func (s *Streams) Reading(answers Answers, q Question, now time.Time) (backlog.Reading, error) {
	if q.Several {
		return s.whole(answers, q, now)
	}
	return s.result(answers[q.Streams[0]], q)
}

// result returns the reading of a stream for a question.
func (s *Streams) result(j *job, q Question) (backlog.Reading, error) {
	h := j.history
	if j.missing() {
		h.forget()
		return backlog.Reading{At: h.read, Missing: true, InFlight: backlog.Exactly(0)}, nil
	}
	if j.err == nil {
		j.err = codeError(j.stats.Code)
	}
	if j.err != nil {
		s.leaders.distrust(j.name)
		return backlog.Reading{}, j.err
	}
	place, known := j.places[q.Consumer]
	if !known {
		return backlog.Reading{}, fmt.Errorf("%w: %w", backlog.ErrPartial, errNotAsked)
	}
	e, err := h.extent(&j.stats, j.tail, j.at, j.led.at)
	if err != nil {
		s.leaders.distrust(j.name)
		return backlog.Reading{}, err
	}
	p := placeOf(place)
	if !h.believes(q.Consumer, e, p, j.at, j.led.at) {
		s.leaders.distrust(j.name)
		return backlog.Reading{}, fmt.Errorf("%w: the stored offset is beyond the end of the stream, which is being verified", backlog.ErrUnavailable)
	}
	r, err := readingOf(e, p, q.Missing, j.at)
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
func (s *Streams) whole(answers Answers, q Question, now time.Time) (backlog.Reading, error) {
	parts := make([]backlog.Part, 0, len(q.Streams))
	epochs := fnv.New64a()
	for _, name := range q.Streams {
		r, err := s.result(answers[name], q)
		if err != nil {
			return backlog.Reading{}, fmt.Errorf("stream %q: %w", backlog.Line(name), err)
		}
		_, _ = epochs.Write([]byte(r.Epoch + "\x00")) // never fails
		parts = append(parts, backlog.Part{Queue: name, Reading: r})
	}
	r := backlog.Aggregate(parts)
	r.At = now
	r.Epoch = hex.EncodeToString(epochs.Sum(nil))
	if q.Matched {
		// Counters jump, and epochs change, when another stream is found.
		r.Enqueued, r.Dequeued, r.Passed = backlog.Count{}, backlog.Count{}, backlog.Count{}
		r.Epoch = backlog.Line(s.nodes.server().Cluster)
	}
	return r, nil
}

// sweep forgets what is not read any more.
func (s *Streams) sweep(now time.Time) {
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
