package rabbitstage

import (
	"context"
	"errors"
	"fmt"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog/rabbitmq/rabbitmqtest"
)

// flushed is how long after an acknowledgement a server that is killed has it on disk.
const flushed = 5 * time.Second

// A queue is purged so often, so far apart.
const (
	purges     = 10
	purgeEvery = 50 * time.Millisecond
)

var (
	errRefused = errors.New("the server did not confirm the message")
	errEmpty   = errors.New("there is no message")
)

// A writer writes one queue by a connection of its own, which it opens again after an error. One
// goroutine at a time uses it.
type writer struct {
	address, queue string

	conn    *amqp.Connection
	channel *amqp.Channel
	// tags are those of messages in flight, the oldest first.
	tags []uint64
	// acked are when messages were acknowledged.
	acked []time.Time
}

// open connects, if there is no connection.
func (w *writer) open() (err error) {
	if w.channel != nil {
		return nil
	}
	w.conn, err = amqp.DialConfig("amqp://"+rabbitmqtest.Username+":"+rabbitmqtest.Password+"@"+w.address+"/", amqp.Config{
		Dial: amqp.DefaultDial(time.Minute), Heartbeat: 5 * time.Minute,
	})
	if err != nil {
		return err
	}
	if w.channel, err = w.conn.Channel(); err == nil {
		err = w.channel.Confirm(false)
	}
	return err
}

// close ends the connection. Messages in flight wait again.
func (w *writer) close() {
	if w.conn != nil {
		_ = w.conn.CloseDeadline(time.Now().Add(time.Second))
	}
	w.conn, w.channel, w.tags = nil, nil, nil
}

// unconfirmed returns how many acknowledgements a server that was killed may have lost: it does not
// confirm them.
func (w *writer) unconfirmed(killed time.Time) (n int) {
	for _, at := range w.acked {
		if killed.Sub(at) < flushed {
			n++
		}
	}
	w.acked = nil
	return n
}

// Add implements ledger.Writer.
func (w *writer) Add(ctx context.Context, n int) error {
	if err := w.open(); err != nil {
		return err
	}
	var all []*amqp.DeferredConfirmation
	for range n {
		one, err := w.channel.PublishWithDeferredConfirmWithContext(ctx, "", w.queue, false, false, amqp.Publishing{DeliveryMode: amqp.Persistent})
		if err != nil {
			return err
		}
		all = append(all, one)
	}
	for _, one := range all {
		ok, err := one.WaitContext(ctx)
		if err != nil {
			return err
		}
		if !ok {
			return errRefused
		}
	}
	return nil
}

// Take implements ledger.Writer.
func (w *writer) Take(context.Context) error {
	if err := w.open(); err != nil {
		return err
	}
	message, ok, err := w.channel.Get(w.queue, false)
	if err != nil {
		return err
	}
	if !ok {
		return fmt.Errorf("take from %s: %w", w.queue, errEmpty)
	}
	w.tags = append(w.tags, message.DeliveryTag)
	return nil
}

// Finish implements ledger.Writer. Messages that wait are taken first, as a worker does.
func (w *writer) Finish(ctx context.Context, taken, ready int) error {
	for range ready {
		if err := w.Take(ctx); err != nil {
			return err
		}
	}
	n := taken + ready
	if n > len(w.tags) {
		return fmt.Errorf("%d of %d messages of %s are in flight: %w", len(w.tags), n, w.queue, errEmpty)
	}
	for _, tag := range w.tags[:n] {
		if err := w.channel.Ack(tag, false); err != nil {
			return err
		}
		w.acked = append(w.acked, time.Now())
	}
	w.tags = w.tags[n:]
	if len(w.acked) > 1000 {
		w.acked = w.acked[500:]
	}
	// An acknowledgement is not answered; the queue has it when it answers what was sent later.
	_, err := w.channel.QueueDeclarePassive(w.queue, true, false, false, false, nil)
	return err
}

// Empty implements ledger.Writer. It closes the connection, so that what is in flight waits. A quorum
// queue has that a moment later.
func (w *writer) Empty(ctx context.Context) error {
	w.close()
	if err := w.open(); err != nil {
		return err
	}
	ticker := time.NewTicker(purgeEvery)
	defer ticker.Stop()
	for range purges {
		if _, err := w.channel.QueuePurge(w.queue, false); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-ticker.C:
		}
	}
	return nil
}
