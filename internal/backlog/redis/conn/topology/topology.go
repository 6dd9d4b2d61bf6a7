package topology

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
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/conn"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/conn/node"
)

const (
	// refreshInterval is how often Sentinel or the cluster is asked whether the servers
	// have changed. Nothing else would show that: a queue that is empty has no key that could
	// be moved, and its arming ends in silence when its slot goes to another server.
	refreshInterval = time.Second
	// refreshPause is the least time between two such questions where a server says that a
	// slot has moved. Many slots move one after the other.
	refreshPause = 500 * time.Millisecond
)

// ErrNotFound is a slot map that could not be asked for.
var ErrNotFound = errors.New("find the servers")

// A Topology knows which server answers for which key, and owns their nodes.
type Topology struct {
	cfg         *conn.Config
	resolve     resolver
	open        func(address string) *node.Node
	waker       node.Waker
	log         *slog.Logger
	provisional *provisional
	clients     *clientSet // nil for a single server

	// current is the slot map that readers use; nil until it was resolved once. The holder of
	// semaphore writes it.
	current atomic.Pointer[SlotMap]
	// distrust is why the slot map must not be used although it is known; nil if it may. The
	// holder of semaphore writes it.
	distrust atomic.Pointer[error]

	// semaphore is held over I/O by the one that resolves. It guards resolved, which is when
	// the last attempt began that succeeded.
	semaphore chan struct{}
	resolved  time.Time
	// sooner holds a value when the slot map is to be asked for before it is time.
	sooner chan struct{}
	closed atomic.Bool
}

// New returns the topology for some settings. It asks for nothing yet.
func New(cfg *conn.Config, tracker node.Tracker, waker node.Waker, log *slog.Logger) *Topology {
	open := func(address string) *node.Node { return node.New(cfg, address, tracker, waker, log) }
	t := newTopology(resolveStandalone(cfg), open, waker, log)
	t.cfg = cfg
	switch cfg.Mode {
	case conn.ModeSentinel:
		t.clients = newClientSet(cfg, cfg.SentinelLogin, fmt.Errorf("%w %q", ErrNoMaster, cfg.MasterName), sentinelClients)
		t.resolve = resolveSentinel(cfg, t.clients)
	case conn.ModeCluster:
		t.clients = newClientSet(cfg, cfg.Login, ErrNoSlots, clusterClients)
		t.resolve = resolveCluster(t.clients)
	}
	return t
}

func newTopology(resolve resolver, open func(string) *node.Node, waker node.Waker, log *slog.Logger) *Topology {
	return &Topology{
		resolve: resolve, open: open, waker: waker, log: log,
		provisional: newProvisional(open),
		semaphore:   make(chan struct{}, 1), sooner: make(chan struct{}, 1),
	}
}

// Node returns the server at an address that another server has named. It is opened if it
// owns no slots yet.
func (t *Topology) Node(m *SlotMap, address string) (*node.Node, error) {
	if n := m.nodes[address]; n != nil {
		return n, nil
	}
	if n := t.current.Load().nodes[address]; n != nil {
		return n, nil
	}
	return t.provisional.node(address)
}

// Known returns the slot map, from memory; nil if it was never known.
func (t *Topology) Known() *SlotMap { return t.current.Load() }

// Current returns the slot map, asking for it if it was never known.
func (t *Topology) Current(ctx context.Context) (*SlotMap, error) {
	if why := t.distrust.Load(); why != nil {
		return nil, *why
	}
	if m := t.current.Load(); m != nil {
		return m, nil
	}
	return t.Refresh(ctx)
}

// Refresh asks for the slot map and returns it. Nodes that are new are opened and nodes that
// are gone are closed; then everything may have changed. Callers that ask at a time share one
// answer.
func (t *Topology) Refresh(ctx context.Context) (m *SlotMap, err error) {
	defer backlog.Contain(&err)
	asked := time.Now()
	select {
	case t.semaphore <- struct{}{}:
		defer func() { <-t.semaphore }()
	case <-ctx.Done():
		return nil, fmt.Errorf("wait for the topology: %w", context.Cause(ctx))
	}
	if t.closed.Load() {
		return nil, conn.ErrClosed
	}
	old := t.current.Load()
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
		err = fmt.Errorf("%w: %w", ErrNotFound, err)
		if errors.Is(err, errCutOff) {
			t.setDistrust(err)
		}
		return nil, err
	}
	t.resolved = began
	t.setDistrust(nil)
	t.provisional.expire(began)
	if old != nil && slices.Equal(old.shards, shards) {
		return old, nil
	}
	return t.replace(old, shards), nil
}

