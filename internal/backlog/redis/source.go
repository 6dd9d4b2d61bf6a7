package redis

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/layout"
)

// A source reads the queues of one connection. It implements backlog.Source and
// backlog.Waker.
type source struct {
	cfg      *config
	layouts  map[string]layout.Layout
	watch    *watchlist
	wakes    *wakes
	topology *topology
	finder   *finder
	ledger   *ledger
	panel    *panel // nil for a single server
	// whole answers Read.
	whole reader

	// worked says that a queue has been read. The goroutine that reads sets it.
	worked atomic.Bool

	// end stops the goroutines of tasks.
	end     context.CancelFunc
	tasks   sync.WaitGroup
	closing sync.Once
}

// open returns a source for a connection. It connects in the background.
func open(ctx context.Context, c backlog.Connection, log *slog.Logger) (backlog.Source, error) {
	cfg, err := newConfig(c)
	if err != nil {
		return nil, fmt.Errorf("open connection %q: %w", c.Name, err)
	}
	routeClientLog(log)
	s, err := openWith(ctx, cfg, log)
	if err != nil {
		return nil, err
	}
	if cfg.mode == modeCluster {
		return &shardedSource{source: s}, nil
	}
	return s, nil
}

// openWith returns a source for settings that are ready for use.
func openWith(ctx context.Context, cfg *config, log *slog.Logger) (*source, error) {
	s := &source{cfg: cfg, layouts: make(map[string]layout.Layout), watch: newWatchlist(), wakes: newWakes(), ledger: newLedger()}
	s.whole.source = s
	for _, l := range layouts() {
		s.layouts[l.Name] = l
	}
	log = log.With("connection", cfg.connection)
	resolve := resolveStandalone(cfg)
	switch cfg.mode {
	case modeSentinel:
		s.panel = newPanel(cfg, cfg.sentinelLogin, fmt.Errorf("%w %q", errNoMaster, cfg.masterName), sentinelPanel)
		resolve = resolveSentinel(cfg, s.panel)
	case modeCluster:
		s.panel = newPanel(cfg, cfg.login, errNoSlots, clusterPanel)
		resolve = resolveCluster(s.panel)
	}
	openNode := func(address string) *node { return newNode(cfg, address, s.wakes, s.watch, log) }
	s.topology = newTopology(resolve, openNode, s.wakes, log)
	s.finder = newFinder(s.topology, s.wakes)
	// The goroutines live as long as the source, not as long as the call that opens it.
	life, end := context.WithCancel(context.WithoutCancel(ctx))
	s.end = end
	s.tasks.Go(func() { s.wakes.forward(life) })
	s.tasks.Go(func() { s.finder.run(life) })
	if s.panel != nil {
		s.tasks.Go(func() { s.topology.watch(life) })
	} else if _, err := s.topology.refresh(life); err != nil {
		return nil, err
	}
	return s, nil
}

// Wakes implements backlog.Waker.
func (s *source) Wakes() <-chan backlog.Wake { return s.wakes.out }

// Status implements backlog.Source. Of several servers it shows the one of which
// changes are noticed worst.
func (s *source) Status() backlog.Status {
	worst := backlog.Status{IdlePoll: s.cfg.idlePoll}
	r := s.topology.now.Load()
	if r == nil {
		return worst
	}
	rank := []string{"", wakeTracking, wakeKeyspace, wakePoll}
	for _, address := range r.addresses() {
		status := r.nodes[address].status()
		worst.IdlePoll = max(worst.IdlePoll, status.IdlePoll)
		if slices.Index(rank, status.WakeUp) > slices.Index(rank, worst.WakeUp) {
			worst.WakeUp, worst.WakeUpReason = status.WakeUp, status.WakeUpReason
		}
		if status.Server != "" && !strings.Contains(worst.Server, status.Server) {
			worst.Server = strings.TrimPrefix(worst.Server+", "+status.Server, ", ")
		}
	}
	return worst
}

// record returns what is known of the server.
func (s *source) record() record {
	return record{server: s.Status().Server, worked: s.worked.Load()}
}

// Close implements backlog.Source.
func (s *source) Close() error {
	s.closing.Do(func() {
		s.end()
		s.topology.close()
		s.tasks.Wait()
		if s.panel != nil {
			s.panel.close()
		}
	})
	return nil
}
