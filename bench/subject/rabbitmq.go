package subject

import (
	"context"
	"errors"
	"fmt"
	"net/url"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog/rabbitmq/rabbitmqtest"
)

// declareChannels is on how many channels the bare client declares queues: as many as the engine uses.
const declareChannels = 16

// RabbitMQ measures the engine of that name, on one node with durable classic queues. RabbitMQ notifies no client of
// a publish, so changes are noticed by polling idle queues every 100 ms, the engine's default. The bare client,
// amqp091-go, declares the queues passively over one connection, on as many channels as the engine: a channel has
// one declaration under way, so a batch takes as many round trips as a channel has queues.
func RabbitMQ(ctx context.Context, programs Programs) (Result, error) {
	return measureEngine(ctx, programs, (*stage).rabbitmq)
}

func (s *stage) rabbitmq(ctx context.Context) (*queueServer, error) {
	server, err := rabbitmqtest.Launch(ctx, rabbitmqtest.Latest, 1, nil)
	if err != nil {
		return nil, err
	}
	s.endings = append(s.endings, func() error { server.Close(); return nil })
	node := server.Nodes[0]
	far, err := s.distance()
	if err != nil {
		return nil, err
	}
	password, err := s.secret("password", rabbitmqtest.Password)
	if err != nil {
		return nil, err
	}
	channels, err := s.channels(node.Address)
	if err != nil {
		return nil, err
	}
	queues := teamQueues()
	err = declare(channels, queues, func(channel *amqp.Channel, queue string) error {
		_, err := channel.QueueDeclare(queue, true, false, false, false, amqp.Table{"x-queue-type": "classic"})
		return err
	})
	if err != nil {
		return nil, err
	}
	sending := channels[0]
	if err := sending.Confirm(false); err != nil {
		return nil, fmt.Errorf("ask for confirmations: %w", err)
	}
	write := func(ctx context.Context, i int) error { return publish(ctx, sending, queues[i]) }
	for i := range engineBusy {
		if err := write(ctx, i); err != nil {
			return nil, err
		}
	}
	management, err := url.Parse(node.Management)
	if err != nil {
		return nil, fmt.Errorf("find the management API: %w", err)
	}
	return &queueServer{
		engine: "rabbitmq", address: node.Address, brokers: []string{node.Address, management.Host}, far: far.To(node.Address),
		settings: func(address string) []string {
			return []string{
				fmt.Sprintf("addresses: [%q]", address), "username: " + rabbitmqtest.Username, "password: " + password,
				fmt.Sprintf("managementURL: %q", node.Management), answerTimeout,
			}
		},
		layout: "queue", queues: queues, parameters: none,
		bare: func(_ context.Context, address string) (func(context.Context) error, error) {
			channels, err := s.channels(address)
			return func(context.Context) error { return declare(channels, queues, inspect) }, err
		},
		write:   write,
		limits:  engineLimits{rate: 0.5, trips: 80, p50: 300, p99: 1000},
		notices: "poll every 100 ms",
	}, nil
}

// channels opens those of the bare client, on one connection.
func (s *stage) channels(address string) ([]*amqp.Channel, error) {
	conn, err := amqp.Dial("amqp://" + rabbitmqtest.Username + ":" + rabbitmqtest.Password + "@" + address + "/")
	if err != nil {
		return nil, fmt.Errorf("connect to RabbitMQ: %w", err)
	}
	s.endings = append(s.endings, conn.Close)
	all := make([]*amqp.Channel, declareChannels)
	for i := range all {
		if all[i], err = conn.Channel(); err != nil {
			return nil, fmt.Errorf("open a channel: %w", err)
		}
	}
	return all, nil
}

// declare calls do for each of the queues, on all channels at the same time.
func declare(channels []*amqp.Channel, queues []string, do func(*amqp.Channel, string) error) error {
	return each(len(channels), len(channels), func(c int) error {
		for i := c; i < len(queues); i += len(channels) {
			if err := do(channels[c], queues[i]); err != nil {
				return fmt.Errorf("declare %s: %w", queues[i], err)
			}
		}
		return nil
	})
}

// inspect takes the number of messages of a queue.
func inspect(channel *amqp.Channel, name string) error {
	queue, err := channel.QueueDeclarePassive(name, true, false, false, false, nil)
	if err == nil && queue.Messages < 0 {
		err = fmt.Errorf("%d messages", queue.Messages)
	}
	return err
}

// publish adds a message to a queue and waits until it is confirmed.
func publish(ctx context.Context, channel *amqp.Channel, queue string) error {
	sent, err := channel.PublishWithDeferredConfirm("", queue, false, false, amqp.Publishing{DeliveryMode: amqp.Persistent, Body: []byte("work")})
	if err != nil {
		return fmt.Errorf("publish to %s: %w", queue, err)
	}
	confirmed, err := sent.WaitContext(ctx)
	if err == nil && !confirmed {
		err = errors.New("it is not confirmed")
	}
	if err != nil {
		return fmt.Errorf("publish to %s: %w", queue, err)
	}
	return nil
}
