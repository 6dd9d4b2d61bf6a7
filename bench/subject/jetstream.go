package subject

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog/jetstream/jetstreamtest"
)

// JetStream measures the engine of that name, on one server with a stream in memory for each queue and a consumer
// of it. Changes are noticed by a subscription to the stream's subject that ends with its first message. The bare
// client, nats.go, asks about all consumers before it waits for the answers.
func JetStream(ctx context.Context, programs Programs) (Result, error) {
	return measureEngine(ctx, programs, (*stage).jetstream)
}

func (s *stage) jetstream(ctx context.Context) (*queueServer, error) {
	cluster, err := jetstreamtest.Launch(ctx, 1, jetstreamtest.Children())
	if err != nil {
		return nil, err
	}
	s.endings = append(s.endings, func() error { cluster.Close(); return nil })
	far, err := s.distance()
	if err != nil {
		return nil, err
	}
	client, err := cluster.Connect()
	if err != nil {
		return nil, err
	}
	s.endings = append(s.endings, func() error { client.Close(); return nil })
	streams := teamQueues()
	write := func(ctx context.Context, i int) error {
		_, err := client.JS.Publish(ctx, streams[i], []byte("work"))
		return err
	}
	if err := fillJetStream(ctx, client.JS, streams, write); err != nil {
		return nil, err
	}
	address := cluster.Addresses()[0]
	return &queueServer{
		engine: "jetstream", address: address, brokers: cluster.Addresses(), far: far.To(address),
		settings: func(address string) []string { return []string{fmt.Sprintf("addresses: [%q]", address), answerTimeout} },
		layout:   "stream", queues: streams,
		parameters: func(i int) map[string]string { return map[string]string{"consumer": workersOf(streams[i])} },
		bare:       s.bareJetStream(streams),
		write:      write,
		limits:     engineLimits{rate: 0.25, trips: 6, p50: 10, p99: 50},
		notices:    "subscription",
	}, nil
}

func workersOf(stream string) string { return strings.TrimSuffix(stream, "orders") + "workers" }

// fillJetStream makes the streams and the consumers, and one message in each busy one.
func fillJetStream(ctx context.Context, js jetstream.JetStream, streams []string, write func(context.Context, int) error) error {
	return each(len(streams), callers, func(i int) error {
		_, err := js.CreateStream(ctx, jetstream.StreamConfig{Name: streams[i], Subjects: []string{streams[i]}, Storage: jetstream.MemoryStorage})
		if err != nil {
			return fmt.Errorf("create stream %s: %w", streams[i], err)
		}
		_, err = js.CreateConsumer(ctx, streams[i], jetstream.ConsumerConfig{Durable: workersOf(streams[i]), AckPolicy: jetstream.AckExplicitPolicy})
		if err != nil {
			return fmt.Errorf("create consumer of %s: %w", streams[i], err)
		}
		if i >= engineBusy {
			return nil
		}
		return write(ctx, i)
	})
}

// bareJetStream returns what connects the bare client.
func (s *stage) bareJetStream(streams []string) func(ctx context.Context, address string) (func(context.Context) error, error) {
	return func(_ context.Context, address string) (func(context.Context) error, error) {
		conn, err := nats.Connect("nats://" + address)
		if err != nil {
			return nil, fmt.Errorf("connect to NATS: %w", err)
		}
		s.endings = append(s.endings, func() error { conn.Close(); return nil })
		inbox := nats.NewInbox()
		answers, err := conn.SubscribeSync(inbox)
		if err != nil {
			return nil, fmt.Errorf("subscribe to answers: %w", err)
		}
		return func(ctx context.Context) error {
			for _, stream := range streams {
				if err := conn.PublishRequest("$JS.API.CONSUMER.INFO."+stream+"."+workersOf(stream), inbox, nil); err != nil {
					return fmt.Errorf("ask about %s: %w", stream, err)
				}
			}
			for range streams {
				if err := readConsumer(ctx, answers); err != nil {
					return err
				}
			}
			return nil
		}, nil
	}
}

// readConsumer takes one answer.
func readConsumer(ctx context.Context, answers *nats.Subscription) error {
	message, err := answers.NextMsgWithContext(ctx)
	if err != nil {
		return fmt.Errorf("wait for an answer: %w", err)
	}
	var info struct {
		Error      json.RawMessage `json:"error"`
		NumPending *uint64         `json:"num_pending"`
	}
	if err := json.Unmarshal(message.Data, &info); err != nil {
		return fmt.Errorf("read an answer: %w", err)
	}
	if info.Error != nil || info.NumPending == nil {
		return errors.New("an answer is not about a consumer: " + string(message.Data))
	}
	return nil
}
