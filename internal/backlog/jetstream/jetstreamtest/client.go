package jetstreamtest

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// A Client writes to streams and works on them, with the library that applications use.
type Client struct {
	Conn *nats.Conn
	JS   jetstream.JetStream

	// mu guards held, the messages that were taken and not acknowledged, by stream and consumer.
	mu   sync.Mutex
	held map[string][]jetstream.Msg
}

// NewClient is Connect for one test.
func (c *Cluster) NewClient(t testing.TB, options ...nats.Option) *Client {
	t.Helper()
	client, err := c.Connect(options...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	return client
}

// Connect returns a client of the servers, which connects again whenever it has to. The caller closes
// it.
func (c *Cluster) Connect(options ...nats.Option) (*Client, error) {
	urls := "nats://" + strings.Join(c.Addresses(), ",nats://")
	options = append([]nats.Option{
		nats.MaxReconnects(-1), nats.ReconnectWait(20 * time.Millisecond), nats.Timeout(patience), nats.RetryOnFailedConnect(true),
		nats.IgnoreAuthErrorAbort(),
	}, options...)
	conn, err := nats.Connect(urls, options...)
	if err != nil {
		return nil, fmt.Errorf("connect to NATS: %w", err)
	}
	js, err := jetstream.New(conn)
	if err != nil {
		conn.Close()
		return nil, fmt.Errorf("connect to JetStream: %w", err)
	}
	return &Client{Conn: conn, JS: js, held: make(map[string][]jetstream.Msg)}, nil
}

// Close ends the connection.
func (c *Client) Close() { c.Conn.Close() }

// bounded returns a context for one operation of a test.
func bounded(t testing.TB) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	return ctx
}

// attemptTime bounds one of several attempts: an answer may be lost while leaders change.
const attemptTime = 3 * time.Second

// try repeats what may be done more than once while it has no answer.
func try[R any](t testing.TB, what string, do func(context.Context) (R, error)) R {
	t.Helper()
	for deadline := time.Now().Add(patience); ; {
		ctx, cancel := context.WithTimeout(t.Context(), attemptTime)
		result, err := do(ctx)
		cancel()
		if err == nil {
			return result
		}
		if lost := errors.Is(err, context.DeadlineExceeded); !lost || time.Now().After(deadline) {
			t.Fatalf("%s: %v", what, err)
		}
	}
}

// Stream makes or changes a stream, whose subject is its name with a token behind it unless there are
// others.
func (c *Client) Stream(t testing.TB, config jetstream.StreamConfig) jetstream.Stream {
	t.Helper()
	if len(config.Subjects) == 0 && config.Mirror == nil && len(config.Sources) == 0 {
		config.Subjects = []string{config.Name + ".*"}
	}
	return try(t, "make stream "+config.Name, func(ctx context.Context) (jetstream.Stream, error) {
		return c.JS.CreateOrUpdateStream(ctx, config)
	})
}

// Consumer makes or changes a durable consumer of a stream.
func (c *Client) Consumer(t testing.TB, stream string, config jetstream.ConsumerConfig) jetstream.Consumer {
	t.Helper()
	return try(t, "make consumer "+config.Durable+" of "+stream, func(ctx context.Context) (jetstream.Consumer, error) {
		return c.JS.CreateOrUpdateConsumer(ctx, stream, config)
	})
}

// Publish publishes n messages, and waits until the stream has each.
func (c *Client) Publish(t testing.TB, subject string, n int) {
	t.Helper()
	for i := range n {
		if _, err := c.JS.Publish(bounded(t), subject, []byte(strconv.Itoa(i))); err != nil {
			t.Fatalf("publish to %q: %v", subject, err)
		}
	}
}

// Take takes n messages, as a worker that has not finished them.
func (c *Client) Take(t testing.TB, stream, consumer string, n int) {
	t.Helper()
	pull, err := c.JS.Consumer(bounded(t), stream, consumer)
	if err != nil {
		t.Fatalf("find consumer %q of %q: %v", consumer, stream, err)
	}
	for taken := 0; taken < n; {
		batch, err := pull.Fetch(n-taken, jetstream.FetchMaxWait(patience))
		if err != nil {
			t.Fatalf("take from %q: %v", consumer, err)
		}
		for m := range batch.Messages() {
			taken++
			c.mu.Lock()
			c.held[stream+" "+consumer] = append(c.held[stream+" "+consumer], m)
			c.mu.Unlock()
		}
		if err := batch.Error(); err != nil {
			t.Fatalf("take from %q: %v", consumer, err)
		}
	}
}

// Ack acknowledges the first n messages that were taken, and waits until the server has that.
func (c *Client) Ack(t testing.TB, stream, consumer string, n int) {
	t.Helper()
	for range n {
		c.mu.Lock()
		held := c.held[stream+" "+consumer]
		if len(held) == 0 {
			c.mu.Unlock()
			t.Fatalf("no message of %q is held", consumer)
		}
		c.held[stream+" "+consumer] = held[1:]
		c.mu.Unlock()
		if err := held[0].DoubleAck(bounded(t)); err != nil {
			t.Fatalf("acknowledge a message of %q: %v", consumer, err)
		}
	}
}

// Work takes n messages and acknowledges them.
func (c *Client) Work(t testing.TB, stream, consumer string, n int) {
	t.Helper()
	c.Take(t, stream, consumer, n)
	c.Ack(t, stream, consumer, n)
}

// Request sends a request to the API and returns the answer.
func (c *Client) Request(t testing.TB, subject string) []byte {
	t.Helper()
	m, err := c.Conn.RequestWithContext(bounded(t), subject, nil)
	if err != nil {
		t.Fatalf("ask %s: %v", subject, err)
	}
	return m.Data
}
