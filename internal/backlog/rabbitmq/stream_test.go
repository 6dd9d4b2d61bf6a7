package rabbitmq_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	client "github.com/rabbitmq/rabbitmq-stream-go-client/pkg/stream"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/backlogtest"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/rabbitmq"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/rabbitmq/rabbitmqtest"
)

// TestStreamConformance holds the layout of streams to the suite, on each version that it reads.
func TestStreamConformance(t *testing.T) {
	t.Parallel()
	for _, version := range streamVersions(t) {
		t.Run(version, func(t *testing.T) {
			t.Parallel()
			server := node(t, version)
			queues, streams := server.NewClient(t), newStreamClient(t, server)
			backlogtest.Exercise(t, backlogtest.Harness{
				Engine:  rabbitmq.Engine(),
				Address: server.Stream,
				Connection: func(address string) backlog.Connection {
					return settings(server, server.Address, map[string]any{
						"streamAddresses": []string{address}, "managementInterval": interval,
						"dialTimeout": time.Minute, "answerTimeout": time.Minute, "heartbeat": time.Minute,
					})
				},
				Cases: []backlogtest.Case{{
					Name:  "stream",
					Query: func(testing.TB) backlog.Query { return streamQuery(queueName("stream"), "worker") },
					Add: func(t testing.TB, q backlog.Query, n int) {
						t.Helper()
						streams.declare(t, q.Queue, nil)
						streams.publish(t, q.Queue, n, 10)
					},
					Ack: func(t testing.TB, q backlog.Query, n int) {
						t.Helper()
						streams.process(t, q.Queue, q.Params.Get("consumer"), n)
					},
					Corrupt: func(t testing.TB, q backlog.Query) {
						t.Helper()
						queues.Declare(t, q.Queue, "classic", nil)
						awaitListed(t, server, q.Queue)
					},
					EmptyExists: true,
				}},
			})
		})
	}
}

// awaitListed waits until a source that reads a queue knows it by the management API.
func awaitListed(t testing.TB, n *rabbitmqtest.Node, queue string) {
	t.Helper()
	await(t, open(t, n, nil), query(queue), "the queue is listed", func(backlog.Reading) bool { return true })
}

// TestStreamLag: the number is that of the messages that were published and not processed, whatever the
// server writes into the stream itself. Each stored offset takes an offset of a stream at rest, so that
// the last offset of a stream whose consumers are done is not that of a message.
func TestStreamLag(t *testing.T) {
	t.Parallel()
	for _, version := range streamVersions(t) {
		t.Run(version, func(t *testing.T) {
			t.Parallel()
			n := node(t, version)
			c, source := newStreamClient(t, n), openStreams(t, n, nil)
			name := queueName("lag")
			q, other := streamQuery(name, "worker"), streamQuery(name, "other")
			c.declare(t, name, nil)
			counts := func(q backlog.Query, want int64) backlog.Reading {
				t.Helper()
				r := backlogtest.MustRead(t, source, q)
				if r.Ready != want || r.Quality == backlog.LowerBound || r.Missing {
					t.Fatalf("a lag of %d reads as %+v", want, r)
				}
				return r
			}
			exactly := func(q backlog.Query, want int64) backlog.Reading {
				t.Helper()
				r := counts(q, want)
				if r.Quality != backlog.Exact {
					t.Fatalf("an exact lag of %d reads as %+v", want, r)
				}
				return r
			}
			exactly(q, 0)
			c.publish(t, name, 1000, 100)
			if r := backlogtest.MustRead(t, source, q); r.Ready != 1000 || r.Warning == "" {
				t.Fatalf("1000 messages without a stored offset read as %+v", r)
			}
			c.process(t, name, "worker", 999)
			exactly(q, 1)
			c.process(t, name, "worker", 1)
			r := exactly(q, 0)
			if r.Warning != "" || !r.Enqueued.Known || r.Enqueued.N != 1000 || r.Dequeued.N != 1000 {
				t.Errorf("the reading is %+v", r)
			}
			// The other consumer has stored nothing, and its offsets count for no other.
			counts(other, 1000)
			c.process(t, name, "other", 1000)
			for range 3 {
				exactly(other, 0)
				exactly(q, 0)
			}
			c.publish(t, name, 7, 100)
			// What stored offsets have taken in between is known not to be messages.
			counts(q, 7)
			// A scaler that starts now has not seen it.
			if r := backlogtest.MustRead(t, openStreams(t, n, nil), q); r.Ready < 7 || r.Ready > 10 || r.Quality != backlog.UpperBound {
				t.Errorf("a lag of 7 reads first as %+v", r)
			}
			if server := source.Status().Server; !strings.HasPrefix(server, "rabbitmq "+version+".") {
				t.Errorf("the server is %q", server)
			}
		})
	}
}

// TestMissingOffset is a consumer that has stored nothing.
func TestMissingOffset(t *testing.T) {
	t.Parallel()
	n := latest(t)
	c, source := newStreamClient(t, n), openStreams(t, n, nil)
	name := queueName("missing-offset")
	c.declare(t, name, nil)
	c.publish(t, name, 5, 10)
	q := streamQuery(name, "absent")
	if r := backlogtest.MustRead(t, source, withMissing(q, "first")); r.Ready != 5 || !strings.Contains(r.Warning, "no offset") {
		t.Errorf("first reads as %+v", r)
	}
	if r := backlogtest.MustRead(t, source, withMissing(q, "next")); r.Ready != 0 || !strings.Contains(r.Warning, "no offset") {
		t.Errorf("next reads as %+v", r)
	}
	if r := backlogtest.Read(t, source, withMissing(q, "error"))[0]; !errors.Is(r.Err, backlog.ErrMismatch) {
		t.Errorf("error reads as %+v", r)
	}
}

// TestQueuesAndStreams: one read has queues and streams, in any order, and each has its own result.
func TestQueuesAndStreams(t *testing.T) {
	t.Parallel()
	n := latest(t)
	c, source := newStreamClient(t, n), openStreams(t, n, nil)
	queues := n.NewClient(t)
	name, queue := queueName("mixed-stream"), queueName("mixed-queue")
	c.declare(t, name, nil)
	c.publish(t, name, 3, 10)
	queues.Declare(t, queue, "classic", nil)
	queues.Publish(t, queue, 2)
	await(t, source, query(queue), "2 ready", func(r backlog.Reading) bool { return r.Ready == 2 })
	want := []int64{3, 2, 0, 3}
	for i, r := range backlogtest.Read(t, source, streamQuery(name, "worker"), query(queue), withMissing(streamQuery(name, "worker"), "next"), streamQuery(name, "other")) {
		if r.Err != nil || r.Reading.Ready != want[i] {
			t.Errorf("result %d is %+v, want %d", i, r, want[i])
		}
	}
}

// TestStreamBatches: messages that a producer compresses together count one by one.
func TestStreamBatches(t *testing.T) {
	t.Parallel()
	n := latest(t)
	c, source := newStreamClient(t, n), openStreams(t, n, nil)
	name := queueName("batched")
	c.declare(t, name, nil)
	c.publishWith(t, name, 250, 100, client.NewProducerOptions().SetSubEntrySize(100).SetCompression(client.Compression{}.Gzip()))
	if r := backlogtest.MustRead(t, source, streamQuery(name, "worker")); r.Ready != 250 {
		t.Errorf("250 messages in three batches read as %+v", r)
	}
	c.process(t, name, "worker", 130)
	if r := backlogtest.MustRead(t, source, streamQuery(name, "worker")); r.Ready != 120 {
		t.Errorf("120 messages in two batches read as %+v", r)
	}
}
