package rabbitmq_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/backlogtest"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/rabbitmq"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/rabbitmq/rabbitmqtest"
)

// benchQueues is how many queues are read in one batch.
const benchQueues = 1000

// BenchmarkRead reads 1,000 queues in one batch, next to the bare client with as many channels.
func BenchmarkRead(b *testing.B) {
	n := latest(b)
	client := n.NewClient(b)
	queries := make([]backlog.Query, benchQueues)
	for i := range queries {
		queries[i] = query(queueName("bench"))
		client.Declare(b, queries[i].Queue, "classic", nil)
	}
	b.Run("engine", func(b *testing.B) {
		source := backlogtest.Open(b, rabbitmq.Engine(), settings(n, n.Address, nil))
		backlogtest.Read(b, source, queries...)
		var results []backlog.Result
		b.ReportAllocs()
		for b.Loop() {
			results = source.Read(b.Context(), queries, results[:0])
		}
		for _, r := range results {
			if r.Err != nil {
				b.Fatal(r.Err)
			}
		}
		b.ReportMetric(float64(b.N)*benchQueues/b.Elapsed().Seconds(), "queues/s")
	})
	b.Run("bare", func(b *testing.B) {
		conn, err := amqp.Dial("amqp://" + rabbitmqtest.Username + ":" + rabbitmqtest.Password + "@" + n.Address + "/")
		if err != nil {
			b.Fatal(err)
		}
		defer conn.Close()
		channels := make([]*amqp.Channel, 16)
		for i := range channels {
			if channels[i], err = conn.Channel(); err != nil {
				b.Fatal(err)
			}
		}
		for b.Loop() {
			if err := declareAll(channels, queries); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(float64(b.N)*benchQueues/b.Elapsed().Seconds(), "queues/s")
	})
}

// declareAll declares the queues on all channels at the same time.
func declareAll(channels []*amqp.Channel, queries []backlog.Query) error {
	errs := make([]error, len(channels))
	var running sync.WaitGroup
	for i, channel := range channels {
		running.Go(func() {
			for at := i; at < len(queries); at += len(channels) {
				if _, err := channel.QueueDeclarePassive(queries[at].Queue, false, false, false, false, nil); err != nil {
					errs[i] = err
				}
			}
		})
	}
	running.Wait()
	for _, err := range errs {
		if err != nil {
			return fmt.Errorf("declare: %w", err)
		}
	}
	return nil
}

// BenchmarkNotice measures how long it takes from the publish to the reading that has the message,
// where an idle queue is read every 100 ms.
func BenchmarkNotice(b *testing.B) {
	n := latest(b)
	client := n.NewClient(b)
	source := backlogtest.Open(b, rabbitmq.Engine(), settings(n, n.Address, nil))
	var took []time.Duration
	for b.Loop() {
		q := query(queueName("notice"))
		client.Declare(b, q.Queue, "classic", nil)
		backlogtest.MustRead(b, source, q)
		noticed := make(chan time.Time, 1)
		ctx, cancel := context.WithCancel(b.Context())
		go func() {
			ticker := time.NewTicker(source.Status().IdlePoll)
			defer ticker.Stop()
			for ctx.Err() == nil {
				if r := source.Read(ctx, []backlog.Query{q}, nil)[0]; r.Err == nil && r.Reading.Ready > 0 {
					noticed <- time.Now()
					return
				}
				select {
				case <-ticker.C:
				case <-ctx.Done():
				}
			}
		}()
		time.Sleep(time.Duration(len(took)%100) * time.Millisecond)
		began := time.Now()
		client.Publish(b, q.Queue, 1)
		took = append(took, (<-noticed).Sub(began))
		cancel()
	}
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2].Microseconds())/1000, "p50-ms")
	b.ReportMetric(float64(took[len(took)*99/100].Microseconds())/1000, "p99-ms")
}

// BenchmarkNoticeTap measures the same where a tap wakes the queue, which is read once it has.
func BenchmarkNoticeTap(b *testing.B) {
	for _, kind := range []string{"classic", "quorum"} {
		b.Run(kind, func(b *testing.B) {
			n := latest(b)
			client, where := n.NewClient(b), bus{n, "/"}
			source := where.open(b, nil)
			exchange := queueName("notice")
			where.exchange(b, exchange, "direct", nil)
			var took []time.Duration
			for b.Loop() {
				name := queueName("notice")
				where.bound(b, name, kind, exchange, name)
				q := tapped(name, exchange, name)
				source.arm(b, q)
				before := source.wakeUps(q)
				noticed := make(chan time.Time, 1)
				ctx, cancel := context.WithCancel(b.Context())
				go func() {
					for ; ctx.Err() == nil; time.Sleep(50 * time.Microsecond) {
						now := source.wakeUps(q)
						if now == before {
							continue
						}
						before = now
						if r := source.Read(ctx, []backlog.Query{q}, nil)[0]; r.Err == nil && r.Reading.Ready > 0 {
							noticed <- time.Now()
							return
						}
					}
				}()
				began := time.Now()
				client.PublishTo(b, exchange, name, 1)
				took = append(took, (<-noticed).Sub(began))
				cancel()
			}
			slices.Sort(took)
			b.ReportMetric(float64(took[len(took)/2].Microseconds())/1000, "p50-ms")
			b.ReportMetric(float64(took[len(took)*99/100].Microseconds())/1000, "p99-ms")
		})
	}
}
