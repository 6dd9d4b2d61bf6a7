package redisstage

import (
	"strings"
	"testing"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/redistest"
	"github.com/backlog-scaler/backlog-scaler/internal/soak/stage"
)

// The ways in which a node leaves a cluster.
const (
	leaveAlone   = iota // it goes on as a cluster of its own that has no slots
	leaveKilled         // it is killed after it was reset
	leaveUnaware        // it is killed, and was never reset
	leaveFrozen         // it is frozen, and was never reset
	leaveWays
)

// invite makes the guest a node of the cluster, and gives it the slots of some queues.
// They are moved back before it leaves.
func (c *cluster) invite(t testing.TB, choice uint64) stage.Trouble {
	t.Helper()
	g, m := c.guest, c.nodes
	g.Restart()
	reset(g)
	g.Do("ACL", "SETUSER", scalerUser, "resetpass", ">"+password(c.number))
	host, port := address(g)
	m.Masters[0].Do("CLUSTER", "MEET", host, port)
	redistest.Eventually(t, "all nodes know the guest", func() bool {
		for _, s := range c.all() {
			if l := line(s, g); l == "" || strings.Contains(l, "handshake") {
				return false
			}
		}
		info, _ := g.Do("CLUSTER", "INFO").(string)
		return strings.Contains(info, "cluster_state:ok")
	})
	m.Masters = append(m.Masters, g)
	text := c.move(t, choice, 5, masters)
	return stage.Trouble{Text: text, End: func() { c.dismiss(t, int(choice/7%leaveWays)) }}
}

// dismiss moves the slots of the guest back and removes it from the cluster.
func (c *cluster) dismiss(t testing.TB, way int) {
	t.Helper()
	g, m := c.guest, c.nodes
	for _, q := range c.queues {
		if c.owner(q.keys[0]) == masters {
			c.nodes.Move(t, q.keys[0], 0)
			c.owners[c.slots[q.keys[0]]] = 0
		}
	}
	id, _ := g.Do("CLUSTER", "MYID").(string)
	m.Masters = m.Masters[:masters]
	for _, s := range c.all() {
		s.Do("CLUSTER", "FORGET", id)
	}
	if way == leaveAlone || way == leaveKilled {
		reset(g)
	}
	switch way {
	case leaveKilled, leaveUnaware:
		g.Kill()
	case leaveFrozen:
		g.Freeze()
	}
}

// reset makes a server a cluster of its own without slots and data.
func reset(s *redistest.Server) {
	s.Do("FLUSHALL")
	s.Do("CLUSTER", "RESET", "HARD")
}
