package redisstage

import (
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/redistest"
	"github.com/backlog-scaler/backlog-scaler/internal/soak/plan"
	"github.com/backlog-scaler/backlog-scaler/internal/soak/stage"
)

// Names of the faults of a cluster.
const (
	migrate = "slots moved"
	guest   = "node joins and leaves"
)

// masters is how many nodes have slots. Each has a replica.
const masters = 3

func clusterFaults() []plan.Fault {
	return []plan.Fault{
		{Name: freezeMaster, Weight: 4, Least: 500 * time.Millisecond, Most: 12 * time.Second, Settle: recovery},
		{Name: failover, Weight: 4, Least: 500 * time.Millisecond, Most: 8 * time.Second, Settle: recovery, Replaces: true},
		{Name: handover, Weight: 3, Settle: recovery, Replaces: true},
		{Name: freezeReplica, Weight: 1, Least: 2 * time.Second, Most: 8 * time.Second, Settle: 3 * time.Second, Lasting: true},
		{Name: migrate, Weight: 5, Settle: 5 * time.Second, Replaces: true},
		{Name: guest, Weight: 5, Least: 8 * time.Second, Most: 15 * time.Second, Settle: 8 * time.Second, Lasting: true, Replaces: true},
	}
}

// Cluster is a cluster to which a further node comes from time to time.
func Cluster() stage.Topology {
	const name = "cluster"
	return stage.Topology{
		Shape:  shape(name, clusterFaults(), commonFaults()),
		Reopen: reopen,
		Start: func(t testing.TB, seed uint64) stage.Broker {
			t.Helper()
			v := version(t, seed)
			options := []redistest.Option{redistest.WithVersion(v), redistest.WithConfig(userLine())}
			c := &cluster{nodes: redistest.StartCluster(t, masters, 1, options...), owners: map[int64]int{}, slots: map[string]int64{}}
			c.guest = redistest.Start(t, append(options, redistest.WithConfig(
				"cluster-enabled yes", "cluster-node-timeout 3600000", "cluster-require-full-coverage no",
				// It stays a master when it has lost its last slot.
				"cluster-allow-replica-migration no",
			))...)
			c.common = newCommon(t, name, v, func(key string) *redis.Client { return c.writer(c.nodes.Masters[c.owner(key)]) })
			c.servers = c.all
			for _, q := range c.queues {
				for _, key := range q.heads() {
					c.slots[key], _ = c.guest.Do("CLUSTER", "KEYSLOT", key).(int64)
				}
			}
			return c
		},
	}
}

type cluster struct {
	*common
	nodes *redistest.Cluster
	// guest is the node that comes and goes; it is among the masters while it is there.
	guest *redistest.Server
	// slots are those of keys, and owners the places of their masters where they were moved.
	slots  map[string]int64
	owners map[int64]int
	// down is a node that does not run; nil if all do.
	down *redistest.Server
}

// Configuration implements stage.Broker.
func (c *cluster) Configuration() map[string][]string {
	return map[string][]string{c.name: c.login(c.nodes.Addrs(), "mode: cluster")}
}

func (c *cluster) all() []*redistest.Server {
	var all []*redistest.Server
	all = append(all, c.nodes.Masters...)
	for _, own := range c.nodes.Replicas {
		all = append(all, own...)
	}
	return slices.DeleteFunc(all, func(s *redistest.Server) bool { return s == c.down })
}

// owner returns the place of the master that has a key.
func (c *cluster) owner(key string) int {
	slot := c.slots[key]
	if place, moved := c.owners[slot]; moved {
		return place
	}
	for place := range masters {
		if slot < int64((place+1)*16384/masters) {
			return place
		}
	}
	return masters - 1
}

