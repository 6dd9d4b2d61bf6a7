// Package kafkastage lets a soak run on the engine kafka: three brokers that replace each other.
package kafkastage

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog/kafka/kafkatest"
	"github.com/backlog-scaler/backlog-scaler/internal/childprocess"
	"github.com/backlog-scaler/backlog-scaler/internal/soak/ledger"
	"github.com/backlog-scaler/backlog-scaler/internal/soak/plan"
	"github.com/backlog-scaler/backlog-scaler/internal/soak/stage"
)

const (
	// brokers is how many there are. Each has a replica of each partition.
	brokers = 3
	// patience bounds the wait for what a fault does. It is long because it passes only where
	// something is wrong.
	patience = 3 * time.Minute
	// idlePoll is how often an idle topic is read that is polled: the default of the engine.
	idlePoll = 250 * time.Millisecond
)

// topics are the queues, each with its number of partitions.
func topics() map[string]int32 { return map[string]int32{"orders": 12, "events": 24} }

// names are those of the topics, in order.
func names() []string { return []string{"orders", "events"} }

// group is the consumer group of a topic.
func group(topic string) string { return topic + "-workers" }

// metadata is that of a trigger. With its target every change of the backlog is reported, and the
// number of partitions is no limit to what is.
func metadata(topic string) map[string]string {
	return map[string]string{"topic": topic, "consumerGroup": group(topic), "target": "10"}
}

// Cluster is three brokers, with a connection for each way to notice changes.
func Cluster() stage.Topology {
	const name = "kafka"
	shape := plan.Shape{Topology: name, Faults: faults()}
	for _, topic := range names() {
		shape.Queues = append(shape.Queues, plan.Queue{Name: topic, Writes: ledger.Writes(false)})
	}
	return stage.Topology{
		Shape:  shape,
		Reopen: "clientID: backlog-scaler-reopened",
		// At most three to each broker: docs/configuration.md. There are two connections of the scaler.
		Connections: 2 * 3 * brokers,
		Start: func(t testing.TB, seed uint64) stage.Broker {
			t.Helper()
			version := []kafkatest.Version{kafkatest.V44, kafkatest.V39}[seed%2]
			c := &cluster{name: name, servers: kafkatest.Start(t, version, brokers), secret: filepath.Join(t.TempDir(), "password")}
			if err := os.WriteFile(c.secret, []byte(kafkatest.Password), 0o600); err != nil {
				t.Fatal(err)
			}
			c.client = c.servers.Client(t)
			for _, topic := range names() {
				c.client.CreateTopic(t, topic, topics()[topic], nil)
				l := ledger.New(newWriter(c.client, topic, int(topics()[topic])))
				c.ledgers = append(c.ledgers, l)
				for connection, late := range map[string]time.Duration{name: 0, c.polled(): idlePoll} {
					c.queues = append(c.queues, &stage.Queue{
						Name: topic, Connection: connection, Metadata: metadata(topic),
						Late: late, History: l.History, Write: l.Write,
					})
				}
			}
			c.grant(t)
			c.await(t)
			return c
		},
	}
}

type cluster struct {
	name    string
	servers *kafkatest.Cluster
	client  *kafkatest.Client
	ledgers []*ledger.Ledger
	queues  []*stage.Queue
	// secret is the file with the password of the scaler.
	secret string
	// down is the broker that does not run, zero if all do.
	down int32
}

// polled is the name of the connection that polls.
func (c *cluster) polled() string { return c.name + "-poll" }

// Name implements stage.Broker.
func (c *cluster) Name() string {
	return fmt.Sprintf("%d brokers of Kafka %s", brokers, c.servers.Version)
}

// Configuration implements stage.Broker.
func (c *cluster) Configuration() map[string][]string {
	lines := []string{
		"engine: kafka", "namespaces: ['*']", "addresses: ['" + strings.Join(c.servers.SASLAddrs(), "', '") + "']",
		"saslMechanism: SCRAM-SHA-256", "username: " + kafkatest.User, "password: {file: " + c.secret + "}",
	}
	return map[string][]string{c.name: lines, c.polled(): append(slices.Clip(lines), "wakeUp: poll")}
}

// Queues implements stage.Broker.
func (c *cluster) Queues() []*stage.Queue { return c.queues }

// Connections implements stage.Broker. The soak itself does not use the listeners with a login.
func (c *cluster) Connections(context.Context) (n int, ok bool) {
	return established(c.servers.SASLAddrs())
}

// acl returns the rights of the user of the scaler on the queues.
func acl() []*kadm.ACLBuilder {
	own := func() *kadm.ACLBuilder {
		return kadm.NewACLs().ResourcePatternType(kadm.ACLPatternLiteral).Allow("User:" + kafkatest.User).AllowHosts("*")
	}
	var groups []string
	for _, topic := range names() {
		groups = append(groups, group(topic))
	}
	return []*kadm.ACLBuilder{
		own().Topics(names()...).Operations(kadm.OpDescribe, kadm.OpRead),
		own().Groups(groups...).Operations(kadm.OpDescribe),
	}
}

// grant gives the user of the scaler its rights.
func (c *cluster) grant(t testing.TB) {
	t.Helper()
	c.must(t, "rights", func(ctx context.Context) error {
		for _, b := range acl() {
			results, err := c.client.Admin.CreateACLs(ctx, b)
			if err != nil {
				return err
			}
			for _, r := range results {
				if r.Err != nil {
					return r.Err
				}
			}
		}
		return nil
	})
}

// revoke takes the rights away.
func (c *cluster) revoke(t testing.TB) {
	t.Helper()
	c.must(t, "no rights", func(ctx context.Context) error {
		for _, b := range acl() {
			results, err := c.client.Admin.DeleteACLs(ctx, b)
			if err != nil {
				return err
			}
			for _, r := range results {
				if r.Err != nil {
					return r.Err
				}
			}
		}
		return nil
	})
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
