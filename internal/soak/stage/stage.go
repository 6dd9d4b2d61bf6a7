// Package stage says what a soak runs on: topologies of an engine, their queues and
// their faults. An engine adds values of these types.
package stage

import (
	"context"
	"testing"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/soak/oracle"
	"github.com/backlog-scaler/backlog-scaler/internal/soak/plan"
)

// A Topology is a way in which servers of an engine are organised.
type Topology struct {
	// Shape is what can be done to it.
	plan.Shape
	// Start starts the servers, which end with the test. The seed decides what is left
	// open, such as the version.
	Start func(t testing.TB, seed uint64) Broker
	// Reopen is a line of a connection of the scaler that changes nothing but makes it open
	// the connection again.
	Reopen string
	// Connections is how many connections the scaler may have to the servers, as documented. Zero
	// is as many as it has at the start.
	Connections int
}

// A Broker is a topology that runs. Its methods are called by one goroutine at a time,
// apart from Connections.
type Broker interface {
	// Name says what runs, with its version.
	Name() string
	// Configuration returns the connections of the scaler to it: the lines below each name.
	Configuration() map[string][]string
	// Queues are its queues.
	Queues() []*Queue
	// Cause causes a fault of the shape. The choice decides what of several it hits.
	Cause(t testing.TB, fault string, choice uint64) Trouble
	// Connections is how many connections of the scaler the servers have; false if they
	// cannot all be asked.
	Connections(ctx context.Context) (n int, ok bool)
}

// A Trouble is a fault that has begun.
type Trouble struct {
	// Text says what it hit.
	Text string
	// Hits reports whether readings of a queue may suffer; nil is all queues.
	Hits func(*Queue) bool
	// End ends it and waits until the servers work again; nil if it is over.
	End func()
}

// A Queue is one that is written and that the scaler reads.
type Queue struct {
	// Name is unique in its topology.
	Name string
	// Connection is the name of its connection, and Metadata is the rest of its trigger.
	Connection string
	Metadata   map[string]string
	// Late is how much later than others a change may be noticed, as documented.
	Late time.Duration
	// AtMost says that what is reported may be more than there is, as documented, but not
	// if there is nothing.
	AtMost bool
	// History is what it truly held.
	History *oracle.History
	// Write writes n messages in one of the ways of the shape. It returns false if there
	// was nothing to do.
	Write func(ctx context.Context, write string, n int) (done bool)
}
