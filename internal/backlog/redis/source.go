package redis

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/quota"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/conn"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/conn/topology"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/keyscan"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/layout"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/wakes"
)

// A source reads the queues of one connection. It implements backlog.Sharded, backlog.Waker,
// backlog.Confirmer and backlog.Prober. A server of a cluster that is silent keeps no query waiting
// whose keys lie elsewhere.
type source struct {
	// connection is its name.
	connection string
	cfg        *conn.Config
	layouts    map[string]layout.Layout
	tracker    *tracker
	wakes      *wakes.Queue
	topology   *topology.Topology
	scanner    *keyscan.Scanner
	keys       keyFinder // scanner
	quota      *quota.Quota
	// whole answers Read, and readers answer ReadShard.
	whole   reader
	readers sync.Pool

	// The tracker's planning guards what follows: the names of shards of several servers,
	// and the state of the topology that they belong to.
	combinations map[string]struct{}
	of           slotMap

	// worked reports that a queue has been read. The goroutine that reads sets it.
	worked atomic.Bool

	// end stops the goroutines of tasks.
	end     context.CancelFunc
	tasks   sync.WaitGroup
	closing sync.Once
}

// A keyFinder finds keys: *keyscan.Scanner.
type keyFinder interface {
	// Find returns what a search found last. What it finds wakes the query.
	Find(s layout.Search, q backlog.Query, now time.Time) keyscan.Result
	// For returns the searches of a query.
	For(q backlog.Query) layout.KeySearch
}

// open returns a source for a connection. It connects in the background.
func open(ctx context.Context, c backlog.Connection, log *slog.Logger) (backlog.Source, error) {
	cfg, err := newConfig(c)
	if err != nil {
		return nil, fmt.Errorf("open connection %q: %w", c.Name, err)
	}
	conn.RouteClientLog(log)
	s, err := openWith(ctx, c.Name, cfg, log)
	if err != nil {
		return nil, err
	}
	return s, nil
}

// openWith returns a source for settings that are ready for use.
func openWith(ctx context.Context, name string, cfg *conn.Config, log *slog.Logger) (*source, error) {
	s := &source{connection: name, cfg: cfg, layouts: make(map[string]layout.Layout), wakes: wakes.New(), quota: quota.New()}
	s.tracker = newTracker(s.wakes)
	s.whole.source = s
	for _, l := range layouts() {
		s.layouts[l.Name] = l
	}
	s.topology = topology.New(cfg, s.tracker, s.tracker, log.With("connection", name))
	s.scanner = keyscan.New(s.topology, s.wakes)
	s.keys = s.scanner
	// The goroutines live as long as the source, not as long as the call that opens it.
	life, end := context.WithCancel(context.WithoutCancel(ctx))
	s.end = end
	s.tasks.Go(func() { s.wakes.Run(life) })
	s.tasks.Go(func() { s.scanner.Run(life) })
	if cfg.Mode != conn.ModeStandalone {
		s.tasks.Go(func() { s.topology.Run(life) })
	} else if _, err := s.topology.Refresh(life); err != nil {
		return nil, err
	}
	return s, nil
}

// Wakes implements backlog.Waker.
func (s *source) Wakes() <-chan backlog.Wake { return s.wakes.Out() }

// Status implements backlog.Source.
func (s *source) Status() backlog.Status { return s.topology.Status() }

// advised returns err with its reason and with what to change.
func (s *source) advised(err error) error {
	return advised(s.cfg, err, record{server: s.Status().Server, worked: s.worked.Load()})
}

// Close implements backlog.Source.
func (s *source) Close() error {
	s.closing.Do(func() {
		s.end()
		s.topology.Close()
		s.tasks.Wait()
	})
	return nil
}
