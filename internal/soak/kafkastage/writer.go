package kafkastage

import (
	"context"
	"fmt"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog/kafka/kafkatest"
)

// A writer writes one topic and commits the offsets of its group. One goroutine at a time uses it.
type writer struct {
	client *kafkatest.Client
	topic  string
	// ends and committed are the offsets of each partition.
	ends, committed []int64
	// next is the partition that is written next.
	next int
}

func newWriter(client *kafkatest.Client, topic string, partitions int) *writer {
	return &writer{client: client, topic: topic, ends: make([]int64, partitions), committed: make([]int64, partitions)}
}

// Add implements ledger.Writer. The messages are one batch of one partition.
func (w *writer) Add(ctx context.Context, n int) error {
	partition := w.next
	w.next = (w.next + 1) % len(w.ends)
	records := make([]*kgo.Record, n)
	for i := range records {
		records[i] = &kgo.Record{Topic: w.topic, Partition: int32(partition), Value: []byte("work")}
	}
	for _, result := range w.client.ProduceSync(ctx, records...) {
		if result.Err != nil {
			return result.Err
		}
		w.ends[partition] = max(w.ends[partition], result.Record.Offset+1)
	}
	return nil
}

// Take implements ledger.Writer. A topic does not know what is in flight.
func (w *writer) Take(context.Context) error { return nil }

// Finish implements ledger.Writer.
func (w *writer) Finish(ctx context.Context, _, ready int) error {
	next := make([]int64, len(w.ends))
	for i := range next {
		step := min(int64(ready), w.ends[i]-w.committed[i])
		next[i] = w.committed[i] + step
		ready -= int(step)
	}
	return w.commit(ctx, next)
}

// Empty implements ledger.Writer.
func (w *writer) Empty(ctx context.Context) error {
	// What was sent before ends with the connection, or is answered before this.
	if err := w.client.Flush(ctx); err != nil {
		return err
	}
	listed, err := w.client.Admin.ListEndOffsets(ctx, w.topic)
	if err == nil {
		err = listed.Error()
	}
	if err != nil {
		return err
	}
	ends := make([]int64, len(w.ends))
	for i := range ends {
		end, ok := listed.Lookup(w.topic, int32(i))
		if !ok {
			return fmt.Errorf("partition %d of %s has no end: %w", i, w.topic, errNotYet)
		}
		ends[i] = end.Offset
	}
	w.ends = ends
	return w.commit(ctx, append([]int64(nil), ends...))
}

// commit stores offsets of all partitions in one request.
func (w *writer) commit(ctx context.Context, next []int64) error {
	offsets := make(kadm.Offsets)
	for i, at := range next {
		offsets.AddOffset(w.topic, int32(i), at, -1)
	}
	if err := w.client.Admin.CommitAllOffsets(ctx, group(w.topic), offsets); err != nil {
		return err
	}
	w.committed = next
	return nil
}
