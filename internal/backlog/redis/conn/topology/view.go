package topology

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/resp"
)

var (
	// errCutOff is what servers say that do not reach most of the others: they may have been
	// replaced, and what they hold be of the past.
	errCutOff = errors.New("the servers that answer do not reach most of the others")
	// errOwner is a server that does not own the slots for which it was read.
	errOwner = errors.New("the slots have another owner")
)

// A claim is a range of slots, both ends included, and the node that owns them in the view
// of another one.
type claim struct {
	slotRange

	id, address string
}

func (c claim) shard() shard { return shard{from: c.from, to: c.to, address: c.address} }

// A view is the cluster as one of its nodes sees it.
type view struct {
	from   string
	claims []claim // in the order of the slots
	// addresses are those of all nodes that own slots, and of their replicas.
	addresses []string
	// self is the id of the node, and nodes what it says of each; empty if it does not
	// allow that question.
	self  string
	nodes map[string]clusterNode
}

// newView reads an answer to CLUSTER SLOTS and CLUSTER NODES. The second may be refused.
func newView(a answer) (view, error) {
	v := view{from: a.from}
	var err error
	if v.claims, v.addresses, err = parseSlots(a.replies[0].Value, a.from); err != nil {
		return view{}, err
	}
	// A proxy may have an answer of its own, which says nothing.
	v.nodes, _ = parseNodes(resp.Text(a.replies[1].Value))
	for id, n := range v.nodes {
		if n.myself {
			v.self = id
		}
	}
	return v, nil
}

// knows reports whether the node of v counts that of other as a member of its cluster. One
// that does not allow the question is believed to.
func (v view) knows(other view) bool {
	if v.nodes == nil || other.self == "" {
		return true
	}
	n, known := v.nodes[other.self]
	return known && !n.failed
}

// parseSlots reads a reply of CLUSTER SLOTS that came from the given address.
func parseSlots(value any, from string) (claims []claim, addresses []string, err error) {
	ranges, ok := value.([]any)
	if !ok {
		return nil, nil, fmt.Errorf("%w: %T where the slots belong", resp.ErrReply, value)
	}
	if len(ranges) == 0 {
		return nil, nil, fmt.Errorf("%w: %s: %w", backlog.ErrUnavailable, from, ErrNoSlots)
	}
	for _, r := range ranges {
		one, nodes, err := parseSlotRow(r, from)
		if err != nil {
			return nil, nil, err
		}
		claims, addresses = append(claims, one), append(addresses, nodes...)
	}
	slices.SortFunc(claims, func(a, b claim) int { return a.from - b.from })
	slices.Sort(addresses)
	return claims, slices.Compact(addresses), nil
}

// parseSlotRow reads a range in a reply of CLUSTER SLOTS. addresses are those of its owner
// and of the replicas.
func parseSlotRow(value any, from string) (owned claim, addresses []string, err error) {
	row, ok := value.([]any)
	if !ok || len(row) < 3 {
		return claim{}, nil, fmt.Errorf("%w: %v where a range of slots belongs", resp.ErrReply, value)
	}
	first, isFirst := row[0].(int64)
	last, isLast := row[1].(int64)
	if !isFirst || !isLast || first < 0 || last < first || last >= Slots {
		return claim{}, nil, fmt.Errorf("%w: %v where a range of slots belongs", resp.ErrReply, value)
	}
	owned.slotRange = slotRange{int(first), int(last)}
	if owned.id, owned.address, err = parseSlotNode(row[2], from); err != nil {
		return claim{}, nil, err
	}
	addresses = append(addresses, owned.address)
	for _, replica := range row[3:] {
		// It is only one more to ask.
		if _, address, err := parseSlotNode(replica, from); err == nil {
			addresses = append(addresses, address)
		}
	}
	return owned, addresses, nil
}

// parseSlotNode reads a node in a reply of CLUSTER SLOTS: host, port and id.
func parseSlotNode(value any, from string) (id, address string, err error) {
	row, ok := value.([]any)
	if !ok || len(row) < 2 {
		return "", "", fmt.Errorf("%w: %v where a node of the cluster belongs", resp.ErrReply, value)
	}
	port, ok := row[1].(int64)
	if !ok {
		return "", "", fmt.Errorf("%w: %v where a port belongs", resp.ErrReply, row[1])
	}
	address = net.JoinHostPort(hostOr(resp.Text(row[0]), from), strconv.FormatInt(port, 10))
	if len(row) > 2 {
		id = resp.Text(row[2])
	}
	return cmp.Or(id, address), address, nil
}
