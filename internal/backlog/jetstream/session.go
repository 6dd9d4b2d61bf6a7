package jetstream

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
)

const (
	// maxWaiting is how many requests wait for an answer at the same time. Servers queue the requests
	// of all clients, and drop them beyond 10,000:
	// https://github.com/nats-io/nats-server/blob/main/server/jetstream_api.go (JSDefaultRequestQueueLimit).
	maxWaiting = 512
	// maxReplies is how many messages of the server may wait to be handled. Without a leader several
	// servers may answer a request.
	maxReplies = 8 * maxWaiting
	// signOfLife is how long a server that does not answer for a queue may take to answer at all.
	signOfLife = 500 * time.Millisecond
)

// A session is one connection with an inbox for answers and the subscriptions that wake. The goroutine
// that reads uses it; Close may be called by any.
type session struct {
	cfg   *config
	conn  *nats.Conn
	guard *guard
	// server is the name and version.
	server string
	// inbox is the subject of answers, without its last token.
	inbox string
	wakes *subscriptions

	// replies receives the answers, and closed is closed by the library when the connection has ended.
	replies chan *nats.Msg
	closed  chan struct{}
	// tasks are the goroutines of the session.
	tasks sync.WaitGroup
	lost  func()

	// mu guards what follows. The goroutine that reads adds questions, and the one that handles
	// messages answers them.
	mu      sync.Mutex
	waiting map[string]*question
	asked   uint64
	// noInbox reports that the user may not subscribe to the inbox.
	noInbox bool
	// suspect reports that the last read had no answer. The goroutine that reads owns it.
	suspect bool
}

// newSession returns a session for a connection that is not logged in yet. a wakes queries that may have
// changed, and lost is called when the session ends.
func newSession(cfg *config, g *guard, hello greeting, a *alarms, lost func()) *session {
	s := &session{
		cfg: cfg, guard: g, server: "nats " + shown(hello.Version), inbox: cfg.inbox + "." + strings.ToLower(rand.Text()),
		replies: make(chan *nats.Msg, maxReplies), closed: make(chan struct{}), lost: lost,
		waiting: make(map[string]*question),
	}
	s.wakes = newSubscriptions(a)
	g.onRefusal(s.refused)
	g.allow(maxAnswer)
	return s
}

// begin subscribes to the inbox.
func (s *session) begin(ctx context.Context, conn *nats.Conn) error {
	s.conn = conn
	s.tasks.Go(s.handle)
	if _, err := conn.ChanSubscribe(s.inbox+".*", s.replies); err != nil {
		return fmt.Errorf("%w: subscribe to the inbox: %w", backlog.ErrUnavailable, err)
	}
	if err := s.flush(ctx, max(s.cfg.dial, minHandshake)); err != nil {
		return fmt.Errorf("%w: subscribe to the inbox: %w", backlog.ErrUnavailable, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.noInbox {
		return errNoInbox(s.cfg.inbox)
	}
	return nil
}

// flush returns when the server has handled everything that was sent, and reported what it refuses.
func (s *session) flush(ctx context.Context, limit time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	defer context.AfterFunc(ctx, s.unblock)()
	return s.conn.FlushWithContext(ctx)
}

// unblock ends a write that is under way, for which the library knows no context. The library gives each
// write a timeout of its own, so that later ones succeed.
func (s *session) unblock() { _ = s.guard.SetWriteDeadline(time.Now()) }

// Alive implements network.Session.
func (s *session) Alive() bool {
	select {
	case <-s.closed:
		return false
	default:
		return !s.conn.IsClosed()
	}
}

// cut ends the connection; the next read opens another one.
func (s *session) cut() { _ = s.guard.Close() }

// Close implements network.Session: NATS knows no other end than that of the connection. It is idempotent.
func (s *session) Close(bool) {
	// The library would flush first, which a silent server delays.
	s.cut()
	if s.conn != nil {
		s.conn.Close()
		<-s.closed
	}
	s.tasks.Wait()
}

// closedByLibrary is called once, by a goroutine of the library, when the connection has ended.
func (s *session) closedByLibrary(*nats.Conn) { close(s.closed) }

// failed is called by a goroutine of the library with errors that do not end the connection.
func (s *session) failed(_ *nats.Conn, sub *nats.Subscription, err error) {
	if errors.Is(err, nats.ErrSlowConsumer) && sub != nil {
		// What was dropped may have been the only message that it was to deliver.
		s.wakes.fire(sub)
	}
}

// handle takes the messages of the server until the connection has ended.
func (s *session) handle() {
	for {
		select {
		case <-s.closed:
			s.lost()
			return
		case m := <-s.replies:
			s.answer(m)
		case m := <-s.wakes.fired:
			s.wakes.fire(m.Sub)
		}
	}
}

// answer hands a message to the question that waits for it.
func (s *session) answer(m *nats.Msg) {
	token := strings.TrimPrefix(m.Subject, s.inbox+".")
	s.mu.Lock()
	q := s.waiting[token]
	delete(s.waiting, token)
	s.mu.Unlock()
	if q == nil {
		return
	}
	r := reply{index: q.index, at: time.Now(), data: m.Data}
	switch {
	case m.Header.Get("Status") == "503":
		r.err = errNoResponders
	case len(m.Data) == 0:
		r.err = errNoContent
	}
	q.replies <- r
}

// refusal is how the server reports that a right is missing.
var refusal = regexp.MustCompile(`(?i)^permissions violation for (publish|subscription) to "([^"]*)"`)

// refused is called with each error of the server, before the library sees what follows it.
func (s *session) refused(text string) {
	found := refusal.FindStringSubmatch(text)
	switch {
	case found == nil && strings.HasPrefix(strings.ToLower(text), "maximum subscriptions exceeded"):
		s.wakes.refuseAll("the server allows no more subscriptions")
	case found == nil:
	case strings.EqualFold(found[1], "publish"):
		s.refuse(found[2])
	case found[2] == s.inbox+".*":
		s.mu.Lock()
		s.noInbox = true
		s.mu.Unlock()
	default:
		s.wakes.refuse(found[2])
	}
}

// refuse answers the questions that the user may not ask.
func (s *session) refuse(subject string) {
	s.mu.Lock()
	var refused []*question
	for token, q := range s.waiting {
		if q.subject == subject {
			refused = append(refused, q)
			delete(s.waiting, token)
		}
	}
	s.mu.Unlock()
	for _, q := range refused {
		q.replies <- reply{index: q.index, at: time.Now(), err: errNoRight(subject)}
	}
}

// expect notes a question, and returns the subject for its answer.
func (s *session) expect(q *question) (token string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked++
	token = strconv.FormatUint(s.asked, 36)
	s.waiting[token] = q
	return token
}

// forget ends the wait for answers.
func (s *session) forget(tokens []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, token := range tokens {
		delete(s.waiting, token)
	}
}

// end returns why the session has ended, after closed is closed.
func (s *session) end() error {
	why, said := s.guard.end()
	if said != "" {
		why = errors.New(backlog.Line(said))
	}
	if why == nil {
		why = nats.ErrConnectionClosed
	}
	return fmt.Errorf("%w: the connection has ended: %w", backlog.ErrUnavailable, why)
}
