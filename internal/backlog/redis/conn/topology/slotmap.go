package topology

import (
	"errors"
	"fmt"
	"slices"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/conn/node"
)

// ErrNoOwner is a slot that no server owns.
var ErrNoOwner = errors.New("no server of the cluster owns slot")

// A shard is a range of slots, both ends included, and the server that owns them.
type shard struct {
	from, to int
	address  string
}

// A SlotMap is one state of a topology: which server owns which slots. It never changes. A
// single server, or the master of a group, owns all of them.
type SlotMap struct {
	shards []shard // in the order of their slots
	nodes  map[string]*node.Node
}

// owner returns the address of the server that owns a key.
func (m *SlotMap) owner(key string) (string, error) {
	if len(m.shards) == 1 {
		return m.shards[0].address, nil
	}
	slot := SlotOf(key)
	i, found := slices.BinarySearchFunc(m.shards, slot, func(s shard, slot int) int {
		switch {
		case s.to < slot:
			return -1
		case s.from > slot:
			return 1
		default:
			return 0
		}
	})
	if !found {
		return "", fmt.Errorf("%w: %w %d", backlog.ErrUnavailable, ErrNoOwner, slot)
	}
	return m.shards[i].address, nil
}

// Node returns the server that owns a key. The error wraps ErrNoOwner if there is none.
func (m *SlotMap) Node(key string) (*node.Node, error) {
	address, err := m.owner(key)
	if err != nil {
		return nil, err
	}
	return m.nodes[address], nil
}

// Only returns the one server there is, nil if there are several.
func (m *SlotMap) Only() *node.Node {
	if len(m.shards) != 1 {
		return nil
	}
	return m.nodes[m.shards[0].address]
}

// Owners returns the addresses of the servers that own some keys, in order.
func (m *SlotMap) Owners(keys []string) ([]string, error) {
	var addresses []string
	for _, key := range keys {
		address, err := m.owner(key)
		if err != nil {
			return nil, err
		}
		if !slices.Contains(addresses, address) {
			addresses = append(addresses, address)
		}
	}
	slices.Sort(addresses)
	return addresses, nil
}

// Nodes returns all servers, in the order of their addresses.
func (m *SlotMap) Nodes() []*node.Node {
	nodes := make([]*node.Node, 0, len(m.nodes))
	for _, address := range m.addresses() {
		nodes = append(nodes, m.nodes[address])
	}
	return nodes
}

func (m *SlotMap) addresses() []string {
	list := make([]string, 0, len(m.nodes))
	for address := range m.nodes {
		list = append(list, address)
	}
	slices.Sort(list)
	return list
}

// owned returns the slots that the server at an address owns.
func (m *SlotMap) owned(address string) []slotRange {
	var ranges []slotRange
	for _, s := range m.shards {
		if s.address == address {
			ranges = append(ranges, slotRange{s.from, s.to})
		}
	}
	return ranges
}
