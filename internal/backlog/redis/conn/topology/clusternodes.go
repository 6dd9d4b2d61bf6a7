package topology

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/resp"
)

// A clusterNode is one line of CLUSTER NODES: a node as another one, or it itself, sees it.
// https://redis.io/docs/latest/commands/cluster-nodes/
type clusterNode struct {
	id     string
	myself bool
	master bool
	// failed reports that the cluster has agreed that the node is down, or that it is no
	// member yet, or has no address. suspected says so on the word of the one that answers.
	failed, suspected bool
	// epoch is the configuration epoch of the master: of two that claim a slot the one with
	// the larger epoch has it.
	epoch int64
	// ranges are the slots that it owns.
	ranges []slotRange
	// moving reports that some of its slots are on their way to or from another node. Only the
	// node itself reports that.
	moving bool
}

// A slotRange is a range of slots, both ends included.
type slotRange struct{ from, to int }

// parseNodes reads a reply of CLUSTER NODES.
func parseNodes(reply string) (map[string]clusterNode, error) {
	nodes := make(map[string]clusterNode)
	for line := range strings.Lines(reply) {
		words := strings.Fields(line)
		if len(words) == 0 {
			continue
		}
		if len(words) < 8 {
			return nil, fmt.Errorf("%w: %q where a node of the cluster belongs", resp.ErrReply, line)
		}
		flags := strings.Split(words[2], ",")
		has := func(flag string) bool { return slices.Contains(flags, flag) }
		n := clusterNode{
			id: words[0], myself: has("myself"), master: has("master"),
			failed: has("fail") || has("handshake") || has("noaddr"), suspected: has("fail?"),
		}
		n.epoch, _ = strconv.ParseInt(words[6], 10, 64)
		for _, word := range words[8:] {
			if strings.HasPrefix(word, "[") {
				n.moving = true
				continue
			}
			r, err := parseRange(word)
			if err != nil {
				return nil, err
			}
			n.ranges = append(n.ranges, r)
		}
		nodes[n.id] = n
	}
	return nodes, nil
}

// parseRange reads "0-5460" or "7".
func parseRange(word string) (slotRange, error) {
	first, last, isRange := strings.Cut(word, "-")
	if !isRange {
		last = first
	}
	from, err := strconv.Atoi(first)
	to, problem := strconv.Atoi(last)
	if err != nil || problem != nil || from < 0 || to < from || to >= Slots {
		return slotRange{}, fmt.Errorf("%w: %q where a range of slots belongs", resp.ErrReply, word)
	}
	return slotRange{from, to}, nil
}

// isCutOff reports whether the node that answers does not reach most of the masters that
// own slots: others may have replaced it without its knowledge.
func isCutOff(nodes map[string]clusterNode) bool {
	all, reached := 0, 0
	for _, n := range nodes {
		if !n.master || len(n.ranges) == 0 {
			continue
		}
		all++
		if n.myself || !n.failed && !n.suspected {
			reached++
		}
	}
	return all > 0 && 2*reached <= all
}

// checkOwner returns why a reply of CLUSTER NODES does not show that the node that answers
// owns exactly these slots; nil if it does. A slot on its way counts as not owned, because
// what is written to an empty queue of it is written to the other node.
func checkOwner(reply string, want []slotRange) error {
	nodes, err := parseNodes(reply)
	if err != nil {
		return err
	}
	for _, n := range nodes {
		if !n.myself {
			continue
		}
		switch {
		case !n.master, n.failed, n.suspected, isCutOff(nodes):
			return fmt.Errorf("%w: the server is not a master of the cluster that reaches the others", errOwner)
		case n.moving:
			return fmt.Errorf("%w: slots are moving between servers", errOwner)
		case !slices.Equal(joined(n.ranges), joined(want)):
			return fmt.Errorf("%w: the server owns other slots than before", errOwner)
		}
		return nil
	}
	return fmt.Errorf("%w: %d nodes of a cluster, and none of them is the one that answers", resp.ErrReply, len(nodes))
}

// joined returns ranges in order, with neighbours as one.
func joined(ranges []slotRange) []slotRange {
	ranges = slices.Clone(ranges)
	slices.SortFunc(ranges, func(a, b slotRange) int { return a.from - b.from })
	var all []slotRange
	for _, r := range ranges {
		if last := len(all) - 1; last >= 0 && all[last].to+1 == r.from {
			all[last].to = r.to
			continue
		}
		all = append(all, r)
	}
	return all
}
