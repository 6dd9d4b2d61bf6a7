// Package rabbitstage lets a soak run on the engine rabbitmq: one node behind proxies, with a queue of
// each type.
package rabbitstage

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog/backlogtest"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/rabbitmq/rabbitmqtest"
	"github.com/backlog-scaler/backlog-scaler/internal/soak/ledger"
	"github.com/backlog-scaler/backlog-scaler/internal/soak/plan"
	"github.com/backlog-scaler/backlog-scaler/internal/soak/stage"
)

// The user of the scaler, and the rights that it has.
const (
	scalerUser     = "scaler"
	scalerPassword = "soak"
)

const (
	// listings is how often the scaler lists the queues, a fifth of its default, so that a short
	// run has many.
	listings = time.Second
	// tick is how old a number of messages in flight of a quorum queue may be: the default of the
	// server.
	tick = 5 * time.Second
	// apart is by how much the numbers of the two sources may differ in age: see managedReading
	// of the engine, and its slack.
	apart = time.Second
)

// A kind is a type of queues, and how much later than others changes are noticed: messages in
// flight are as old as a listing.
type kind struct {
	name string
	late time.Duration
}

func kinds() []kind {
	return []kind{{"classic", 2*listings + apart}, {"quorum", 2*listings + tick + 2*apart}}
}

// Node is one node.
func Node() stage.Topology {
	const name = "rabbitmq"
	shape := plan.Shape{Topology: name, Faults: faults()}
	for _, k := range kinds() {
		shape.Queues = append(shape.Queues, plan.Queue{Name: k.name, Writes: ledger.Writes(true)})
	}
	return stage.Topology{
		Shape:  shape,
		Reopen: "connectionName: backlog-scaler-reopened",
		Start: func(t testing.TB, seed uint64) stage.Broker {
			t.Helper()
			versions := rabbitmqtest.Versions(t)
			version := versions[seed%uint64(len(versions))]
			n := &node{name: name, title: "RabbitMQ " + version, node: rabbitmqtest.Start(t, version, 1, nil).Nodes[0]}
			n.proxy = backlogtest.NewProxy(t, n.node.Address)
			n.management = backlogtest.NewProxy(t, strings.TrimPrefix(n.node.Management, "http://"))
			n.secret = filepath.Join(t.TempDir(), "password")
			if err := os.WriteFile(n.secret, []byte(scalerPassword), 0o600); err != nil {
				t.Fatal(err)
			}
			n.addUser(t)
			own := n.node.NewClient(t)
			for _, k := range kinds() {
				own.Declare(t, k.name, k.name, nil)
				w := &writer{address: n.node.Address, queue: k.name}
				t.Cleanup(w.close)
				l := ledger.New(w)
				n.writers, n.ledgers = append(n.writers, w), append(n.ledgers, l)
				n.queues = append(n.queues, &stage.Queue{
					Name: k.name, Connection: name, Metadata: map[string]string{"queue": k.name},
					Late: k.late, AtMost: true, History: l.History, Write: l.Write,
				})
			}
			return n
		},
	}
}

// A node is one that runs.
type node struct {
	name, title string
	node        *rabbitmqtest.Node
	// proxy is in front of AMQP, and management in front of the management API.
	proxy, management *backlogtest.Proxy
	writers           []*writer
	ledgers           []*ledger.Ledger
	queues            []*stage.Queue
	// secret is the file with the password of the scaler.
	secret string
}

// Name implements stage.Broker.
func (n *node) Name() string { return n.title }

// Configuration implements stage.Broker.
func (n *node) Configuration() map[string][]string {
	return map[string][]string{n.name: {
		"engine: rabbitmq", "namespaces: ['*']", "addresses: ['" + n.proxy.Addr() + "']",
		"username: " + scalerUser, "password: {file: " + n.secret + "}",
		"managementURL: 'http://" + n.management.Addr() + "'", "managementInterval: " + listings.String(),
	}}
}

// Queues implements stage.Broker.
func (n *node) Queues() []*stage.Queue { return n.queues }

// Connections implements stage.Broker: those for AMQP. Those of the management API come and go.
func (n *node) Connections(context.Context) (count int, ok bool) { return n.proxy.Connections(), true }
