package jetstreamstage

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

var errEmpty = errors.New("there is no message")

// A writer writes one stream, and works on it. One goroutine at a time uses it.
type writer struct {
	js     jetstream.JetStream
	stream string
	// held are messages in flight, the oldest first.
	held []jetstream.Msg
}

// Add implements ledger.Writer.
func (w *writer) Add(ctx context.Context, n int) error {
	for range n {
		if _, err := w.js.Publish(ctx, w.stream+".new", nil); err != nil {
			return err
		}
	}
	return nil
}

// fetchWait bounds the wait of a worker for a message that is there.
const fetchWait = 3 * time.Second

// Take implements ledger.Writer.
func (w *writer) Take(ctx context.Context) error {
	workers, err := w.js.Consumer(ctx, w.stream, consumer)
	if err != nil {
		return err
	}
	message, err := workers.Next(jetstream.FetchMaxWait(fetchWait))
	if err != nil {
		return fmt.Errorf("take from %s: %w", w.stream, err)
	}
	w.held = append(w.held, message)
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
	if n > len(w.held) {
		return fmt.Errorf("%d of %d messages of %s are in flight: %w", len(w.held), n, w.stream, errEmpty)
	}
	for _, message := range w.held[:n] {
		if err := message.DoubleAck(ctx); err != nil {
			return err
		}
	}
	w.held = w.held[n:]
	return nil
}

// Empty implements ledger.Writer. Nothing is in flight of messages that are gone.
func (w *writer) Empty(ctx context.Context) error {
	stream, err := w.js.Stream(ctx, w.stream)
	if err != nil {
		return err
	}
	w.held = nil
	return stream.Purge(ctx)
}
