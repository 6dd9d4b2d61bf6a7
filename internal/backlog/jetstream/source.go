package jetstream

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/reads"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/wakes"
)

// A source reads the consumers of one connection. It implements backlog.Source, backlog.Waker and
// backlog.Prober.
//
// It is no backlog.Confirmer: a server that answers has reported the messages that it had, and those that
// are on their way to it from other servers of the cluster it does not know.
type source struct {
	cfg       *config
	connector *connector
	wakes     *wakes.Queue
	alarms    *alarms
	log       *slog.Logger

	// gate ends the calls that are under way with the source, and tasks are its goroutines.
	gate    *reads.Gate
	tasks   sync.WaitGroup
	closing sync.Once

	// The goroutine that reads owns what follows: what is known from one read to the next.

	specs map[backlog.Query]*spec
	lives map[string]*life
	// silent has the subjects that had no answer, and when they were asked last.
	silent map[string]time.Time
	swept  time.Time

	// mu guards what follows: why queues are polled, as a text unless that is stale.
	mu     sync.Mutex
	polled map[backlog.Query]string
	text   string
	stale  bool
}

// open returns a source for a connection. It connects when it is read.
func open(ctx context.Context, c backlog.Connection, log *slog.Logger) (backlog.Source, error) {
	cfg, err := newConfig(c)
	if err != nil {
		return nil, fmt.Errorf("open connection %q: %w", c.Name, err)
	}
	gate, alive := reads.NewGate(ctx)
	s := &source{
		cfg: cfg, wakes: wakes.New(), log: log.With("connection", c.Name), gate: gate,
		specs: make(map[backlog.Query]*spec), lives: make(map[string]*life), silent: make(map[string]time.Time), polled: make(map[backlog.Query]string),
	}
	s.alarms = newAlarms(s.wakes.Wake)
	s.connector = newConnector(alive, cfg, &s.tasks, s.alarms, s.wakes.WakeAll)
	s.tasks.Go(func() { s.alarms.run(alive) })
	s.tasks.Go(func() { s.wakes.Run(alive) })
	return s, nil
}

// Wakes implements backlog.Waker.
func (s *source) Wakes() <-chan backlog.Wake { return s.wakes.Out() }

// Status implements backlog.Source.
func (s *source) Status() backlog.Status {
	status := backlog.Status{IdlePoll: s.cfg.idlePoll}
	session := s.connector.existing()
	if session != nil {
		status.Server = session.server
	}
	switch {
	case s.cfg.poll:
		status.WakeUp, status.WakeUpReason = wakePoll, "wakeUp is poll"
	case s.cfg.foreign != "":
		status.WakeUp, status.WakeUpReason = wakePoll, s.cfg.foreign
	case session != nil:
		status.WakeUp, status.WakeUpReason = wakeSubscribe, s.reason()
	}
	return status
}

// reason returns why some queues are polled; empty if none is.
func (s *source) reason() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.stale {
		return s.text
	}
	s.text, s.stale = "", false
	if len(s.polled) == 0 {
		return ""
	}
	// The same one as long as it is polled.
	first := slices.MinFunc(slices.Collect(maps.Keys(s.polled)), func(a, b backlog.Query) int {
		return strings.Compare(a.String()+string(a.Params), b.String()+string(b.Params))
	})
	s.text = backlog.Line(fmt.Sprintf("%d queues are polled, such as %s: %s", len(s.polled), first, s.polled[first]))
	return s.text
}

// note notes why a query is polled; empty if it is not.
func (s *source) note(q backlog.Query, reason string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.polled[q] == reason {
		return
	}
	s.stale = true
	if reason == "" {
		delete(s.polled, q)
		return
	}
	s.polled[q] = reason
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
		err = parseAccount(session.ask(ctx, []question{{subject: s.cfg.api + "INFO"}})[0])
	}
	if session != nil && errors.Is(err, backlog.ErrDenied) {
		// The user may have the rights to ask for queues only.
		return nil
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
		s.tasks.Wait()
	})
	return nil
}
