package redis

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
)

// topologyInterval is how often Sentinel or the cluster is asked whether the servers
// have changed. Nothing else would tell: a queue that is empty has no key that could
// be moved, and its arming ends in silence when its slot goes to another server.
const topologyInterval = time.Second

// errFindServers is a topology that could not be asked for.
var errFindServers = errors.New("find the servers")

// A shard is a range of slots, both ends included, and the server that owns them.
type shard struct {
	from, to int
	address  string
}

// A topology knows which server answers for which key, and owns their nodes.
type topology struct {
	cfg *config
	// resolve asks for the shards, in the order of their slots.
	resolve func(context.Context) ([]shard, error)
	open    func(address string) *node
	wakes   *wakes
	log     *slog.Logger

	// now is the state that readers use; nil until it was resolved once.
	now atomic.Pointer[routing]

	// turn is held by the one who resolves, over I/O. It guards writes to now.
	turn   chan struct{}
	closed atomic.Bool
}

// A routing is one state of a topology. It never changes.
type routing struct {
	shards []shard
	nodes  map[string]*node
}

// node returns the server that owns the key.
func (r *routing) node(key string) (*node, error) {
	if n := r.only(); n != nil {
		return n, nil
	}
	slot := slotOf(key)
	i, found := slices.BinarySearchFunc(r.shards, slot, func(s shard, slot int) int {
		switch {
		case s.to < slot:
			return -1
		case s.from > slot:
			return 1
		default:
			return 0
		}
	})
	if !found {
		return nil, fmt.Errorf("%w: no server of the cluster owns slot %d", backlog.ErrUnavailable, slot)
	}
	return r.nodes[r.shards[i].address], nil
}

// only returns the one server there is, nil if there are several.
func (r *routing) only() *node {
	if len(r.shards) != 1 {
		return nil
	}
	return r.nodes[r.shards[0].address]
}

// at returns the server at an address that another server has named.
func (r *routing) at(address string) (*node, error) {
	if n := r.nodes[address]; n != nil {
		return n, nil
	}
	return nil, fmt.Errorf("%w: the server %s owns no slots yet", backlog.ErrUnavailable, address)
}

func newTopology(cfg *config, resolve func(context.Context) ([]shard, error), open func(string) *node, wakes *wakes, log *slog.Logger) *topology {
	return &topology{cfg: cfg, resolve: resolve, open: open, wakes: wakes, log: log, turn: make(chan struct{}, 1)}
}

// current returns the state, asking for it if it was never known.
func (t *topology) current(ctx context.Context) (*routing, error) {
	if r := t.now.Load(); r != nil {
		return r, nil
	}
	return t.refresh(ctx)
}

// refresh asks for the state and returns it. Nodes that are new are opened and nodes
// that are gone are closed; then everything may have changed.
func (t *topology) refresh(ctx context.Context) (*routing, error) {
	select {
	case t.turn <- struct{}{}:
		defer func() { <-t.turn }()
	case <-ctx.Done():
		return nil, fmt.Errorf("wait for the topology: %w", context.Cause(ctx))
	}
	if t.closed.Load() {
		return nil, errClosed
	}
	shards, err := t.resolve(ctx)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errFindServers, err)
	}
	old := t.now.Load()
	if old != nil && slices.Equal(old.shards, shards) {
		return old, nil
	}
	next := &routing{shards: shards, nodes: make(map[string]*node)}
	for _, s := range shards {
		if next.nodes[s.address] != nil {
			continue
		}
		if old != nil && old.nodes[s.address] != nil {
			next.nodes[s.address] = old.nodes[s.address]
			continue
		}
		next.nodes[s.address] = t.open(s.address)
	}
	t.now.Store(next)
	if old == nil {
		return next, nil
	}
	t.log.Info("servers changed", "servers", strings.Join(next.addresses(), ", "))
	t.wakes.addEverything()
	closeNodes(old, next)
	return next, nil
}