// setDistrust notes why the slot map must not be used, or that it may. Then everything may
// have changed. The caller holds semaphore.
func (t *Topology) setDistrust(why error) {
	var distrust *error
	if why != nil {
		distrust = &why
	}
	if before := t.distrust.Swap(distrust); (before == nil) == (distrust == nil) {
		return
	}
	if why != nil {
		t.log.Warn("servers not believed", "error", why)
	}
	t.waker.WakeAll()
}

// replace makes shards the slot map in place of old. The caller holds semaphore.
func (t *Topology) replace(old *SlotMap, shards []shard) *SlotMap {
	next := &SlotMap{shards: shards, nodes: make(map[string]*node.Node)}
	for _, s := range shards {
		if next.nodes[s.address] != nil {
			continue
		}
		n := t.provisional.remove(s.address)
		if old != nil && old.nodes[s.address] != nil {
			n = old.nodes[s.address]
		}
		if n == nil {
			n = t.open(s.address)
		}
		next.nodes[s.address] = n
	}
	t.current.Store(next)
	if old == nil {
		return next
	}
	t.log.Info("servers changed", "servers", strings.Join(next.addresses(), ", "))
	t.waker.WakeAll()
	closeNodes(old, next)
	return next
}

// Run asks for the slot map again and again until ctx ends. That of a single server does not
// change, so one Refresh is enough.
func (t *Topology) Run(ctx context.Context) {
	ticker := time.NewTicker(refreshInterval)
	defer ticker.Stop()
	for {
		// A failure shows in the next read, if it matters.
		_, _ = t.Refresh(ctx)
		pause(ctx, refreshPause)
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		case <-t.sooner:
		}
	}
}

// pause waits for d or until ctx ends.
func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}

// TriggerRefresh makes Run ask for the slot map soon.
func (t *Topology) TriggerRefresh() {
	select {
	case t.sooner <- struct{}{}:
	default:
	}
}

// Forget unsubscribes all servers from keys that are not read any more.
func (t *Topology) Forget(keys []string) {
	if m := t.current.Load(); m != nil {
		for _, n := range m.nodes {
			n.Forget(keys)
		}
	}
	t.provisional.forget(keys)
}

// CloseScans closes the connections on which keys are searched. They open again when needed.
func (t *Topology) CloseScans() {
	if m := t.current.Load(); m != nil {
		for _, n := range m.nodes {
			n.CloseScan()
		}
	}
}

// maxRisks bounds the risks of the servers of a connection that are reported.
const maxRisks = 20

// Status describes the servers, from memory. Of several it shows the one whose changes are
// noticed worst.
func (t *Topology) Status() backlog.Status {
	worst := backlog.Status{IdlePoll: t.cfg.IdlePoll}
	m := t.current.Load()
	if m == nil {
		return worst
	}
	rank := []string{"", conn.WakeTracking, conn.WakeKeyspace, conn.WakePoll}
	for _, n := range m.Nodes() {
		status := n.Status()
		worst.IdlePoll = max(worst.IdlePoll, status.IdlePoll)
		if slices.Index(rank, status.WakeUp) > slices.Index(rank, worst.WakeUp) {
			worst.WakeUp, worst.WakeUpReason = status.WakeUp, status.WakeUpReason
		}
		if status.Server != "" && !strings.Contains(worst.Server, status.Server) {
			worst.Server = strings.TrimPrefix(worst.Server+", "+status.Server, ", ")
		}
		for _, risk := range status.Risks {
			if len(m.nodes) > 1 {
				risk.Text = n.Address() + ": " + risk.Text
			}
			if len(worst.Risks) < maxRisks {
				worst.Risks = append(worst.Risks, risk)
			}
		}
	}
	return worst
}

// Close closes all nodes and waits for them. The caller has ended the context of Run before.
func (t *Topology) Close() {
	t.closed.Store(true)
	t.semaphore <- struct{}{}
	defer func() { <-t.semaphore }()
	t.provisional.close()
	if m := t.current.Load(); m != nil {
		closeNodes(m, nil)
	}
	if t.clients != nil {
		t.clients.close()
	}
}

// closeNodes closes the nodes of old that are not in next.
func closeNodes(old, next *SlotMap) {
	var closing sync.WaitGroup
	for address, n := range old.nodes {
		if next == nil || next.nodes[address] == nil {
			closing.Go(n.Close)
		}
	}
	closing.Wait()
}
