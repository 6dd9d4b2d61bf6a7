// Package jetstreamstage lets a soak run on the engine jetstream: three servers that replace each other.
package jetstreamstage

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog/jetstream/jetstreamtest"
	"github.com/backlog-scaler/backlog-scaler/internal/childprocess"
	"github.com/backlog-scaler/backlog-scaler/internal/soak/ledger"
	"github.com/backlog-scaler/backlog-scaler/internal/soak/plan"
	"github.com/backlog-scaler/backlog-scaler/internal/soak/stage"
)

const (
	// servers is how many there are. Each has a replica of each stream.
	servers = 3
	// patience bounds the wait for what a fault does. It is long because it passes only where
	// something is wrong.
	patience = 3 * time.Minute
	// idlePoll is how often an idle stream is read that is polled: the default of the engine.
	idlePoll = 250 * time.Millisecond
	// consumer is the one of each stream.
	consumer = "workers"
	// ackWait is after how long a message that was taken is handed out again, which no run waits for.
	ackWait = 24 * time.Hour
	// clientName begins the names of the connections of the scaler.
	clientName = "backlog-scaler"
)

// retentions are those of the streams, by name.
func retentions() map[string]jetstream.RetentionPolicy {
	return map[string]jetstream.RetentionPolicy{"events": jetstream.LimitsPolicy, "orders": jetstream.WorkQueuePolicy}
}

// names are those of the streams, in order.
func names() []string { return []string{"orders", "events"} }

// Cluster is three servers, with a connection for each way to notice changes.
func Cluster() stage.Topology {
	const name = "jetstream"
	shape := plan.Shape{Topology: name, Faults: faults()}
	for _, stream := range names() {
		shape.Queues = append(shape.Queues, plan.Queue{Name: stream, Writes: ledger.Writes(true)})
	}
	return stage.Topology{
		Shape:  shape,
		Reopen: "connectionName: backlog-scaler-reopened",
		Start: func(t testing.TB, _ uint64) stage.Broker {
			t.Helper()
			c := &cluster{name: name, servers: jetstreamtest.Start(t, servers, jetstreamtest.Children())}
			c.client = c.servers.NewClient(t, nats.PingInterval(time.Second), nats.MaxPingsOutstanding(2))
			for _, stream := range names() {
				c.client.Stream(t, jetstream.StreamConfig{Name: stream, Retention: retentions()[stream], Replicas: servers})
				c.client.Consumer(t, stream, jetstream.ConsumerConfig{Durable: consumer, AckPolicy: jetstream.AckExplicitPolicy, AckWait: ackWait, MaxAckPending: -1})
				l := ledger.New(&writer{js: c.client.JS, stream: stream})
				c.ledgers = append(c.ledgers, l)
				for connection, late := range map[string]time.Duration{name: 0, c.polled(): idlePoll} {
					c.queues = append(c.queues, &stage.Queue{
						Name: stream, Connection: connection, Metadata: map[string]string{"stream": stream, "consumer": consumer},
						Late: late, History: l.History, Write: l.Write,
					})
				}
			}
			c.await(t)
			return c
		},
	}
}

type cluster struct {
	name    string
	servers *jetstreamtest.Cluster
	client  *jetstreamtest.Client
	ledgers []*ledger.Ledger
	queues  []*stage.Queue
}

// polled is the name of the connection that polls.
func (c *cluster) polled() string { return c.name + "-poll" }

// Name implements stage.Broker.
func (c *cluster) Name() string {
	return fmt.Sprintf("%d servers of NATS %s", servers, c.client.Conn.ConnectedServerVersion())
}

// Configuration implements stage.Broker.
func (c *cluster) Configuration() map[string][]string {
	lines := []string{"engine: jetstream", "namespaces: ['*']", "addresses: ['" + strings.Join(c.servers.Addresses(), "', '") + "']"}
	return map[string][]string{c.name: lines, c.polled(): append(slices.Clip(lines), "wakeUp: poll")}
}

// Queues implements stage.Broker.
func (c *cluster) Queues() []*stage.Queue { return c.queues }

// Connections implements stage.Broker. A server that cannot be asked may have some.
func (c *cluster) Connections(ctx context.Context) (n int, ok bool) {
	for _, node := range c.servers.Nodes {
		own, err := connections(ctx, node.Monitor)
		if err != nil {
			return 0, false
		}
		n += own
	}
	return n, true
}

// connections returns how many connections of the scaler a server has:
// https://docs.nats.io/running-a-nats-service/nats_admin/monitoring#connection-information-connz
func connections(ctx context.Context, monitor string) (n int, err error) {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+monitor+"/connz", http.NoBody)
	if err != nil {
		return 0, fmt.Errorf("ask for connections: %w", err)
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	answer, err := client.Do(request)
	if err != nil {
		return 0, fmt.Errorf("ask for connections: %w", err)
	}
	defer answer.Body.Close() //nolint:errcheck // it was only read
	var all struct {
		Connections []struct {
			Name string `json:"name"`
		} `json:"connections"`
	}
	if err := json.NewDecoder(answer.Body).Decode(&all); err != nil {
		return 0, fmt.Errorf("ask for connections: %w", err)
	}
	for _, one := range all.Connections {
		if strings.HasPrefix(one.Name, clientName) {
			n++
		}
	}
	return n, nil
}

// must repeats do until it succeeds.
func (c *cluster) must(t testing.TB, what string, do func(context.Context) error) {
	t.Helper()
	err := childprocess.Poll(context.WithoutCancel(t.Context()), what, patience, 100*time.Millisecond, func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
		defer cancel()
		return do(ctx)
	})
	if err != nil {
		t.Fatal(err)
	}
}
