// Package stream is a small client of the stream protocol of RabbitMQ, for questions about streams:
// https://github.com/rabbitmq/rabbitmq-server/blob/main/deps/rabbitmq_stream/docs/PROTOCOL.adoc.
//
// It sends many questions at once over one connection, and bounds what a server may answer: frames are
// at most 1 MiB, lengths and counts are checked against what is there, each answer has the correlation
// id of a question, and messages are passed over without being kept.
package stream

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
)

const (
	// writeTimeout bounds the sending of one batch.
	writeTimeout = 5 * time.Second
	// closeGrace is how long the server may take to answer that the connection is closed.
	closeGrace = 300 * time.Millisecond
	// missedBeats is after how many heartbeat intervals without a byte the connection ends.
	missedBeats = 3
)

// A Conn is one connection. Several goroutines may use it.
type Conn struct {
	conn      net.Conn
	in        *bufio.Reader
	about     About
	heartbeat time.Duration
	// writing is a semaphore for the goroutine that sends.
	writing chan struct{}
	// ended is closed when the connection has ended, and err is why; it is written before.
	ended   chan struct{}
	err     error
	tasks   sync.WaitGroup
	closing sync.Once

	// mu guards what follows. Do adds questions, and the goroutine that receives takes them out.
	mu sync.Mutex
	// next is the correlation id of the next frame, and subscription the id of the next subscription.
	next         uint32
	subscription uint8
	waiting      map[uint32]*question
	// subscribed are the questions for a chunk that the server handles at present, by subscription.
	subscribed map[uint8]*question
	// suspect reports that the last questions had no answer.
	suspect bool
}

// A question is a request that was sent.
type question struct {
	request Request
	// subscription is that of a request for a chunk.
	subscription uint8
	// call is nil once it was given up.
	call *call
}

// A call is one Do.
type call struct {
	left int
	// heard has a value when something was received, and done is closed after the last answer.
	heard chan struct{}
	done  chan struct{}
}

// About returns what the server says about itself.
func (c *Conn) About() About { return c.about }

// Alive reports whether the connection has not ended.
func (c *Conn) Alive() bool {
	select {
	case <-c.ended:
		return false
	default:
		return true
	}
}

// Do asks the server, and returns when all answers have come. It ends with ctx, or where the server is
// silent for limit; with an error no answer is valid.
func (c *Conn) Do(ctx context.Context, limit time.Duration, requests ...Request) error {
	if len(requests) == 0 {
		return nil
	}
	asked := &call{left: len(requests), heard: make(chan struct{}, 1), done: make(chan struct{})}
	frames := c.register(asked, requests)
	if err := c.write(ctx, frames); err != nil {
		c.abandon(asked, true)
		return err
	}
	silence := time.NewTimer(limit)
	defer silence.Stop()
	for {
		select {
		case <-asked.done:
			return nil
		case <-asked.heard:
			silence.Reset(limit)
		case <-c.ended:
			c.abandon(asked, false)
			return c.err
		case <-ctx.Done():
			c.abandon(asked, false)
			return fmt.Errorf("no answer: %w", ctx.Err())
		case <-silence.C:
			c.abandon(asked, true)
			return fmt.Errorf("no answer within %s: %w", limit, context.DeadlineExceeded)
		}
	}
}

// register notes the questions of a call and returns their frames.
func (c *Conn) register(asked *call, requests []Request) []byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	var w frameWriter
	for _, request := range requests {
		first := c.next
		q := &question{request: request, call: asked, subscription: c.subscription}
		if _, subscribes := request.(*ChunkQuery); subscribes {
			c.subscription++
		}
		n := request.build(&w, first, q.subscription)
		for i := range n {
			c.waiting[first+i] = q
		}
		asked.left += int(n) - 1
		c.next += n
	}
	return w.data
}

// abandon gives the questions of a call up. silent reports that the server does not answer; then, and
// where that was so before, the connection ends.
func (c *Conn) abandon(asked *call, silent bool) {
	c.mu.Lock()
	for _, q := range c.waiting {
		if q.call == asked {
			q.call = nil
		}
	}
	for _, q := range c.subscribed {
		if q.call == asked {
			q.call = nil
		}
	}
	ends := silent || c.suspect
	c.suspect = true
	c.mu.Unlock()
	if ends {
		_ = c.conn.Close() // receive reports the end
	}
}

// write sends frames.
func (c *Conn) write(ctx context.Context, frames []byte) error {
	select {
	case c.writing <- struct{}{}:
	case <-ctx.Done():
		return fmt.Errorf("send: %w", ctx.Err())
	case <-c.ended:
		return c.err
	}
	defer func() { <-c.writing }()
	_ = c.conn.SetWriteDeadline(time.Now().Add(writeTimeout)) // a closed connection fails next
	if _, err := c.conn.Write(frames); err != nil {
		return fmt.Errorf("send: %w", err)
	}
	return nil
}

