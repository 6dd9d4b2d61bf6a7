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

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
)

const (
	// topologyInterval is how often Sentinel or the cluster is asked whether the servers
	// have changed. Nothing else would tell: a queue that is empty has no key that could
	// be moved, and its arming ends in silence when its slot goes to another server.
	topologyInterval = time.Second
	// topologyPause is the least time between two such questions where a server says that a
	// slot has moved. Many slots move one after the other.
	topologyPause = 500 * time.Millisecond
)

var (
	// errFindServers is a topology that could not be asked for.
	errFindServers = errors.New("find the servers")
	errNoOwner     = errors.New("no server of the cluster owns slot")
)

// A shard is a range of slots, both ends included, and the server that owns them.
type shard struct {
	from, to int
	address  string
}

// A topology knows which server answers for which key, and owns their nodes.
type topology struct {
	resolve resolver
	open    func(address string) *node
	wakes   *wakes
	log     *slog.Logger
	guests  *guests

	// now is the state that readers use; nil until it was resolved once.
	now atomic.Pointer[routing]
	// doubt is why the state must not be used although it is known; nil if it may.
	doubt atomic.Pointer[error]

	// turn is held by the one who resolves, over I/O. It guards writes to now and doubt, and
	// resolved, which is when the last attempt began that succeeded.
	turn     chan struct{}
	resolved time.Time
	// sooner holds a value when the state is to be asked for before it is time.
	sooner chan struct{}
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
		return nil, fmt.Errorf("%w: %w %d", backlog.ErrUnavailable, errNoOwner, slot)
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

func newTopology(resolve resolver, open func(string) *node, wakes *wakes, log *slog.Logger) *topology {
	return &topology{
		resolve: resolve, open: open, wakes: wakes, log: log,
		guests: &guests{open: open, nodes: make(map[string]guest)},
		turn:   make(chan struct{}, 1), sooner: make(chan struct{}, 1),
	}
}

// at returns the server at an address that another server has named. It is opened if it
// owns no slots yet.
func (t *topology) at(r *routing, address string) (*node, error) {
	if n := r.nodes[address]; n != nil {
		return n, nil
	}
	if n := t.now.Load().nodes[address]; n != nil {
		return n, nil
	}
	return t.guests.at(address)
}

// current returns the state, asking for it if it was never known.
func (t *topology) current(ctx context.Context) (*routing, error) {
	if doubt := t.doubt.Load(); doubt != nil {
		return nil, *doubt
	}
	if r := t.now.Load(); r != nil {
		return r, nil
	}
	return t.refresh(ctx)
}

// refresh asks for the state and returns it. Nodes that are new are opened and nodes
// that are gone are closed; then everything may have changed. Several that ask at a time
// share one answer.
func (t *topology) refresh(ctx context.Context) (r *routing, err error) {
	defer backlog.Contain(&err)
	asked := time.Now()
	select {
	case t.turn <- struct{}{}:
		defer func() { <-t.turn }()
	case <-ctx.Done():
		return nil, fmt.Errorf("wait for the topology: %w", context.Cause(ctx))
	}
	if t.closed.Load() {
		return nil, errClosed
	}
	old := t.now.Load()
	if old != nil && !t.resolved.Before(asked) {
		return old, nil
	}
	began := time.Now()
	var known []shard
	if old != nil {
		known = old.shards
	}
	shards, err := t.resolve(ctx, known)
	if err != nil {
		err = fmt.Errorf("%w: %w", errFindServers, err)
		if errors.Is(err, errCutOff) {
			t.distrust(err)
		}
		return nil, err
	}
	t.resolved = began
	t.distrust(nil)
	t.guests.expire(began)
	if old != nil && slices.Equal(old.shards, shards) {
		return old, nil
	}
	return t.replace(old, shards), nil
}

// distrust notes why the state must not be used, or that it may. Then everything may have
// changed. The caller holds turn.
func (t *topology) distrust(why error) {
	var doubt *error
	if why != nil {
		doubt = &why
	}
	if before := t.doubt.Swap(doubt); (before == nil) == (doubt == nil) {
		return
	}
	if why != nil {
		t.log.Warn("servers not believed", "error", why)
	}
	t.wakes.addEverything()
}

// replace makes shards the state in place of old. The caller holds turn.
func (t *topology) replace(old *routing, shards []shard) *routing {
	next := &routing{shards: shards, nodes: make(map[string]*node)}
	for _, s := range shards {
		if next.nodes[s.address] != nil {
			continue
		}
		n := t.guests.leave(s.address)
		if old != nil && old.nodes[s.address] != nil {
			n = old.nodes[s.address]
		}
		if n == nil {
			n = t.open(s.address)
		}
		next.nodes[s.address] = n
	}
	t.now.Store(next)
	if old == nil {
		return next
	}
	t.log.Info("servers changed", "servers", strings.Join(next.addresses(), ", "))
	t.wakes.addEverything()
	closeNodes(old, next)
	return next
}

// watch asks for the state again and again until ctx ends.
func (t *topology) watch(ctx context.Context) {
	ticker := time.NewTicker(topologyInterval)
	defer ticker.Stop()
	for {
		// A failure shows in the next read, if it matters.
		_, _ = t.refresh(ctx)
		rest(ctx, topologyPause)
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		case <-t.sooner:
		}
	}
}

// hurry makes watch ask for the state soon.
func (t *topology) hurry() {
	select {
	case t.sooner <- struct{}{}:
	default:
	}
}

// forget lets all servers know which keys nobody reads any more.
func (t *topology) forget(keys []string) {
	if r := t.now.Load(); r != nil {
		for _, n := range r.nodes {
			n.forget(keys)
		}
	}
	t.guests.forget(keys)
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
	t.guests.close()
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
