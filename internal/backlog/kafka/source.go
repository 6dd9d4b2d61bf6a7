package kafka

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/kversion"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/kafka/tail"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/quota"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/reads"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/wakes"
)

// A source reads the topics of one cluster. It implements backlog.Source, backlog.Waker and
// backlog.Prober.
type source struct {
	// connection is its name.
	connection string
	settings   backlog.Settings
	log        *slog.Logger
	client     *kgo.Client
	sender     *sender
	catalog    *catalog
	tails      waiter
	wakes      *wakes.Queue

	// The goroutine that reads owns the fields up to here: what is known from one read to the next.
	specs  map[backlog.Query]*spec
	topics map[string]*topic
	groups map[groupKey]*group
	quota  *quota.Quota
	swept  time.Time

	// worked reports that the connection has been read from, so that what fails now is an outage and
	// not the settings. server is the name and version; nil until a broker answered. The goroutine
	// that reads and the one that refreshes set them.
	worked atomic.Bool
	server atomic.Pointer[string]

	// gate ends the calls that are under way with the source, and tasks are its goroutines.
	gate  *reads.Gate
	tasks sync.WaitGroup
}

// A waiter waits at the ends of partitions: *tail.Tails.
type waiter interface {
	Arm(broker int32, at tail.Place, end int64, q backlog.Query, now time.Time) bool
	Look(broker int32, s tail.Span, q backlog.Query, now time.Time) (tail.Finding, bool)
	DeniedTopic(now time.Time) string
	Sweep(now time.Time)
	Close()
}

// open returns a source for a connection.
func open(ctx context.Context, c backlog.Connection, log *slog.Logger) (backlog.Source, error) {
	return openWith(ctx, c, log, nil)
}

// openWith returns a source that connects by dial, unless that is nil.
func openWith(ctx context.Context, c backlog.Connection, log *slog.Logger, dial dialer) (backlog.Source, error) {
	queue := wakes.New()
	client, err := newClient(c.Settings, dial, &lossHook{queue})
	if err != nil {
		return nil, fmt.Errorf("open connection %q: %w", c.Name, err)
	}
	gate, life := reads.NewGate(ctx)
	s := &source{
		connection: c.Name, settings: c.Settings, log: log.With("connection", c.Name), client: client,
		catalog: newCatalog(client), wakes: queue,
		specs: make(map[backlog.Query]*spec), topics: make(map[string]*topic), groups: make(map[groupKey]*group), quota: quota.New(),
		gate: gate,
	}
	s.sender = newSender(life, client, cmp.Or(c.Settings.Duration("answerTimeout"), answerTimeout))
	s.tails = tail.New(life, s.sender, s.wakes)
	s.tasks.Go(func() { s.wakes.Run(life) })
	s.tasks.Go(func() { s.refresh(life) })
	s.tasks.Go(func() { s.awaitTopics(life) })
	return s, nil
}

// A lossHook wakes everything when a connection to a broker ends, because a change may have been
// missed.
type lossHook struct{ wakes *wakes.Queue }

// OnBrokerDisconnect implements kgo.HookBrokerDisconnect.
func (h *lossHook) OnBrokerDisconnect(kgo.BrokerMetadata, net.Conn) { h.wakes.WakeAll() }

// Wakes implements backlog.Waker.
func (s *source) Wakes() <-chan backlog.Wake { return s.wakes.Out() }

// refresh describes the topics in use again and again. Where there are others than before, or other
// partitions, everything is read.
func (s *source) refresh(life context.Context) {
	ticker := time.NewTicker(refreshInterval)
	defer ticker.Stop()
	for {
		select {
		case <-life.Done():
			return
		case <-ticker.C:
		}
		s.nameServer(life)
		s.tails.Sweep(time.Now())
		changed, err := s.refreshOnce(life)
		switch {
		case err != nil:
			s.log.DebugContext(life, "topics not described", "err", err)
		case changed:
			s.wakes.WakeAll()
		}
	}
}

func (s *source) refreshOnce(life context.Context) (changed bool, err error) {
	defer backlog.Contain(&err)
	bounded, cancel := context.WithTimeout(life, 2*s.sender.timeout)
	defer cancel()
	return s.catalog.refresh(bounded)
}

// awaitTopics wakes queries when topics exist that were missing. One request asks for all of these.
func (s *source) awaitTopics(life context.Context) {
	ticker := time.NewTicker(s.idlePoll())
	defer ticker.Stop()
	for {
		select {
		case <-life.Done():
			return
		case <-ticker.C:
		}
		s.wakes.Wake(s.appeared(life))
	}
}

func (s *source) appeared(life context.Context) []backlog.Query {
	bounded, cancel := context.WithTimeout(life, 2*s.sender.timeout)
	defer cancel()
	woken, err := s.catalog.appeared(bounded)
	if err != nil && life.Err() == nil {
		s.log.DebugContext(life, "missing topics not described", "err", err)
	}
	return woken
}

func (s *source) idlePoll() time.Duration {
	return cmp.Or(s.settings.Duration("idlePoll"), 250*time.Millisecond)
}

// nameServer finds out the version of the servers once.
func (s *source) nameServer(ctx context.Context) {
	if s.server.Load() != nil {
		return
	}
	_, brokers := s.catalog.about()
	broker, ok := s.sender.pick(brokers)
	if !ok {
		return
	}
	answer, err := s.sender.ask(ctx, broker, versionsRequest())
	if err != nil {
		return
	}
	if versions, ok := answer.(*kmsg.ApiVersionsResponse); ok {
		name := serverName(kversion.FromApiVersionsResponse(versions).VersionGuess())
		s.server.Store(&name)
	}
}

// serverName returns "kafka" with a version that follows from the requests that a broker knows, such
// as "v4.1" or "at least v4.3".
func serverName(guess string) string {
	words := strings.Fields(guess)
	if len(words) == 0 {
		return "kafka"
	}
	if version, ok := strings.CutPrefix(words[len(words)-1], "v"); ok {
		return "kafka " + version
	}
	return "kafka"
}

// Status implements backlog.Source.
func (s *source) Status() backlog.Status {
	status := backlog.Status{WakeUp: wakeFetch, IdlePoll: s.idlePoll()}
	if server := s.server.Load(); server != nil {
		status.Server = *server
	}
	switch topic := s.tails.DeniedTopic(time.Now()); {
	case s.settings.Text("wakeUp") == wakePoll:
		status.WakeUp, status.WakeUpReason = wakePoll, "wakeUp is poll"
	case topic != "":
		status.WakeUpReason = fmt.Sprintf("topics without the right READ, such as %q, are polled", backlog.Line(topic))
	}
	return status
}

// Probe implements backlog.Prober: it asks for the brokers.
func (s *source) Probe(ctx context.Context) (err error) {
	ctx, leave, err := s.gate.Enter(ctx)
	if err != nil {
		return err
	}
	defer leave()
	defer backlog.Contain(&err)
	if _, err := s.catalog.describe(ctx, []string{}); err != nil {
		return fmt.Errorf("ask connection %q: %w", s.connection, s.advised(err))
	}
	s.nameServer(ctx)
	return nil
}

// Close implements backlog.Source.
func (s *source) Close() error {
	s.gate.Close()
	s.tasks.Wait()
	s.tails.Close()
	s.sender.close()
	s.client.Close()
	return nil
}