// Cause implements stage.Broker.
func (c *cluster) Cause(t testing.TB, fault string, choice uint64) stage.Trouble {
	t.Helper()
	place := int(choice % masters)
	switch fault {
	case freezeMaster:
		frozen := c.nodes.Masters[place]
		frozen.Freeze()
		return stage.Trouble{Text: frozen.Addr(), Hits: c.hits(place), End: frozen.Thaw}
	case failover:
		return c.failover(t, place)
	case handover:
		c.await(place)
		replica := c.nodes.Replicas[place][0]
		// A master votes for no second replacement of another one within twice its node
		// timeout, which is hours while no node counts as down.
		c.nodes.AllowFailover(place)
		redistest.Eventually(t, "a replica takes over", func() bool {
			_ = replica.Client().Do(t.Context(), "CLUSTER", "FAILOVER").Err()
			time.Sleep(100 * time.Millisecond)
			return isMaster(replica)
		})
		c.nodes.AwaitFailover(t, place)
		m := c.nodes
		m.Masters[place], m.Replicas[place][0] = replica, m.Masters[place]
		c.settle(t, place)
		return stage.Trouble{Text: replica.Addr(), Hits: c.hits(place)}
	case freezeReplica:
		replica := c.nodes.Replicas[place][0]
		replica.Freeze()
		return stage.Trouble{Text: replica.Addr(), End: replica.Thaw}
	case migrate:
		return stage.Trouble{Text: c.move(t, choice, 3, (place+1)%masters)}
	case guest:
		return c.invite(t, choice)
	default:
		return c.cause(t, fault, choice)
	}
}

// hits returns which queues need a master.
func (c *cluster) hits(place int) func(*stage.Queue) bool {
	hit := map[string]bool{}
	for _, q := range c.queues {
		hit[q.name] = q.spread || c.owner(q.keys[0]) == place
	}
	return func(q *stage.Queue) bool { return hit[q.Name] }
}

// await waits until the replica of a master has all that was written.
func (c *cluster) await(place int) {
	for {
		if n, _ := c.nodes.Masters[place].Do("WAIT", 1, 1000).(int64); n == 1 {
			return
		}
	}
}

// failover kills a master and waits until its replica has taken its place.
func (c *cluster) failover(t testing.TB, place int) stage.Trouble {
	t.Helper()
	c.await(place)
	hits := c.hits(place)
	old := c.nodes.Masters[place]
	old.Kill()
	c.nodes.AllowFailover(place)
	// While nodes may count as down no time is lost: on a busy machine another may.
	c.nodes.AwaitFailover(t, place)
	m := c.nodes
	m.Masters[place], m.Replicas[place][0] = m.Replicas[place][0], old
	c.down = old
	return stage.Trouble{Text: old.Addr(), Hits: hits, End: func() {
		old.Restart()
		c.down = nil
		c.settle(t, place)
		c.setPassword()
	}}
}

// settle waits until the replica of a new master follows it, and all nodes know that.
func (c *cluster) settle(t testing.TB, place int) {
	t.Helper()
	m := c.nodes
	redistest.Eventually(t, inStep, func() bool {
		n, _ := m.Masters[place].Do("WAIT", 1, 1000).(int64)
		return n == 1
	})
	// A slot may be moved only by nodes that agree on who has it.
	redistest.Eventually(t, "all nodes know the new master", func() bool {
		for _, s := range c.all() {
			if !strings.Contains(line(s, m.Masters[place]), "master") {
				return false
			}
		}
		return true
	})
}

// line returns what a node knows of another one.
func line(s, of *redistest.Server) string {
	text, _ := s.Do("CLUSTER", "NODES").(string)
	for l := range strings.Lines(text) {
		if strings.Contains(l, " "+of.Addr()+"@") {
			return l
		}
	}
	return ""
}

// move moves the slots of n queues to a master.
func (c *cluster) move(t testing.TB, choice uint64, n, to int) string {
	t.Helper()
	var moved []string
	for i := range c.queues {
		q := c.queues[(int(choice%97)+i)%len(c.queues)]
		if len(moved) == n || c.owner(q.keys[0]) == to {
			continue
		}
		c.nodes.Move(t, q.keys[0], to)
		c.owners[c.slots[q.keys[0]]] = to
		moved = append(moved, q.name)
	}
	return fmt.Sprintf("%s to %s", strings.Join(moved, ", "), c.nodes.Masters[to].Addr())
}

func address(s *redistest.Server) (host, port string) {
	host, port, _ = net.SplitHostPort(s.Addr())
	return host, port
}
