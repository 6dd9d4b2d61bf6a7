package redistest

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

// A Cluster is a Redis cluster: its masters share the slots evenly, in order.
type Cluster struct {
	Masters []*Server
	// Replicas holds for each master its replicas.
	Replicas [][]*Server

	options []Option
}

const clusterSlots = 16384

// How long a node does not answer before it counts as down. Until a test allows a
// failover no node does, so that on a busy machine none is replaced that is only slow.
const (
	nodeNeverDown = 3_600_000
	nodeSoonDown  = 1000
)

// StartCluster starts a cluster and waits until it serves. replicas is their number
// for each master. A master that is down is replaced once AllowFailover was called.
func StartCluster(t testing.TB, masters, replicas int, options ...Option) *Cluster {
	t.Helper()
	options = append(slices.Clone(options), WithConfig(
		"cluster-enabled yes", fmt.Sprint("cluster-node-timeout ", nodeNeverDown), "cluster-require-full-coverage no",
		"cluster-replica-validity-factor 0", "repl-diskless-sync-delay 0",
	))
	c := &Cluster{options: options}
	for range masters {
		c.Masters = append(c.Masters, Start(t, options...))
		var own []*Server
		for range replicas {
			own = append(own, Start(t, options...))
		}
		c.Replicas = append(c.Replicas, own)
	}
	c.form(t, 0)
	return c
}

// BuildAgain resets all nodes, which must have no replicas and hold nothing, and makes a
// cluster of them in which each master owns the slots that the next one owned before.
func (c *Cluster) BuildAgain(t testing.TB) {
	t.Helper()
	for _, m := range c.Masters {
		m.Do("CLUSTER", "RESET", "HARD")
	}
	c.form(t, 1)
}

// form makes a cluster of nodes that know nothing of each other. The masters own the
// slots in their order; with shift each owns those of the next one.
func (c *Cluster) form(t testing.TB, shift int) {
	t.Helper()
	masters := len(c.Masters)
	for i := range masters {
		s := c.Masters[(i+masters-shift)%masters]
		from, to := i*clusterSlots/masters, (i+1)*clusterSlots/masters-1
		slots := make([]any, 0, to-from+3)
		slots = append(slots, "CLUSTER", "ADDSLOTS")
		for slot := from; slot <= to; slot++ {
			slots = append(slots, slot)
		}
		s.Do(slots...)
		s.Do("CLUSTER", "SET-CONFIG-EPOCH", i+1)
	}
	all := c.all()
	for _, s := range all[1:] {
		all[0].Do("CLUSTER", "MEET", s.host, s.port)
	}
	Eventually(t, "all nodes of the cluster know each other", func() bool {
		return !slices.ContainsFunc(all, func(s *Server) bool { return s.knownNodes() != len(all) })
	})
	for i, m := range c.Masters {
		id := m.nodeID()
		for _, r := range c.Replicas[i] {
			Eventually(t, "a replica follows its master", func() bool {
				return r.client.Do(t.Context(), "CLUSTER", "REPLICATE", id).Err() == nil
			})
		}
	}
	Eventually(t, "the cluster serves all slots", func() bool {
		return !slices.ContainsFunc(all, func(s *Server) bool { return !s.servesCluster() })
	})
	for _, own := range c.Replicas {
		for _, r := range own {
			Eventually(t, "a replica is in step", func() bool {
				info, err := r.client.Info(t.Context(), "replication").Result()
				return err == nil && strings.Contains(info, "master_link_status:up")
			})
		}
	}
}

func (c *Cluster) all() []*Server {
	return append(slices.Clone(c.Masters), slices.Concat(c.Replicas...)...)
}

// Join adds a master without slots, and waits until all nodes know it.
func (c *Cluster) Join(t testing.TB) *Server {
	t.Helper()
	s := Start(t, c.options...)
	c.Masters[0].Do("CLUSTER", "MEET", s.host, s.port)
	c.Masters, c.Replicas = append(c.Masters, s), append(c.Replicas, nil)
	all := c.all()
	Eventually(t, "all nodes of the cluster know the one that joined", func() bool {
		return !slices.ContainsFunc(all, func(s *Server) bool { return s.knownNodes() != len(all) }) && s.servesCluster()
	})
	return s
}

// Leave makes all others forget the master that joined last, which knows them as before.
func (c *Cluster) Leave(t testing.TB) *Server {
	t.Helper()
	last := len(c.Masters) - 1
	s := c.Masters[last]
	id := s.nodeID()
	c.Masters, c.Replicas = c.Masters[:last], c.Replicas[:last]
	for _, other := range c.all() {
		other.Do("CLUSTER", "FORGET", id)
	}
	return s
}

// Addrs are the addresses of the masters.
func (c *Cluster) Addrs() []string {
	addrs := make([]string, len(c.Masters))
	for i, m := range c.Masters {
		addrs[i] = m.Addr()
	}
	return addrs
}