// watch asks for the state again and again until ctx ends.
func (t *topology) watch(ctx context.Context) {
	ticker := time.NewTicker(topologyInterval)
	defer ticker.Stop()
	for {
		// A failure shows in the next read, if it matters.
		_, _ = t.refresh(ctx)
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// forget lets all servers know which keys nobody reads any more.
func (t *topology) forget(keys []string) {
	if r := t.now.Load(); r != nil {
		for _, n := range r.nodes {
			n.forget(keys)
		}
	}
}

// endSearches ends the connections on which keys are searched, if that is said.
func (t *topology) endSearches(end bool) {
	if r := t.now.Load(); r != nil && end {
		for _, n := range r.nodes {
			n.seeker.rest()
		}
	}
}

// close closes all nodes and waits for them.
func (t *topology) close() {
	t.closed.Store(true)
	t.turn <- struct{}{}
	defer func() { <-t.turn }()
	if r := t.now.Load(); r != nil {
		closeNodes(r, nil)
	}
}

// closeNodes closes the nodes of old that are not in next.
func closeNodes(old, next *routing) {
	var closing sync.WaitGroup
	for address, n := range old.nodes {
		if next == nil || next.nodes[address] == nil {
			closing.Go(n.close)
		}
	}
	closing.Wait()
}

func (r *routing) addresses() []string {
	list := make([]string, 0, len(r.nodes))
	for address := range r.nodes {
		list = append(list, address)
	}
	slices.Sort(list)
	return list
}

// A scout is the connection on which the topology is asked for. It goes from one
// candidate to the next when one fails. It is used by one goroutine at a time.
type scout struct {
	cfg *config
	who login
	// nothing is what a null answer means, such as errNoMaster.
	nothing error
	session *session
	at      int
}

// ask asks one of the candidates. One that refuses is passed over like one that does
// not answer: an old sentinel may know less than the next.
func (s *scout) ask(ctx context.Context, candidates []string, args ...any) (value any, from string, err error) {
	for range candidates {
		address := candidates[s.at%len(candidates)]
		value, problem := s.askOne(ctx, address, args)
		if problem == nil {
			return value, address, nil
		}
		problem = s.cfg.prober.look(ctx, address, s.cfg.tls, problem)
		problem = fmt.Errorf("ask %s: %w", address, problem)
		if err == nil {
			err = problem
		} else {
			err = fmt.Errorf("%w; %w", err, problem)
		}
		s.move()
		if ctx.Err() != nil {
			break
		}
	}
	return nil, "", err
}

func (s *scout) askOne(ctx context.Context, address string, args []any) (answer any, err error) {
	defer contained(&err)
	ctx, cancel := context.WithTimeout(ctx, min(s.cfg.answerTimeout, time.Second))
	defer cancel()
	if s.session == nil || s.session.ended() {
		s.close()
		opened, err := openSession(ctx, s.cfg, s.who, 0, address, func() {})
		if err != nil {
			return nil, err
		}
		s.session = opened
	}
	replies, err := s.session.do(ctx, []command{{args: args}}, nil)
	if err != nil {
		return nil, err
	}
	if errors.Is(replies[0].err, redis.Nil) {
		return nil, fmt.Errorf("%w: %w", backlog.ErrUnavailable, s.nothing)
	}
	if err := replies[0].err; err != nil {
		return nil, s.identify(ctx, err)
	}
	return replies[0].value, nil
}

// identify returns err, with which a server has refused to say where the servers are, with
// what the server says it is.
func (s *scout) identify(ctx context.Context, err error) error {
	if !denies(serverText(err)) || startsWith("NO", "WRONGPASS")(err) {
		return err
	}
	if s.cfg.mode == modeSentinel {
		return fmt.Errorf("%w: %w: %w", backlog.ErrUnavailable, errNoSentinel, err)
	}
	replies, failed := s.session.do(ctx, []command{{args: []any{"INFO", "server"}}}, nil)
	if failed == nil && field(text(replies[0].value), "redis_mode") == "sentinel" {
		return fmt.Errorf("%w: %w: %w", backlog.ErrUnavailable, errIsSentinel, err)
	}
	return err
}

// move goes to the next candidate.
func (s *scout) move() {
	s.close()
	s.at++
}

func (s *scout) close() {
	if s.session != nil {
		s.session.close()
		s.session = nil
	}
}
