package redis

import (
	"fmt"
	"sync"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
)

const (
	// guestLife is how long a server is kept after it was read last that owns no slots yet
	// in the eyes of the others. They hear of a change within seconds.
	guestLife = 30 * time.Second
	// maxGuests bounds them: their addresses come from servers.
	maxGuests = 16
)

// guests are servers that others have named as the new owners of slots, and that are not
// part of the topology yet.
type guests struct {
	open func(address string) *node

	// mu guards what follows: readers add, the one who resolves takes out.
	mu     sync.Mutex
	nodes  map[string]guest
	closed bool
}

type guest struct {
	node *node
	used time.Time
}

// at returns the guest at an address, opened if there is none.
func (g *guests) at(address string) (*node, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	known, found := g.nodes[address]
	switch {
	case g.closed:
		return nil, errClosed
	case !found && len(g.nodes) >= maxGuests:
		return nil, fmt.Errorf("%w: slots have moved to more than %d servers that are not known yet", backlog.ErrUnavailable, maxGuests)
	case !found:
		known.node = g.open(address)
	}
	known.used = time.Now()
	g.nodes[address] = known
	return known.node, nil
}

// leave returns the guest at an address, which becomes part of the topology; nil if there
// is none.
func (g *guests) leave(address string) *node {
	g.mu.Lock()
	defer g.mu.Unlock()
	n := g.nodes[address].node
	delete(g.nodes, address)
	return n
}

// forget lets all guests know which keys are not read any more.
func (g *guests) forget(keys []string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, one := range g.nodes {
		one.node.forget(keys)
	}
}

// expire closes the guests that were not read for long.
func (g *guests) expire(now time.Time) {
	g.mu.Lock()
	var gone []*node
	for address, one := range g.nodes {
		if now.Sub(one.used) > guestLife {
			gone = append(gone, one.node)
			delete(g.nodes, address)
		}
	}
	g.mu.Unlock()
	for _, n := range gone {
		n.close()
	}
}

// close closes all guests, and lets no more in.
func (g *guests) close() {
	g.mu.Lock()
	g.closed = true
	nodes := g.nodes
	g.nodes = nil
	g.mu.Unlock()
	for _, one := range nodes {
		one.node.close()
	}
}