// start starts the goroutines of an open connection.
func (c *Conn) start() {
	c.tasks.Go(func() {
		err := c.receive()
		c.err = err
		close(c.ended)
		_ = c.conn.Close()
	})
	if c.heartbeat > 0 {
		c.tasks.Go(c.beat)
	}
}

// beat sends heartbeats until the connection has ended.
func (c *Conn) beat() {
	ticker := time.NewTicker(c.heartbeat / 2)
	defer ticker.Stop()
	var w frameWriter
	w.begin(commandHeartbeat)
	w.end()
	for {
		select {
		case <-c.ended:
			return
		case <-ticker.C:
			if c.write(context.Background(), w.data) != nil {
				_ = c.conn.Close() // receive reports the end
				return
			}
		}
	}
}

// receive takes over what the server sends until the connection ends, and returns why.
func (c *Conn) receive() (err error) {
	defer backlog.Contain(&err)
	for {
		if c.heartbeat > 0 {
			_ = c.conn.SetReadDeadline(time.Now().Add(missedBeats * c.heartbeat)) // a closed connection fails next
		}
		size, key, err := readHead(c.in)
		if err != nil {
			return err
		}
		if key == commandDeliver {
			err = c.deliver(int64(size))
		} else {
			var body []byte
			if body, err = readBody(c.in, size); err == nil {
				err = c.handle(key, body)
			}
		}
		if err != nil {
			return err
		}
	}
}

// handle takes over a frame that is no delivery.
func (c *Conn) handle(key uint16, body []byte) error {
	switch key {
	case commandHeartbeat, commandMetadataUpdate:
		// The latter says that a stream to which there was a subscription has gone, or its leader.
		return nil
	case commandClose:
		return closedBy(body)
	}
	if key&response == 0 {
		return fmt.Errorf("%w: the server sends the command %#x", ErrProtocol, key)
	}
	return c.answer(key, &frameReader{data: body})
}

// answer takes over the answer to a question.
func (c *Conn) answer(key uint16, r *frameReader) error {
	id := r.uint32()
	c.mu.Lock()
	defer c.mu.Unlock()
	q, known := c.waiting[id]
	if !known || r.short {
		return fmt.Errorf("%w: an answer to a question that was not asked", ErrProtocol)
	}
	delete(c.waiting, id)
	c.suspect = false
	code := OK
	if key != response|commandMetadata {
		code = Code(r.uint16())
	}
	switch {
	case key == response|commandSubscribe && code == OK:
		c.subscribed[q.subscription] = q
	case key == response|commandUnsubscribe:
		delete(c.subscribed, q.subscription)
	}
	if q.call == nil {
		return nil
	}
	if !q.expects(key) {
		return fmt.Errorf("%w: an answer %#x to another question", ErrProtocol, key)
	}
	if err := q.request.take(key, code, r); err != nil {
		return err
	}
	q.call.note()
	q.call.left--
	if q.call.left == 0 {
		close(q.call.done)
	}
	return nil
}

// expects reports whether an answer is one to the question.
func (q *question) expects(key uint16) bool {
	switch q.request.(type) {
	case *OffsetQuery:
		return key == response|commandQueryOffset
	case *StatsQuery:
		return key == response|commandStreamStats
	case *LeaderQuery:
		return key == response|commandMetadata
	default:
		return key == response|commandSubscribe || key == response|commandUnsubscribe
	}
}

// note notes that something was received.
func (a *call) note() {
	select {
	case a.heard <- struct{}{}:
	default:
	}
}

// closedBy returns the reason that a server gives for closing the connection.
func closedBy(body []byte) error {
	r := frameReader{data: body}
	r.uint32() // correlation id
	code, reason := Code(r.uint16()), r.text()
	return fmt.Errorf("the server closes the connection: %s (%w)", backlog.Line(backlog.Redact(reason)), code)
}

// Close ends the connection and waits for its goroutines. It is idempotent.
func (c *Conn) Close() {
	c.closing.Do(func() {
		if c.Alive() {
			var w frameWriter
			w.begin(commandClose)
			w.uint32(0)
			w.uint16(uint16(OK))
			w.text("OK")
			w.end()
			ctx, cancel := context.WithTimeout(context.Background(), closeGrace)
			defer cancel()
			if c.write(ctx, w.data) == nil {
				select {
				case <-c.ended: // the server has answered, and closed it
				case <-ctx.Done():
				}
			}
		}
		_ = c.conn.Close()
	})
	c.tasks.Wait()
}
