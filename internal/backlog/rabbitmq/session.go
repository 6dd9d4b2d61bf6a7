package rabbitmq

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/rabbitmq/dialer"
)

const (
	// channels is the number of channels that declare queues at the same time. 2,000 queues took
	// 392 ms on one channel, 120 ms on eight and 98 ms on 64.
	channels = 16
	// maxChannels includes those that wait for an answer that does not come: a queue on a node that
	// is frozen holds one up for as long as the connection lasts.
	maxChannels = 64
	// signOfLife is how long a server that does not answer for a queue may take to answer at all.
	signOfLife = 500 * time.Millisecond
	// reopened is how often a declaration is repeated on a new channel, where the old one had ended.
	reopened = 3
)

// A session is one connection with the channels on which queues are declared. The goroutine that
// reads uses it; close may be called by any.
type session struct {
	conn *amqp.Connection
	wire *dialer.Wire
	// server is the name and version, epoch the life of the connection.
	server string
	epoch  string
	// countsConsumers reports that the server counts the consumers of quorum queues.
	countsConsumers bool

	jobs chan job
	// ended is closed when the connection has ended, and err is why; it is written before.
	ended chan struct{}
	err   error
	// workers is the number of goroutines that work. suspect reports that the last read had no
	// answer. The goroutine that reads owns both.
	workers int
	suspect bool
	tasks   sync.WaitGroup
	closing sync.Once
}

// A job is a queue to declare.
type job struct {
	queue string
	index int
	// ping asks for a sign of life in place of a queue.
	ping    bool
	answers chan<- answer
}

// An answer is what the server says about a queue.
type answer struct {
	index int
	// at is when the answer came, and took how long that was after the question.
	at   time.Time
	took time.Duration
	// ready and consumers are the numbers of a queue that exists.
	ready, consumers int64
	// err is nil or wraps one of backlog's errors. missing reports a queue that does not exist.
	err     error
	missing bool
}

// newSession returns a session for an open connection. lost is called when it ends.
func newSession(conn *amqp.Connection, w *dialer.Wire, lost func(*session)) *session {
	s := &session{conn: conn, wire: w, jobs: make(chan job), ended: make(chan struct{})}
	closed := conn.NotifyClose(make(chan *amqp.Error, 1))
	s.tasks.Go(func() {
		if err := <-closed; err != nil {
			s.err = err
		}
		close(s.ended)
		lost(s)
	})
	for range channels {
		s.addWorker()
	}
	return s
}

func (s *session) addWorker() {
	s.workers++
	s.tasks.Go(s.work)
}

// Alive implements network.Session.
func (s *session) Alive() bool {
	select {
	case <-s.ended:
		return false
	default:
		return !s.conn.IsClosed()
	}
}

// end returns why the session has ended, after ended is closed.
func (s *session) end() error {
	why, _ := s.wire.End()
	if s.err != nil {
		if closed, ok := errors.AsType[*amqp.Error](s.err); ok && closed.Server || why == nil {
			why = s.err
		}
	}
	if why == nil {
		why = amqp.ErrClosed
	}
	return fmt.Errorf("%w: the connection has ended: %w", backlog.ErrUnavailable, why)
}

// Close implements network.Session.
func (s *session) Close(gracefully bool) {
	s.closing.Do(func() {
		if gracefully && s.Alive() {
			_ = s.conn.CloseDeadline(time.Now().Add(dialer.CloseGrace)) // the connection is closed next
		}
		_ = s.wire.Close()
	})
	s.tasks.Wait()
}

// work declares queues on a channel of its own.
func (s *session) work() {
	var ch *amqp.Channel
	for {
		select {
		case <-s.ended:
			return
		case j := <-s.jobs:
			j.answers <- s.do(&ch, j)
		}
	}
}

// do answers one job. It replaces a channel that has ended, as after a queue that does not exist.
func (s *session) do(ch **amqp.Channel, j job) answer {
	for range reopened {
		a, again := s.try(ch, j)
		if !again {
			return a
		}
	}
	return answer{index: j.index, at: time.Now(), err: fmt.Errorf("%w: the server closes each channel", backlog.ErrUnavailable)}
}