// NewClient returns a client of the whole cluster, closed with the test.
func (c *Cluster) NewClient(t testing.TB) *redis.ClusterClient {
	t.Helper()
	client := redis.NewClusterClient(&redis.ClusterOptions{Addrs: c.Addrs(), Protocol: 2, DisableIdentity: true})
	t.Cleanup(func() { _ = client.Close() })
	return client
}

// Do runs a command on the master that owns its key, and fails the test if that is not
// possible.
func (c *Cluster) Do(t testing.TB, args ...any) any {
	t.Helper()
	client := redis.NewClusterClient(&redis.ClusterOptions{Addrs: c.Addrs(), Protocol: 2, DisableIdentity: true})
	defer func() { _ = client.Close() }()
	value, err := client.Do(t.Context(), args...).Result()
	if err != nil {
		t.Fatalf("%v: %v", args, err)
	}
	return value
}

// Owner returns the place of the master that owns the slot of key, or -1.
func (c *Cluster) Owner(t testing.TB, key string) int {
	t.Helper()
	slot, _ := c.Masters[0].Do("CLUSTER", "KEYSLOT", key).(int64)
	for i, m := range c.Masters {
		//nolint:staticcheck // Redis before 7.0 has no CLUSTER SHARDS
		ranges, err := m.client.ClusterSlots(t.Context()).Result()
		if err != nil {
			continue
		}
		for _, r := range ranges {
			if int64(r.Start) <= slot && slot <= int64(r.End) && len(r.Nodes) > 0 && r.Nodes[0].Addr == m.Addr() {
				return i
			}
		}
	}
	return -1
}

// BeginMove starts to move the slot of key to the master at the place to: from then
// on keys of the slot that are not there are asked for at the new owner.
func (c *Cluster) BeginMove(t testing.TB, key string, to int) (slot int64, from int) {
	t.Helper()
	slot, _ = c.Masters[0].Do("CLUSTER", "KEYSLOT", key).(int64)
	from = c.Owner(t, key)
	if from < 0 || from == to {
		t.Fatalf("move slot %d from master %d to %d", slot, from, to)
	}
	c.Masters[to].Do("CLUSTER", "SETSLOT", slot, "IMPORTING", c.Masters[from].nodeID())
	c.Masters[from].Do("CLUSTER", "SETSLOT", slot, "MIGRATING", c.Masters[to].nodeID())
	return slot, from
}

// Move moves the slot of key, with the keys in it, to the master at the place to.
func (c *Cluster) Move(t testing.TB, key string, to int) {
	t.Helper()
	slot, from := c.BeginMove(t, key, to)
	for {
		keys, _ := c.Masters[from].Do("CLUSTER", "GETKEYSINSLOT", slot, 100).([]any)
		if len(keys) == 0 {
			break
		}
		args := append([]any{"MIGRATE", c.Masters[to].host, c.Masters[to].port, "", 0, 5000, "KEYS"}, keys...)
		c.Masters[from].Do(args...)
	}
	id := c.Masters[to].nodeID()
	c.Masters[to].Do("CLUSTER", "SETSLOT", slot, "NODE", id)
	for i, m := range c.Masters {
		if i != to {
			m.Do("CLUSTER", "SETSLOT", slot, "NODE", id)
		}
	}
}

func (s *Server) nodeID() string {
	id, _ := s.Do("CLUSTER", "MYID").(string)
	return id
}

func (s *Server) knownNodes() int {
	text, err := s.client.ClusterNodes(s.t.Context()).Result()
	if err != nil || strings.Contains(text, "handshake") {
		return 0
	}
	return strings.Count(text, "\n")
}

func (s *Server) servesCluster() bool {
	info, err := s.client.ClusterInfo(s.t.Context()).Result()
	return err == nil && strings.Contains(info, "cluster_state:ok") &&
		strings.Contains(info, fmt.Sprintf("cluster_slots_ok:%d", clusterSlots))
}

// AllowFailover makes the nodes other than the master at the place i, which is down or
// about to be, replace it after a second or two.
func (c *Cluster) AllowFailover(i int) { c.setNodeTimeout(i, nodeSoonDown) }

func (c *Cluster) setNodeTimeout(down, milliseconds int) {
	for _, s := range c.all() {
		if s != c.Masters[down] {
			s.Do("CONFIG", "SET", "cluster-node-timeout", milliseconds)
		}
	}
}

// AwaitFailover waits until a replica of the master at the place i has taken over and
// returns it. From then on no node counts as down.
func (c *Cluster) AwaitFailover(t testing.TB, i int) *Server {
	t.Helper()
	deadline := time.Now().Add(patience)
	for time.Now().Before(deadline) {
		for _, r := range c.Replicas[i] {
			info, err := r.client.Info(t.Context(), "replication").Result()
			if err == nil && strings.Contains(info, "role:master") {
				c.setNodeTimeout(i, nodeNeverDown)
				return r
			}
		}
		time.Sleep(5 * time.Millisecond)
	}
	t.Fatal("wait for a replica to take over")
	return nil
}
