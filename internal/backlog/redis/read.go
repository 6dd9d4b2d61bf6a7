package redis

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/conn/node"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/conn/topology"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/resp"
)

// maxRoundTrips bounds the round trips of one Read: three of a layout for each reading (see
// recheck.go), as many again if a transaction is refused, and some for slots that are on their
// way from one server to another.
const maxRoundTrips = 16

// A pendingQuery is one query of a Read under way.
type pendingQuery struct {
	plan  *plan
	index int // of its result
	step  step
	armed bool
	// isPending reports that the first attempt of a search had not ended when the read began.
	isPending bool
	epoch     string
	recheck
	// from and to delimit its commands in the batch of the current round trip. The first own of
	// them are those of its step.
	from, to, own int
	// redirects are where a server said that a command has to be sent, by the
	// command's place in the step; nil if there are none.
	redirects map[int]topology.Redirect
}

// A reader answers one batch at a time. There is one for each goroutine that reads.
type reader struct {
	*source

	// buffer, replies and pending hold those of a read, and are used again.
	buffer  []resp.Command
	replies []resp.Reply
	pending []pendingQuery
	// outcome is that of the step that was concluded last.
	outcome outcome
	// order is where in a read each plan was wanted last. Most often it is there again, and is
	// found sooner than by its name.
	order []*plan
	// moved are the addresses of the servers to which slots have moved, as this read has found.
	moved map[int]string
	// inPieces reports that the read is so long that others go in between.
	inPieces bool
}

// Read implements backlog.Source.
func (s *source) Read(ctx context.Context, queries []backlog.Query, results []backlog.Result) []backlog.Result {
	return s.whole.Read(ctx, queries, results)
}

// Read appends the result of each query to results.
func (s *reader) Read(ctx context.Context, queries []backlog.Query, results []backlog.Result) []backlog.Result {
	begin := len(results)
	results = slices.Grow(results, len(queries))[:begin+len(queries)]
	s.answer(ctx, queries, results[begin:])
	return results
}

// answer sets the result of each query.
func (s *reader) answer(ctx context.Context, queries []backlog.Query, results []backlog.Result) {
	clear(s.moved)
	pending := s.prepare(queries, results)
	waiting := s.scanner.Waiting()
	for i := range pending {
		pending[i].isPending = waiting[pending[i].plan.query]
		pending[i].undisturbed = pending[i].plan.arm()
	}
	var err error
	for range maxRoundTrips {
		if len(pending) == 0 {
			return
		}
		if pending, err = s.roundTrip(ctx, pending, results); err != nil {
			err = s.ofConnection(err)
			break
		}
	}
	if err == nil {
		err = fmt.Errorf("%w: the slot is moving between servers", backlog.ErrUnavailable)
	}
	for i := range pending {
		s.fail(&pending[i], err, results)
	}
}

// prepare returns a pendingQuery for each query, and the error of those that cannot be read.
func (s *reader) prepare(queries []backlog.Query, results []backlog.Result) []pendingQuery {
	now := time.Now()
	pending := slices.Grow(s.pending[:0], len(queries))
	s.tracker.planning.Lock()
	defer s.tracker.planning.Unlock()
	for i, q := range queries {
		p, err := s.tracker.plan(&s.order, i, q, now, s.prepareQuery)
		if err != nil {
			results[i] = backlog.Result{Err: err}
			continue
		}
		// The array may hold an earlier result; the rest of it is overwritten.
		results[i].Err = nil
		pending = append(pending, pendingQuery{plan: p, index: i, step: p.first, armed: true})
	}
	s.pending = pending
	if unused := s.tracker.expire(now); len(unused) > 0 {
		s.topology.Forget(unused)
	}
	return pending
}

func (s *source) prepareQuery(q backlog.Query) (step, error) {
	l, found := s.layouts[q.Layout]
	if !found {
		return nil, fmt.Errorf("%w: redis has no layout %q", backlog.ErrMismatch, q.Layout)
	}
	queues, err := backlog.ParseQueues(q.Queue)
	if err == nil && q.Workers {
		err = l.KnowsWorkers(q)
	}
	switch {
	case err != nil:
		return nil, &backlog.ReadError{Query: q, Connection: s.connection, Err: fmt.Errorf("%w: %w", backlog.ErrMismatch, err)}
	case q.Workers && l.WorkersScope != nil:
		return &firstStep{l.Workers(q)}, nil
	case queues.Several():
		return newMultiQueue(l, q, queues, s.keys, s.quota), nil
	default:
		search := s.keys.For(q)
		q.Queue = backlog.Unescape(queues.String())
		return &firstStep{l.Reader(q, search)}, nil
	}
}

// A batch is the commands of one round trip and their replies.
type batch struct {
	commands []resp.Command
	replies  []resp.Reply
	err      error   // of the only connection there is
	errs     []error // of the connections, for each command; nil if there is only one
	// only is the server that all commands were sent to, or nodes that of each of them.
	only  *node.Node
	nodes []*node.Node
}

