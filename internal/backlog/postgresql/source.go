package postgresql

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/postgresql/layout"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/reads"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/sqlqueue"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/wakes"
)

// A source reads the queues of one connection. It implements backlog.Source, backlog.Confirmer and
// backlog.Prober.
type source struct {
	cfg     *config
	layouts map[string]sqlqueue.Layout
	log     *slog.Logger
	// link reads the layouts. The goroutine that reads uses it.
	link *link
	// queries runs the SQL of users.
	queries  *queryRunner
	listener *listener
	wakes    *wakes.Queue
	// facts are what the server said of itself, and asked is when. The goroutine that reads uses them.
	facts facts
	asked time.Time
	// server is its name and version, for Status.
	server atomic.Pointer[string]
	// worked reports that the connection has been read from, so that what fails now is an outage.
	worked bool
	// hasClients reports that a queue was read whose clients notify. The goroutine that reads and
	// confirms uses it.
	hasClients bool
	// took is how long the last read took.
	took atomic.Int64

	// gate ends the calls that are under way with the source, and tasks are its goroutines.
	gate  *reads.Gate
	tasks sync.WaitGroup
}

// open returns a source for a connection. It connects when it is read.
func open(ctx context.Context, c backlog.Connection, log *slog.Logger) (backlog.Source, error) {
	cfg, err := newConfig(c)
	if err != nil {
		return nil, fmt.Errorf("open connection %q: %w", c.Name, err)
	}
	s := &source{cfg: cfg, layouts: make(map[string]sqlqueue.Layout), log: log.With("connection", c.Name), wakes: wakes.New()}
	for _, l := range layout.All() {
		s.layouts[l.Name] = l
	}
	s.link = newLink(cfg.read, cfg.dialTimeout, ignore)
	s.queries = &queryRunner{link: newLink(cfg.read, cfg.dialTimeout, ignore), timeout: cfg.statementTimeout}
	s.listener = newListener(cfg, s.wakes, s.log)
	gate, life := reads.NewGate(ctx)
	s.gate = gate
	s.tasks.Go(func() { s.wakes.Run(life) })
	if !cfg.poll {
		s.tasks.Go(func() { s.listener.run(life) })
	}
	return s, nil
}

// ignore is for connections that listen to nothing. A pooler may have one that does.
func ignore(string, string) {}

// Wakes implements backlog.Waker.
func (s *source) Wakes() <-chan backlog.Wake { return s.wakes.Out() }

// Status implements backlog.Source.
func (s *source) Status() backlog.Status {
	status := backlog.Status{WakeUp: "poll", IdlePoll: s.cfg.idlePoll}
	if server := s.server.Load(); server != nil {
		status.Server = *server
	}
	// Reads take a fifth of the time at the most.
	status.IdlePoll = max(status.IdlePoll, 5*time.Duration(s.took.Load()))
	if s.cfg.poll {
		status.WakeUpReason = "wakeUp is poll"
		return status
	}
	if verified, _ := s.listener.state(); verified {
		status.WakeUp = "listen"
	}
	status.WakeUpReason = s.listener.why()
	return status
}

// Probe implements backlog.Prober.
func (s *source) Probe(ctx context.Context) error {
	ctx, leave, err := s.gate.Enter(ctx)
	if err != nil {
		return err
	}
	defer leave()
	s.asked = time.Time{}
	if err := s.refresh(ctx); err != nil {
		return fmt.Errorf("ask connection %q: %w", s.cfg.name, s.advised(err))
	}
	return nil
}

// Confirm implements backlog.Confirmer: a notification that another connection sends now arrives after
// all that were sent before. It connects to nothing: what was lost with a connection has to be read.
func (s *source) Confirm(ctx context.Context) (until time.Time, err error) {
	ctx, leave, err := s.gate.Enter(ctx)
	if err != nil {
		return time.Time{}, err
	}
	defer leave()
	defer backlog.Contain(&err)
	until = time.Now()
	unsupported := fmt.Errorf("confirm connection %q: %w", s.cfg.name, errUnsupported)
	if verified, _ := s.listener.state(); !verified || !s.link.isOpen() {
		return time.Time{}, unsupported
	}
	probe, n, up := s.listener.probe(until)
	if !up {
		return time.Time{}, unsupported
	}
	err = s.link.transaction(ctx, s.cfg.statementTimeout, probe)
	if err == nil {
		err = s.listener.expect(ctx, n)
	}
	if err != nil {
		return time.Time{}, fmt.Errorf("confirm connection %q: %w", s.cfg.name, failed(err))
	}
	return s.confirmed(until)
}

// Close implements backlog.Source.
func (s *source) Close() error {
	s.gate.Close()
	s.tasks.Wait()
	s.link.close()
	s.queries.link.close()
	return nil
}
