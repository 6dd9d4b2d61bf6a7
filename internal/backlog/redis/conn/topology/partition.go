package topology

import (
	"cmp"
	"maps"
	"slices"
)

// maxViews bounds the views that are compared for each slot.
const maxViews = clusterClients + wideRound

// A partition is views whose nodes know each other.
type partition struct {
	views []view
	// members is the number of distinct nodes, and cutOff reports that none of them reaches most masters.
	members int
	cutOff  bool
	epoch   int64
	// current is how many of its claims are those that are believed now.
	current int
}

// partitions puts views together whose nodes know each other, the most credible first: those
// that reach most of the masters, then the largest, then the newest, then those that say
// what was believed until now.
func partitions(views []view, now []shard) []partition {
	var all []partition
	left := slices.Clone(views)
	for len(left) > 0 {
		p := partition{views: left[:1:1]}
		left = left[1:]
		for grown := true; grown; {
			grown = false
			left = slices.DeleteFunc(left, func(v view) bool {
				in := slices.ContainsFunc(p.views, func(m view) bool { return m.knows(v) && v.knows(m) })
				if in {
					p.views, grown = append(p.views, v), true
				}
				return in
			})
		}
		p.measure(now)
		all = append(all, p)
	}
	slices.SortStableFunc(all, func(a, b partition) int {
		return cmp.Or(toInt(a.cutOff)-toInt(b.cutOff), b.members-a.members, cmp.Compare(b.epoch, a.epoch), b.current-a.current)
	})
	return all
}

func toInt(b bool) int {
	if b {
		return 1
	}
	return 0
}

func (p *partition) measure(now []shard) {
	distinct := make(map[string]bool)
	p.cutOff = true
	for _, v := range p.views {
		distinct[cmp.Or(v.self, v.from)] = true
		p.cutOff = p.cutOff && isCutOff(v.nodes)
		for _, n := range v.nodes {
			p.epoch = max(p.epoch, n.epoch)
		}
		for _, one := range v.claims {
			if slices.Contains(now, one.shard()) {
				p.current++
			}
		}
	}
	p.members = len(distinct)
}

// shards returns the owners of all slots in the view of a partition. Where its members do not agree,
// as for a moment after each change, the owner with the newest configuration epoch has the
// slot, as it is among the nodes themselves; without epochs the one that most of them name.
func (p *partition) shards() []shard {
	first := p.views[0]
	if !slices.ContainsFunc(p.views, func(v view) bool { return !slices.Equal(v.claims, first.claims) }) {
		return shardsOf(first.claims)
	}
	epochs := make(map[string]int64)
	for _, v := range p.views {
		for id, n := range v.nodes {
			epochs[id] = max(epochs[id], n.epoch)
		}
	}
	var claims []claim
	for slot := range Slots {
		best, owned := p.owner(slot, epochs)
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

// owner returns the claim to a slot that is believed, if there is one.
func (p *partition) owner(slot int, epochs map[string]int64) (best claim, owned bool) {
	var votes [maxViews]int
	var claims [maxViews]claim
	named := 0
	for _, v := range p.views[:min(len(p.views), maxViews)] {
		at, found := slices.BinarySearchFunc(v.claims, slot, func(c claim, slot int) int {
			if c.to < slot {
				return -1
			}
			return toInt(c.from > slot)
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
func (p *partition) addresses() (from, known []string) {
	all := make(map[string]bool)
	for _, v := range p.views {
		from = append(from, v.from)
		for _, address := range v.addresses {
			all[address] = true
		}
	}
	return from, slices.Sorted(maps.Keys(all))
}
