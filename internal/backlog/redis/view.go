package redis

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
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

// maxViews bounds the views of which each slot is compared.
const maxViews = clusterPanel + panelWide

// A claim is a range of slots, both ends included, and the node that owns them in the eyes
// of another.
type claim struct {
	slotRange

	id, address string
}

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
func newView(a panelAnswer) (view, error) {
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

// A camp is views whose nodes know each other.
type camp struct {
	views []view
	// members are the distinct nodes, and cutOff says that none of them reaches most masters.
	members int
	cutOff  bool
	epoch   int64
	// kept is how many of its claims are those that are believed now.
	kept int
}

// camps puts views together whose nodes know each other, the most credible first: those
// that reach most of the masters, then the largest, then the newest, then those that say
// what was believed until now.
func camps(views []view, now []shard) []camp {
	var all []camp
	left := slices.Clone(views)
	for len(left) > 0 {
		c := camp{views: left[:1:1]}
		left = left[1:]
		for grown := true; grown; {
			grown = false
			left = slices.DeleteFunc(left, func(v view) bool {
				in := slices.ContainsFunc(c.views, func(m view) bool { return m.knows(v) && v.knows(m) })
				if in {
					c.views, grown = append(c.views, v), true
				}
				return in
			})
		}
		c.measure(now)
		all = append(all, c)
	}
	slices.SortStableFunc(all, func(a, b camp) int {
		return cmp.Or(boolean(a.cutOff)-boolean(b.cutOff), b.members-a.members, cmp.Compare(b.epoch, a.epoch), b.kept-a.kept)
	})
	return all
}

func boolean(b bool) int {
	if b {
		return 1
	}
	return 0
}

func (c *camp) measure(now []shard) {
	distinct := make(map[string]bool)
	c.cutOff = true
	for _, v := range c.views {
		distinct[cmp.Or(v.self, v.from)] = true
		c.cutOff = c.cutOff && isCutOff(v.nodes)
		for _, n := range v.nodes {
			c.epoch = max(c.epoch, n.epoch)
		}
		for _, one := range v.claims {
			if slices.Contains(now, one.shard()) {
				c.kept++
			}
		}
	}
	c.members = len(distinct)
}

func (c claim) shard() shard { return shard{from: c.from, to: c.to, address: c.address} }

// shards returns who owns which slots in the eyes of a camp. Where its members do not agree,
// as for a moment after each change, the owner with the newest configuration epoch has the
// slot, as it is among the nodes themselves; without epochs the one that most of them name.
func (c *camp) shards() []shard {
	first := c.views[0]
	if !slices.ContainsFunc(c.views, func(v view) bool { return !slices.Equal(v.claims, first.claims) }) {
		return shardsOf(first.claims)
	}
	epochs := make(map[string]int64)
	for _, v := range c.views {
		for id, n := range v.nodes {
			epochs[id] = max(epochs[id], n.epoch)
		}
	}
	var claims []claim
	for slot := range slots {
		best, owned := c.claimant(slot, epochs)
		if !owned {
			continue
		}
		if last := len(claims) - 1; last >= 0 && claims[last].id == best.id && claims[last].to == slot-1 {
			claims[last].to = slot
			continue
		}
		claims = append(claims, claim{slotRange: slotRange{slot, slot}, id: best.id, address: best.address})
	}
	return shardsOf(claims)
}

// claimant returns the claim to a slot that is believed, if there is one.
func (c *camp) claimant(slot int, epochs map[string]int64) (best claim, owned bool) {
	var votes [maxViews]int
	var claims [maxViews]claim
	named := 0
	for _, v := range c.views[:min(len(c.views), maxViews)] {
		at, found := slices.BinarySearchFunc(v.claims, slot, func(c claim, slot int) int {
			if c.to < slot {
				return -1
			}
			return boolean(c.from > slot)
		})
		if !found {
			continue
		}
		one := v.claims[at]
		place := slices.IndexFunc(claims[:named], func(c claim) bool { return c.id == one.id })
		if place < 0 {
			place = named
			claims[place] = one
			named++
		}
		votes[place]++
	}
	most := 0
	for i, one := range claims[:named] {
		if !owned || cmp.Or(cmp.Compare(epochs[one.id], epochs[best.id]), votes[i]-most) > 0 {
			best, most, owned = one, votes[i], true
		}
	}
	return best, owned
}

func shardsOf(claims []claim) []shard {
	all := make([]shard, len(claims))
	for i, c := range claims {
		all[i] = c.shard()
	}
	return all
}

// addresses returns the addresses of the nodes that answered, and of those that they know.
func (c *camp) addresses() (from, known []string) {
	all := make(map[string]bool)
	for _, v := range c.views {
		from = append(from, v.from)
		for _, address := range v.addresses {
			all[address] = true
		}
	}
	return from, slices.Sorted(maps.Keys(all))
}

// parseSlots reads a reply of CLUSTER SLOTS that came from the given address.
func parseSlots(value any, from string) (claims []claim, addresses []string, err error) {
	ranges, ok := value.([]any)
	if !ok {
		return nil, nil, fmt.Errorf("%w: %T where the slots belong", resp.ErrReply, value)
	}
	if len(ranges) == 0 {
		return nil, nil, fmt.Errorf("%w: %s: %w", backlog.ErrUnavailable, from, errNoSlots)
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
	if !isFirst || !isLast || first < 0 || last < first || last >= slots {
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

// hostOr returns the host that a node of a cluster has named, or that of the node itself
// where it does not know under which name the other is reached.
func hostOr(host, from string) string {
	if host == "" || host == "?" {
		host, _, _ = net.SplitHostPort(from)
	}
	return host
}
