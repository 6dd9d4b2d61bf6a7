// Package rabbitmq reads queues and streams of RabbitMQ.
//
// Two sources of numbers complete each other:
//
//   - A passive queue.declare over AMQP returns the messages that are ready and the consumers, at
//     once. It is silent about messages in flight, and answers 0 and 0 where a quorum queue has no
//     leader that answers within 250 ms:
//     https://github.com/rabbitmq/rabbitmq-server/blob/main/deps/rabbit/src/rabbit_quorum_queue.erl (stat/2).
//   - The management API lists all queues of a virtual host with their type, state, and messages in
//     flight: https://www.rabbitmq.com/docs/management#http-api-pagination. Those of a classic queue
//     are asked from the queue, those of a quorum queue are up to quorum_tick_interval old.
//
// A read declares each queue once, on channels of one connection, and judges the answer by the last
// listing (see judge.go). The listing is fetched in the background (package management).
//
// Streams are read over their own protocol (packages lag and stream). Each is asked for at the node of its
// leader: only the leader knows what a majority of the members has, and the offsets that are stored.
//
// A publish notifies no client that waits, so idle queues are polled. Where the connection allows it, a
// trigger may have its exchange tapped in place of that (package tap).
package rabbitmq

import (
	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/rabbitmq/tap"
)

// layoutQueue is the layout of queues.
const layoutQueue = "queue"

// Engine returns the engine "rabbitmq".
func Engine() backlog.Engine {
	return backlog.Engine{
		Name:     "rabbitmq",
		Summary:  "RabbitMQ 3.10 and later over AMQP 0-9-1 and its management API: classic and quorum queues; from 3.11 also the lag of consumers of streams, over the stream protocol.",
		Settings: settings(),
		Layouts: []backlog.Layout{{
			Name:           layoutQueue,
			Summary:        "A classic or quorum queue of the connection's virtual host. A stream is rejected: its messages stay after they were read, so that their number is no backlog; see the layout `stream`.",
			Queue:          "name of the queue",
			Patterns:       "the queues that the management API lists, except streams and exclusive queues; needs `managementURL`",
			Ready:          "messages that are ready for delivery, of all priorities, at the time of the read. Messages that a delayed message exchange holds back, and those that were dead-lettered to another queue, are not in the queue and do not count.",
			InFlight:       "messages that were delivered and not acknowledged, by the management API: up to `managementInterval` old, in a quorum queue `quorumTick` more. Until it is known what became of messages that were ready a moment ago, they count as in flight (an upper bound). Without `managementURL` the number is unknown.",
			InFlightIsLate: true,
			// An empty queue exists, so that one that does not is most likely a mistake.
			MissingIsError: true,
			Parameters:     tap.Parameters(),
			PerNamespace:   perNamespace,
			Check:          tap.Check,
			CheckOn:        checkOn,
		}, streamLayoutOf()},
		Check: check,
		Open:  open,
	}
}
