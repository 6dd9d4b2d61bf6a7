package topology

import (
	"fmt"
	"sync"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/conn"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/conn/node"
)

const (
	// provisionalLife is how long a server is kept after it was read last that owns no slots yet
	// in the view of the others. They learn of a change within seconds.
	provisionalLife = 30 * time.Second
	// maxProvisional bounds them: their addresses come from servers.
	maxProvisional = 16
)

// provisional are servers that others have named as the new owners of slots, and that are not
// part of the slot map yet.
type provisional struct {
	open func(address string) *node.Node

	// mu guards what follows: readers add, the one that resolves removes.
	mu     sync.Mutex
	nodes  map[string]provisionalNode
	closed bool
}

// A provisionalNode is one of them, and when it was used last.
type provisionalNode struct {
	node *node.Node
	used time.Time
}

func newProvisional(open func(address string) *node.Node) *provisional {
	return &provisional{open: open, nodes: make(map[string]provisionalNode)}
}

// at returns the provisionalNode at an address, opened if there is none.
func (p *provisional) node(address string) (*node.Node, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	known, found := p.nodes[address]
	switch {
	case p.closed:
		return nil, conn.ErrClosed
	case !found && len(p.nodes) >= maxProvisional:
		return nil, fmt.Errorf("%w: slots have moved to more than %d servers that are not known yet", backlog.ErrUnavailable, maxProvisional)
	case !found:
		known.node = p.open(address)
	}
	known.used = time.Now()
	p.nodes[address] = known
	return known.node, nil
}

// leave returns the provisionalNode at an address, which becomes part of the topology; nil if there
// is none.
func (p *provisional) remove(address string) *node.Node {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := p.nodes[address].node
	delete(p.nodes, address)
	return n
}

// forget unsubscribes all provisional servers from keys that are not read any more.
func (p *provisional) forget(keys []string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, one := range p.nodes {
		one.node.Forget(keys)
	}
}

// expire closes the servers that were not read for long.
func (p *provisional) expire(now time.Time) {
	p.mu.Lock()
	var gone []*node.Node
	for address, one := range p.nodes {
		if now.Sub(one.used) > provisionalLife {
			gone = append(gone, one.node)
			delete(p.nodes, address)
		}
	}
	p.mu.Unlock()
	for _, n := range gone {
		n.Close()
	}
}

// close closes all provisional servers, and opens no more.
func (p *provisional) close() {
	p.mu.Lock()
	p.closed = true
	nodes := p.nodes
	p.nodes = nil
	p.mu.Unlock()
	for _, one := range nodes {
		one.node.Close()
	}
}
