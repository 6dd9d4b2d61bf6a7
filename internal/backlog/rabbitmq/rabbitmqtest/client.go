package rabbitmqtest

import (
	"encoding/json"
	"maps"
	"net/http"
	"net/url"
	"strconv"
	"sync"
	"testing"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
)

// A Client puts messages into queues and takes them out, as workers do. Several goroutines may use it.
type Client struct {
	node *Node
	conn *amqp.Connection

	// mu guards what follows.
	mu sync.Mutex
	// sending confirms each message. taking holds the messages of a queue that are not acknowledged.
	sending *amqp.Channel
	taking  map[string]*taking
}

// A taking is what was taken from a queue.
type taking struct {
	channel *amqp.Channel
	tags    []uint64
}

// NewClient returns a client of a node, which is closed with the test.
func (n *Node) NewClient(t testing.TB) *Client {
	t.Helper()
	conn, err := amqp.Dial("amqp://" + Username + ":" + Password + "@" + n.Address + "/")
	if err != nil {
		t.Fatalf("connect to %s: %v", n.Name, err)
	}
	c := &Client{node: n, conn: conn, taking: map[string]*taking{}}
	t.Cleanup(func() { _ = conn.CloseDeadline(time.Now().Add(time.Second)) })
	if c.sending, err = conn.Channel(); err == nil {
		err = c.sending.Confirm(false)
	}
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// Declare makes a durable queue of a type: classic, quorum or stream.
func (c *Client) Declare(t testing.TB, queue, kind string, more amqp.Table) {
	t.Helper()
	arguments := amqp.Table{"x-queue-type": kind}
	maps.Copy(arguments, more)
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, err := c.sending.QueueDeclare(queue, true, false, false, false, arguments); err != nil {
		t.Fatalf("declare queue %q: %v", queue, err)
	}
}

// Publish adds n messages to a queue by the default exchange, and returns when all are confirmed.
func (c *Client) Publish(t testing.TB, queue string, n int) {
	t.Helper()
	c.PublishTo(t, "", queue, n)
}

// PublishTo publishes n messages to an exchange.
func (c *Client) PublishTo(t testing.TB, exchange, key string, n int) {
	t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	confirmations := make([]*amqp.DeferredConfirmation, 0, n)
	for i := range n {
		confirmation, err := c.sending.PublishWithDeferredConfirm(exchange, key, false, false, amqp.Publishing{
			DeliveryMode: amqp.Persistent, Body: []byte(strconv.Itoa(i)),
		})
		if err != nil {
			t.Fatalf("publish to %q: %v", key, err)
		}
		confirmations = append(confirmations, confirmation)
	}
	for _, confirmation := range confirmations {
		if ok, err := confirmation.WaitContext(t.Context()); err != nil || !ok {
			t.Fatalf("publish to %q: not confirmed: %v", key, err)
		}
	}
}

// Take takes n messages from a queue without acknowledging them.
func (c *Client) Take(t testing.TB, queue string, n int) {
	t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	from := c.taking[queue]
	if from == nil {
		channel, err := c.conn.Channel()
		if err != nil {
			t.Fatal(err)
		}
		from = &taking{channel: channel}
		c.taking[queue] = from
	}
	for range n {
		message, ok, err := from.channel.Get(queue, false)
		if err != nil || !ok {
			t.Fatalf("take a message from %q: there is one: %t, %v", queue, ok, err)
		}
		from.tags = append(from.tags, message.DeliveryTag)
	}
}

// Ack acknowledges n messages that were taken from a queue, and returns when the management API lists
// so many less.
func (c *Client) Ack(t testing.TB, queue string, n int) {
	t.Helper()
	c.mu.Lock()
	from := c.taking[queue]
	for _, tag := range from.tags[:n] {
		if err := from.channel.Ack(tag, false); err != nil {
			t.Fatalf("acknowledge a message of %q: %v", queue, err)
		}
	}
	from.tags = from.tags[n:]
	left := len(from.tags)
	c.mu.Unlock()
	c.AwaitUnacked(t, queue, left)
}

// AwaitUnacked waits until the management API lists so many messages of a queue as in flight.
func (c *Client) AwaitUnacked(t testing.TB, queue string, n int) {
	t.Helper()
	Eventually(t, "the management API lists "+strconv.Itoa(n)+" messages in flight", func() bool {
		unacked, known := c.node.Unacked(t, queue)
		return known && unacked == n
	})
}

// Unacked returns the messages in flight of a queue, as the management API lists them.
func (n *Node) Unacked(t testing.TB, queue string) (unacked int, known bool) {
	t.Helper()
	var page struct {
		Items []struct {
			Name    string `json:"name"`
			Unacked *int   `json:"messages_unacknowledged"`
		} `json:"items"`
	}
	body := n.Do(t, http.MethodGet, "/api/queues/%2F?disable_stats=true&enable_queue_totals=true&page=1&page_size=500&use_regex=true&name="+url.QueryEscape("^"+queue+"$"), nil)
	if err := json.Unmarshal(body, &page); err != nil {
		t.Fatal(err)
	}
	for _, one := range page.Items {
		if one.Name == queue && one.Unacked != nil {
			return *one.Unacked, true
		}
	}
	return 0, false
}

// A Consumer is a worker that is connected and acknowledges nothing by itself.
type Consumer struct {
	channel    *amqp.Channel
	deliveries <-chan amqp.Delivery
}

// Consume starts a consumer of a queue that holds at most prefetch messages.
func (c *Client) Consume(t testing.TB, queue string, prefetch int) *Consumer {
	t.Helper()
	channel, err := c.conn.Channel()
	if err == nil {
		err = channel.Qos(prefetch, 0, false)
	}
	if err != nil {
		t.Fatal(err)
	}
	deliveries, err := channel.Consume(queue, "", false, false, false, false, nil)
	if err != nil {
		t.Fatalf("consume from %q: %v", queue, err)
	}
	return &Consumer{channel, deliveries}
}

// Next waits for the next message.
func (c *Consumer) Next(t testing.TB) amqp.Delivery {
	t.Helper()
	select {
	case d := <-c.deliveries:
		return d
	case <-time.After(Patience):
		t.Fatal("no message was delivered")
		return amqp.Delivery{}
	}
}

// Ack acknowledges the n messages that were delivered first.
func (c *Consumer) Ack(t testing.TB, n int) error {
	t.Helper()
	return c.channel.Ack(uint64(n), true)
}

// Stop ends the consumer. What it has not acknowledged is ready again.
func (c *Consumer) Stop(t testing.TB) {
	t.Helper()
	if err := c.channel.Close(); err != nil {
		t.Fatal(err)
	}
}

// Eventually polls condition until it is true, and fails the test if it does not become so.
func Eventually(t testing.TB, what string, condition func() bool) {
	t.Helper()
	for deadline := time.Now().Add(Patience); ; time.Sleep(20 * time.Millisecond) {
		if condition() {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s: not within %s", what, Patience)
		}
	}
}
