// Package sqsstage lets a soak run on the engine sqs: a server that speaks its protocol, behind a proxy. It
// keeps its data in memory, so that it is never restarted.
package sqsstage

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog/backlogtest"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/sqs/sqstest"
	"github.com/backlog-scaler/backlog-scaler/internal/soak/ledger"
	"github.com/backlog-scaler/backlog-scaler/internal/soak/plan"
	"github.com/backlog-scaler/backlog-scaler/internal/soak/stage"
)

// The times of the scaler's connection are a fraction of their defaults, so that a short run has many reads.
const (
	activePoll = 250 * time.Millisecond
	idlePoll   = 500 * time.Millisecond
	emptyFor   = time.Second
	// slack is how much longer than emptyFor an empty queue is not believed: until the read after it.
	slack = time.Second
)

// scalerUser is the user of the scaler, and writerUser the one of producers and workers.
const (
	scalerUser = "scaler"
	writerUser = "workers"
)

// rights are those that docs/configuration.md names.
func rights() []string { return []string{"sqs:GetQueueAttributes", "sqs:GetQueueUrl"} }

// Server is one server with a standard and a FIFO queue.
func Server() stage.Topology {
	const name = "sqs"
	shape := plan.Shape{Topology: name, Faults: faults()}
	queues := map[string]map[string]string{"orders": nil, "events.fifo": {"FifoQueue": "true"}}
	names := []string{"orders", "events.fifo"}
	for _, queue := range names {
		shape.Queues = append(shape.Queues, plan.Queue{Name: queue, Writes: ledger.Writes(true)})
	}
	return stage.Topology{
		Shape:  shape,
		Reopen: "answerTimeout: 2100ms",
		// docs/configuration.md has three.
		Connections: 3,
		Start: func(t testing.TB, _ uint64) stage.Broker {
			t.Helper()
			s := &server{name: name, server: sqstest.Start(t), secret: filepath.Join(t.TempDir(), "key")}
			s.proxy = backlogtest.NewProxy(t, s.server.Addr())
			key, workers := s.server.User(t, scalerUser, rights()...), s.server.User(t, writerUser, "sqs:*")
			s.server.Authenticate(t, true)
			if err := os.WriteFile(s.secret, []byte(key.Secret), 0o600); err != nil {
				t.Fatal(err)
			}
			s.keyID = key.ID
			client := s.server.NewClientOf(workers)
			for _, queue := range names {
				client.Create(t, queue, queues[queue])
				l := ledger.New(&writer{client: client, queue: queue})
				s.ledgers = append(s.ledgers, l)
				s.queues = append(s.queues, &stage.Queue{
					Name: queue, Connection: name, Metadata: map[string]string{"queue": queue},
					Late: idlePoll + emptyFor + slack, AtMost: true, History: l.History, Write: l.Write,
				})
			}
			return s
		},
	}
}

// A server is one that runs.
type server struct {
	name    string
	server  *sqstest.Server
	proxy   *backlogtest.Proxy
	ledgers []*ledger.Ledger
	queues  []*stage.Queue
	// keyID and secret are the access key of the scaler, whose secret is in a file.
	keyID, secret string
}

// Name implements stage.Broker.
func (s *server) Name() string { return "moto, as SQS" }

// Configuration implements stage.Broker.
func (s *server) Configuration() map[string][]string {
	return map[string][]string{s.name: {
		"engine: sqs", "namespaces: ['*']", "region: " + sqstest.Region, "endpoint: 'http://" + s.proxy.Addr() + "'",
		"accessKeyID: " + s.keyID, "secretAccessKey: {file: " + s.secret + "}", "callsPerMinute: 100000",
		"activePoll: " + activePoll.String(), "idlePoll: " + idlePoll.String(), "emptyFor: " + emptyFor.String(),
	}}
}

// Queues implements stage.Broker.
func (s *server) Queues() []*stage.Queue { return s.queues }

// Connections implements stage.Broker. Those of the soak do not pass the proxy.
func (s *server) Connections(context.Context) (n int, ok bool) { return s.proxy.Connections(), true }
