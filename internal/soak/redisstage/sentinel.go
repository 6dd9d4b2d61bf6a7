package redisstage

import (
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/redistest"
	"github.com/backlog-scaler/backlog-scaler/internal/soak/plan"
	"github.com/backlog-scaler/backlog-scaler/internal/soak/stage"
)

// Names of the faults of servers that replace each other.
const (
	freezeMaster   = "master frozen"
	failover       = "master killed and replaced"
	frozenFailover = "master frozen and replaced"
	handover       = "master changed on request"
	freezeReplica  = "replica frozen"
	freezeSentinel = "sentinel frozen"
	inStep         = "the replicas are in step"
)

func sentinelFaults() []plan.Fault {
	return []plan.Fault{
		{Name: freezeMaster, Weight: 3, Least: 500 * time.Millisecond, Most: 12 * time.Second, Settle: recovery},
		{Name: failover, Weight: 4, Least: 500 * time.Millisecond, Most: 8 * time.Second, Settle: recovery, Replaces: true},
		{Name: frozenFailover, Weight: 3, Least: 500 * time.Millisecond, Most: 8 * time.Second, Settle: recovery, Replaces: true},
		{Name: handover, Weight: 3, Settle: recovery, Replaces: true},
		{Name: freezeReplica, Weight: 1, Least: 2 * time.Second, Most: 8 * time.Second, Settle: 3 * time.Second, Lasting: true},
		{Name: freezeSentinel, Weight: 2, Least: 2 * time.Second, Most: 8 * time.Second, Settle: 3 * time.Second, Lasting: true},
	}
}

// Sentinel is a master with two replicas and three sentinels.
func Sentinel() stage.Topology {
	const name = "sentinel"
	return stage.Topology{
		Shape:  shape(name, sentinelFaults(), commonFaults()),
		Reopen: reopen,
		Start: func(t testing.TB, seed uint64) stage.Broker {
			t.Helper()
			v := version(t, seed)
			s := &sentinel{group: redistest.StartSentinel(t, redistest.WithVersion(v), redistest.WithConfig(userLine()))}
			s.master = s.group.Servers[0]
			s.common = newCommon(t, name, v, func(string) *redis.Client { return s.writer(s.master) })
			s.servers = func() []*redistest.Server { return s.group.Servers }
			return s
		},
	}
}

type sentinel struct {
	*common
	group  *redistest.Group
	master *redistest.Server
}

// Configuration implements stage.Broker.
func (s *sentinel) Configuration() map[string][]string {
	return map[string][]string{s.name: s.login(s.group.Addrs(), "mode: sentinel", "masterName: "+s.group.Name)}
}

// Cause implements stage.Broker.
func (s *sentinel) Cause(t testing.TB, fault string, choice uint64) stage.Trouble {
	t.Helper()
	switch fault {
	case freezeMaster:
		s.master.Freeze()
		return stage.Trouble{End: s.master.Thaw}
	case failover, frozenFailover:
		return s.replace(t, fault == frozenFailover)
	case handover:
		old := s.await(t)
		s.group.Sentinels[0].Do("SENTINEL", "FAILOVER", s.group.Name)
		s.master = s.group.AwaitFailover(t, old)
		s.follow(t, old)
		return stage.Trouble{}
	case freezeReplica:
		replica := s.group.Servers[0]
		if replica == s.master {
			replica = s.group.Servers[1]
		}
		replica.Freeze()
		return stage.Trouble{End: replica.Thaw}
	case freezeSentinel:
		one := s.group.Sentinels[choice%uint64(len(s.group.Sentinels))]
		one.Freeze()
		return stage.Trouble{End: one.Thaw}
	default:
		return s.cause(t, fault, choice)
	}
}

// replace kills or freezes the master and waits until another one has taken its place.
// The old one comes back later.
func (s *sentinel) replace(t testing.TB, frozen bool) stage.Trouble {
	t.Helper()
	old := s.await(t)
	if frozen {
		old.Freeze()
	} else {
		old.Kill()
	}
	s.group.AllowFailover()
	// While a master may count as down no time is lost: on a busy machine another may.
	s.master = s.group.AwaitFailover(t, old)
	return stage.Trouble{End: func() {
		t.Helper()
		// It comes back as a master without data, until it is made a replica.
		old.Restart()
		s.follow(t, old)
		s.setPassword()
	}}
}

// await waits until the replicas have all that was written, and returns the master.
func (s *sentinel) await(t testing.TB) *redistest.Server {
	t.Helper()
	redistest.Eventually(t, inStep, func() bool {
		n, _ := s.master.Do("WAIT", 2, 1000).(int64)
		return n == 2
	})
	return s.master
}

// follow makes a former master a replica of the present one.
func (s *sentinel) follow(t testing.TB, old *redistest.Server) {
	t.Helper()
	host, port := address(s.master)
	redistest.Eventually(t, inStep, func() bool {
		old.Do("REPLICAOF", host, port)
		n, _ := s.master.Do("WAIT", 2, 1000).(int64)
		return n == 2
	})
}