// from returns the address of the server that answered the command at a place.
func (b *batch) from(at int) string {
	if b.nodes == nil {
		return b.only.Address()
	}
	return b.nodes[at].Address()
}

// failure returns why a command of a query was not answered, nil if all of them were. Over the
// only connection there is, a query without commands fails too: it is no answer that there
// was nothing to ask.
func (b *batch) failure(p *pendingQuery) error {
	if b.errs == nil {
		return b.err
	}
	for _, err := range b.errs[p.from:p.to] {
		if err != nil {
			return err
		}
	}
	return nil
}

// roundTrip makes one round trip for all pending. It returns the pending that need another one.
func (s *reader) roundTrip(ctx context.Context, pending []pendingQuery, results []backlog.Result) ([]pendingQuery, error) {
	slots, err := s.topology.Current(ctx)
	if err != nil {
		return pending, err
	}
	now := time.Now()
	b := batch{commands: s.buffer[:0]}
	for i := range pending {
		b.commands = s.appendCommands(&pending[i], b.commands, now)
		if k := pending[i].plan.changer; k != nil && k.keysChanged() {
			// Before they are read: a change of a key must find the query that it is of.
			s.topology.Forget(s.tracker.retrack(pending[i].plan, now))
		}
	}
	s.buffer = b.commands
	s.send(ctx, slots, pending, &b)
	at := time.Now()
	// What was answered is not held until the next read.
	defer clear(b.replies)
	again := pending[:0]
	stale := false
	for i := range pending {
		moved, more := s.conclude(&pending[i], &b, now, at, results)
		stale = stale || moved
		if more {
			again = append(again, pending[i])
		}
	}
	if !stale {
		return again, nil
	}
	next, err := s.topology.Refresh(ctx)
	if err != nil {
		return again, err
	}
	if next == slots {
		return s.giveUp(again, results), nil
	}
	return again, nil
}

// send sends each command to the server that owns its key, all servers at once.
func (s *reader) send(ctx context.Context, m *topology.SlotMap, pending []pendingQuery, b *batch) {
	if only := m.Only(); only != nil && len(s.moved) == 0 && !redirected(pending) {
		b.only = only
		if b.replies, b.err = s.do(ctx, only, b.commands, s.replies); b.err == nil {
			s.replies = b.replies
		}
		b.err = s.ofConnection(b.err)
		return
	}
	b.replies = make([]resp.Reply, len(b.commands))
	b.errs = make([]error, len(b.commands))
	b.nodes = make([]*node.Node, len(b.commands))
	parts := make(map[*node.Node][]int)
	for i := range pending {
		for at := pending[i].from; at < pending[i].to; at++ {
			n, err := s.route(m, &pending[i], at, &b.commands[at])
			if err != nil {
				b.errs[at] = err
				continue
			}
			b.nodes[at] = n
			parts[n] = append(parts[n], at)
		}
	}
	var running sync.WaitGroup
	for n, places := range parts {
		running.Go(func() { s.sendPart(ctx, b, n, places) })
	}
	running.Wait()
}

// redirected reports whether a command has to be sent to another server than the owner of its key.
func redirected(pending []pendingQuery) bool {
	for i := range pending {
		if pending[i].redirects != nil {
			return true
		}
	}
	return false
}

// route returns the server to which a command of a query is sent.
func (s *reader) route(m *topology.SlotMap, p *pendingQuery, at int, c *resp.Command) (*node.Node, error) {
	if to, redirected := p.redirects[at-p.from]; redirected {
		c.Asking = to.Asking
		return s.topology.Node(m, to.Address)
	}
	if len(s.moved) > 0 {
		if address, moved := s.moved[topology.SlotOf(c.Key)]; moved {
			return s.topology.Node(m, address)
		}
	}
	return m.Node(c.Key)
}

// sendPart sends the commands at the given places to one server.
func (s *reader) sendPart(ctx context.Context, b *batch, n *node.Node, places []int) {
	commands := make([]resp.Command, len(places))
	for i, at := range places {
		commands[i] = b.commands[at]
	}
	replies, err := s.do(ctx, n, commands, nil)
	err = s.ofConnection(err)
	for i, at := range places {
		if err != nil {
			b.errs[at] = err
		} else {
			b.replies[at] = replies[i]
		}
	}
}

// pieceLength is how many commands of a read in pieces are sent to a server at once: a few tenths of a
// millisecond of its time, and of ours.
const pieceLength = 500

// do runs commands on one server and returns their replies, in the array of dst if it is large enough.
func (s *reader) do(ctx context.Context, n *node.Node, commands []resp.Command, dst []resp.Reply) ([]resp.Reply, error) {
	if !s.inPieces {
		return n.Do(ctx, commands, dst)
	}
	all := slices.Grow(dst[:0], len(commands))
	for len(commands) > 0 {
		some := commands[:resp.Undivided(commands, pieceLength)]
		replies, err := n.Do(ctx, some, all[len(all):])
		if err != nil {
			return nil, err
		}
		all, commands = append(all, replies...), commands[len(some):]
	}
	return all, nil
}
