package sqsstage

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog/sqs/sqstest"
)

// visibility is for how long a message is in flight, in seconds: the longest that SQS has.
const visibility = 43_200

var errEmpty = errors.New("there is no message")

// A writer writes one queue, and works on it. One goroutine at a time uses it.
type writer struct {
	client *sqstest.Client
	queue  string
	// sent is how many messages were sent. Each of a FIFO queue has its own group.
	sent int
	// held are the handles of messages in flight, the oldest first.
	held []string
}

func (w *writer) url() *string {
	url := w.client.URL(w.queue)
	return &url
}

// Add implements ledger.Writer.
func (w *writer) Add(ctx context.Context, n int) error {
	for range n {
		w.sent++
		body := fmt.Sprint("message ", w.sent)
		input := &sqs.SendMessageInput{QueueUrl: w.url(), MessageBody: &body}
		if strings.HasSuffix(w.queue, ".fifo") {
			input.MessageGroupId, input.MessageDeduplicationId = &body, &body
		}
		if _, err := w.client.SendMessage(ctx, input); err != nil {
			return err
		}
	}
	return nil
}

// Take implements ledger.Writer.
func (w *writer) Take(ctx context.Context) error {
	answer, err := w.client.ReceiveMessage(ctx, &sqs.ReceiveMessageInput{QueueUrl: w.url(), MaxNumberOfMessages: 1, VisibilityTimeout: visibility})
	if err != nil {
		return err
	}
	if len(answer.Messages) != 1 {
		return fmt.Errorf("take from %s: %w", w.queue, errEmpty)
	}
	w.held = append(w.held, *answer.Messages[0].ReceiptHandle)
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
		return fmt.Errorf("%d of %d messages of %s are in flight: %w", len(w.held), n, w.queue, errEmpty)
	}
	for _, handle := range w.held[:n] {
		if _, err := w.client.DeleteMessage(ctx, &sqs.DeleteMessageInput{QueueUrl: w.url(), ReceiptHandle: &handle}); err != nil {
			return err
		}
	}
	w.held = w.held[n:]
	return nil
}

// Empty implements ledger.Writer.
func (w *writer) Empty(ctx context.Context) error {
	w.held = nil
	_, err := w.client.PurgeQueue(ctx, &sqs.PurgeQueueInput{QueueUrl: w.url()})
	return err
}