// try answers a job once. again reports that the channel had ended before.
func (s *session) try(ch **amqp.Channel, j job) (a answer, again bool) {
	a.index = j.index
	defer func() {
		if a.err != nil {
			*ch = nil
		}
	}()
	defer backlog.Contain(&a.err)
	if *ch == nil {
		opened, err := s.conn.Channel()
		if err != nil {
			return answer{index: j.index, at: time.Now(), err: s.wire.Failure(err)}, false
		}
		*ch = opened
	}
	began := time.Now()
	var queue amqp.Queue
	var err error
	if j.ping {
		err = (*ch).Qos(0, 0, false) // changes nothing, and is answered
	} else {
		queue, err = (*ch).QueueDeclarePassive(j.queue, false, false, false, false, nil)
	}
	a.at = time.Now()
	a.took = a.at.Sub(began)
	switch {
	case err == nil:
		a.ready, a.consumers = int64(queue.Messages), int64(queue.Consumers)
		if a.ready < 0 || a.consumers < 0 {
			a.err = fmt.Errorf("%w: the server counts %d messages and %d consumers", backlog.ErrMismatch, a.ready, a.consumers)
		}
		return a, false
	case isMissing(err):
		*ch, a.missing = nil, true
		return a, false
	case isClosedChannel(err) && s.Alive():
		*ch = nil
		return a, true
	default:
		a.err = s.wire.Failure(err)
		return a, false
	}
}

// isMissing reports whether err says that a queue does not exist. The same code stands for a queue
// whose node is down, which holds its messages: "home node 'n' of durable queue 'q' in vhost '/' is
// down or inaccessible".
func isMissing(err error) bool {
	refused, ok := errors.AsType[*amqp.Error](err)
	return ok && refused.Server && refused.Code == amqp.NotFound && strings.HasPrefix(refused.Reason, "NOT_FOUND - no queue ")
}

// isClosedChannel reports whether err is a channel that had ended before.
func isClosedChannel(err error) bool {
	closed, ok := errors.AsType[*amqp.Error](err)
	return ok && !closed.Server && closed.Code == amqp.ChannelError
}

// declare asks for queues, and returns an answer for each, in order. It ends with ctx, or where the
// server is silent for limit. The error is one of the connection: there are no answers then. No queue
// is a sign of life.
func (s *session) declare(ctx context.Context, queues []string, limit time.Duration) ([]answer, error) {
	if len(queues) == 0 {
		_, _, why := s.ask(ctx, []job{{ping: true}}, limit)
		return nil, why
	}
	jobs := make([]job, len(queues))
	for i, queue := range queues {
		jobs[i].queue = queue
	}
	answers, open, why := s.ask(ctx, jobs, limit)
	if why == nil {
		s.suspect = false
		return answers, nil
	}
	received, waiting := 0, 0
	for i := range answers {
		switch open[i] {
		case answered:
			received++
			continue
		case asked:
			waiting++
		case unasked:
		}
		answers[i] = answer{index: i, err: why}
	}
	if received == 0 && !s.recovers(ctx, limit) || !s.replace(waiting) {
		return nil, why
	}
	return answers, nil
}

// The states of a job.
const (
	unasked = iota
	asked
	answered
)

// ask gives jobs to the workers and waits for the answers. The error is why some are missing.
func (s *session) ask(ctx context.Context, jobs []job, limit time.Duration) (answers []answer, states []int, why error) {
	answers, states = make([]answer, len(jobs)), make([]int, len(jobs))
	// No worker waits for a read that has ended.
	replies := make(chan answer, len(jobs))
	silence := time.NewTimer(limit)
	defer silence.Stop()
	sent, received := 0, 0
	for received < len(jobs) {
		var out chan<- job
		var next job
		if sent < len(jobs) {
			out, next = s.jobs, jobs[sent]
			next.index, next.answers = sent, replies
		}
		select {
		case out <- next:
			states[sent] = asked
			sent++
		case a := <-replies:
			answers[a.index], states[a.index] = a, answered
			received++
			silence.Reset(limit)
		case <-ctx.Done():
			return answers, states, fmt.Errorf("%w: no answer: %w", backlog.ErrUnavailable, ctx.Err())
		case <-silence.C:
			return answers, states, fmt.Errorf("%w: no answer within %s: %w", backlog.ErrUnavailable, limit, context.DeadlineExceeded)
		case <-s.ended:
			return answers, states, s.end()
		}
	}
	if len(jobs) == 1 && jobs[0].ping {
		why = answers[0].err
	}
	return answers, states, why
}

// recovers reports whether a server that has answered nothing gives a sign of life: then it is the
// queues that do not answer. Where there is no time left to find out, the connection is given a second
// chance.
func (s *session) recovers(ctx context.Context, limit time.Duration) bool {
	if ctx.Err() == nil && s.Alive() {
		if _, _, why := s.ask(ctx, []job{{ping: true}}, min(limit, signOfLife)); why == nil {
			s.suspect = false
			return true
		}
	}
	if s.suspect || ctx.Err() == nil {
		_ = s.wire.Close() // the next read opens another connection
	}
	s.suspect = true
	return false
}

// replace adds workers for those that wait for an answer. It reports whether there were not too many.
func (s *session) replace(waiting int) bool {
	if s.workers+waiting > maxChannels {
		_ = s.wire.Close() // the next read opens another connection
		return false
	}
	for range waiting {
		s.addWorker()
	}
	return true
}
