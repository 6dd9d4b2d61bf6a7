package rabbitmq

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/quota"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/rabbitmq/lag"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/rabbitmq/management"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/rabbitmq/tap"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/reads"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/wakes"
)

// A source reads the queues of one connection. It implements backlog.Source, backlog.Waker and
// backlog.Prober.
type source struct {
	cfg        *config
	connector  *connector
	management *management.API // nil without a management API
	streams    *lag.Streams    // nil without streamAddresses
	taps       *tap.Taps       // nil where the connection allows none
	wakes      *wakes.Queue

	// gate ends the calls that are under way with the source, and tasks are its goroutines.
	gate    *reads.Gate
	tasks   sync.WaitGroup
	closing sync.Once

	// The goroutine that reads owns what follows.

	plans     map[backlog.Query]*plan
	histories map[string]*history
	quota     *quota.Quota
	// epoch is that of the last session.
	epoch string
	swept time.Time

	// mu guards unsettled, the queries whose readings the next listing may change.
	mu        sync.Mutex
	unsettled map[backlog.Query]struct{}
}

// open returns a source for a connection. It connects when it is read.
func open(ctx context.Context, c backlog.Connection, log *slog.Logger) (backlog.Source, error) {
	cfg, err := newConfig(c)
	if err != nil {
		return nil, fmt.Errorf("open connection %q: %w", c.Name, err)
	}
	gate, life := reads.NewGate(ctx)
	s := &source{
		cfg: cfg, wakes: wakes.New(), gate: gate, quota: quota.New(),
		plans: make(map[backlog.Query]*plan), histories: make(map[string]*history), unsettled: make(map[backlog.Query]struct{}),
	}
	s.connector = newConnector(life, cfg, &s.tasks, s.wakes.WakeAll)
	if cfg.managed {
		if s.management, err = management.New(c, &cfg.Config, cfg.interval, s.settled, log); err != nil { //nolint:contextcheck // a request has the context of the goroutine that sends it
			gate.Close()
			return nil, err
		}
		s.tasks.Go(func() { s.management.Run(life) })
	}
	if len(cfg.streams) > 0 {
		s.streams = lag.New(life, &cfg.Config, cfg.streams, &s.tasks)
	}
	if cfg.taps {
		s.taps = tap.New(&cfg.Config, s.connector.Address, s.management, s.wakes)
		s.tasks.Go(func() { s.taps.Run(life) })
	}
	s.tasks.Go(func() { s.wakes.Run(life) })
	return s, nil
}

// settled wakes the queries that wait for a listing.
func (s *source) settled() {
	s.mu.Lock()
	queries := make([]backlog.Query, 0, len(s.unsettled))
	for q := range s.unsettled {
		queries = append(queries, q)
	}
	clear(s.unsettled)
	s.mu.Unlock()
	s.wakes.Wake(queries)
}

// Wakes implements backlog.Waker.
func (s *source) Wakes() <-chan backlog.Wake { return s.wakes.Out() }

// Status implements backlog.Source.
func (s *source) Status() backlog.Status {
	status := backlog.Status{Server: s.server(), WakeUp: tap.WakeUpPoll, IdlePoll: s.cfg.idlePoll}
	if s.taps == nil {
		return status
	}
	up, reason := s.taps.Status()
	if status.WakeUpReason = reason; up {
		status.WakeUp = tap.WakeUpTap
	}
	return status
}

// Probe implements backlog.Prober.
func (s *source) Probe(ctx context.Context) error {
	ctx, leave, err := s.gate.Enter(ctx)
	if err != nil {
		return err
	}
	defer leave()
	session, err := s.connector.Session(ctx)
	if err == nil {
		_, err = session.declare(ctx, nil, s.cfg.Answer)
	}
	if err == nil && s.management != nil {
		_, err = s.management.Latest(ctx, 0, s.cfg.Answer)
	}
	if err == nil && s.streams != nil {
		err = s.streams.Probe(ctx)
	}
	if err != nil {
		return fmt.Errorf("ask connection %q: %w", s.cfg.connection, err)
	}
	return nil
}

// Close implements backlog.Source.
func (s *source) Close() error {
	s.closing.Do(func() {
		s.gate.Close()
		s.connector.Close()
		if s.streams != nil {
			s.streams.Close()
		}
		s.tasks.Wait()
	})
	return nil
}
