// Package sqlstage lets a soak run on the engines postgresql and mysql: one server of each behind a
// proxy, with queues of frameworks and of a user's own SQL.
package sqlstage

import (
	"context"
	"testing"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog/backlogtest"
	"github.com/backlog-scaler/backlog-scaler/internal/soak/ledger"
	"github.com/backlog-scaler/backlog-scaler/internal/soak/plan"
	"github.com/backlog-scaler/backlog-scaler/internal/soak/stage"
)

// Topologies are all of the package.
func Topologies() []stage.Topology {
	return []stage.Topology{PostgreSQL(), MySQL()}
}

const (
	// scalerUser is the user of the scaler.
	scalerUser = "scaler"
	// idlePoll is how often an idle queue is read that is polled: the default of both engines.
	idlePoll = 250 * time.Millisecond
)

// A server is one of either engine.
type server interface {
	Freeze(t testing.TB)
	Thaw(t testing.TB)
	Kill()
	// Restart starts it with its data.
	Restart(t testing.TB)
}

// A database is one of either engine.
type database interface {
	// Try runs statements as one transaction.
	Try(ctx context.Context, statements string) error
}

// A dialect is what the engines have different statements for.
type dialect struct {
	// revoke takes the right to read from the user of the scaler, and grant gives it back.
	revoke, grant string
	// lock ends the connections of that user and refuses new ones, and unlock accepts them again.
	lock, unlock string
	// kill ends the connections of that user.
	kill string
}

// shape is that of a topology with one queue of each layout.
func shape(name string, layouts []layout) plan.Shape {
	s := plan.Shape{Topology: name, Faults: faults()}
	for _, l := range layouts {
		s.Queues = append(s.Queues, plan.Queue{Name: l.name, Writes: ledger.Writes(true)})
	}
	return s
}

// A broker is a server that runs.
type broker struct {
	name, title string
	server      server
	// reconnect replaces the connections of the soak after a restart of the server.
	reconnect func()
	database  database
	proxy     *backlogtest.Proxy
	dialect   dialect
	settings  map[string][]string
	ledgers   []*ledger.Ledger
	queues    []*stage.Queue
}

// add adds a queue of each layout, as one connection of the scaler reads it.
func (b *broker) add(t testing.TB, layouts []layout) {
	t.Helper()
	for _, l := range layouts {
		for _, statements := range l.tables {
			b.must(t, statements)
		}
		own := ledger.New(&writer{database: b.database, layout: l})
		b.ledgers = append(b.ledgers, own)
		b.queues = append(b.queues, b.staged(l, own, b.name, l.late))
	}
	b.must(t, b.dialect.grant)
}

// staged returns a queue as a connection of the scaler reads it.
func (b *broker) staged(l layout, own *ledger.Ledger, connection string, late time.Duration) *stage.Queue {
	return &stage.Queue{Name: l.name, Connection: connection, Metadata: l.metadata, Late: late, History: own.History, Write: own.Write}
}

// must runs statements that must succeed.
func (b *broker) must(t testing.TB, statements string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), time.Minute)
	defer cancel()
	if err := b.database.Try(ctx, statements); err != nil {
		t.Fatalf("%s: %v", statements, err)
	}
}

// Name implements stage.Broker.
func (b *broker) Name() string { return b.title }

// Configuration implements stage.Broker.
func (b *broker) Configuration() map[string][]string { return b.settings }

// Queues implements stage.Broker.
func (b *broker) Queues() []*stage.Queue { return b.queues }

// Connections implements stage.Broker. Those of the soak do not pass the proxy.
func (b *broker) Connections(context.Context) (n int, ok bool) { return b.proxy.Connections(), true }
