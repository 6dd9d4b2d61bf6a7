package redisstage

import (
	"slices"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog/backlogtest"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/redistest"
	"github.com/backlog-scaler/backlog-scaler/internal/soak/plan"
	"github.com/backlog-scaler/backlog-scaler/internal/soak/stage"
)

// Names of the faults of one server.
const (
	freeze    = "frozen"
	kill      = "killed"
	wipe      = "killed, and its data lost"
	cut       = "connections cut"
	Refused   = "connections refused" // the same in all topologies with a proxy
	blackHole = "network silent"
	halfOpen  = "network without answers"
	mute      = "one connection without answers"
	slow      = "network slow"
)

func singleFaults() []plan.Fault {
	return []plan.Fault{
		{Name: freeze, Weight: 4, Least: 500 * time.Millisecond, Most: 14 * time.Second, Settle: recovery},
		{Name: kill, Weight: 4, Least: 100 * time.Millisecond, Most: 14 * time.Second, Settle: recovery, Replaces: true},
		{Name: wipe, Weight: 3, Least: 100 * time.Millisecond, Most: 6 * time.Second, Settle: recovery, Replaces: true},
		{Name: cut, Weight: 2, Settle: 5 * time.Second},
		{Name: Refused, Weight: 3, Least: 200 * time.Millisecond, Most: 14 * time.Second, Settle: recovery},
		{Name: blackHole, Weight: 3, Least: 500 * time.Millisecond, Most: 14 * time.Second, Settle: recovery},
		{Name: halfOpen, Weight: 2, Least: 500 * time.Millisecond, Most: 10 * time.Second, Settle: recovery},
		{Name: mute, Weight: 2, Least: 2 * time.Second, Most: 8 * time.Second, Settle: recovery},
		{Name: slow, Weight: 2, Least: 3 * time.Second, Most: 8 * time.Second, Settle: 5 * time.Second},
	}
}

// Single is one server behind a proxy, with a connection for each way to notice changes.
func Single() stage.Topology {
	const name = "single"
	return stage.Topology{
		Shape:  shape(name, singleFaults(), commonFaults()),
		Reopen: reopen,
		Start: func(t testing.TB, seed uint64) stage.Broker {
			t.Helper()
			v := version(t, seed)
			s := &single{server: redistest.Start(t, redistest.WithVersion(v), redistest.WithAppendOnly(), redistest.WithConfig(userLine(), "notify-keyspace-events KA"))}
			s.proxy = backlogtest.NewProxy(t, s.server.Addr())
			s.common = newCommon(t, name, v, func(string) *redis.Client { return s.writer(s.server) })
			s.servers = func() []*redistest.Server { return []*redistest.Server{s.server} }
			for _, q := range s.queues {
				if slices.Contains([]string{"list", "plain", "set", "asynq", "bullmq", "group"}, q.name) {
					keyspace, poll := q.staged(name+"-keyspace"), q.staged(name+"-poll")
					keyspace.Late = 10 * time.Second
					s.staged = append(s.staged, keyspace, poll)
				}
			}
			return s
		},
	}
}

type single struct {
	*common
	server *redistest.Server
	proxy  *backlogtest.Proxy
}

// Configuration implements stage.Broker.
func (s *single) Configuration() map[string][]string {
	addresses := []string{s.proxy.Addr()}
	return map[string][]string{
		s.name:               s.login(addresses),
		s.name + "-keyspace": s.login(addresses, "wakeUp: keyspace"),
		s.name + "-poll":     s.login(addresses, "wakeUp: poll"),
	}
}

// Cause implements stage.Broker.
func (s *single) Cause(t testing.TB, fault string, choice uint64) stage.Trouble {
	t.Helper()
	switch fault {
	case freeze:
		s.server.Freeze()
		return stage.Trouble{End: s.server.Thaw}
	case kill:
		s.server.Kill()
		return stage.Trouble{End: func() {
			s.server.Restart()
			s.setPassword()
		}}
	case wipe:
		done := s.emptied()
		s.server.Kill()
		return stage.Trouble{End: func() {
			s.server.RestartEmpty()
			s.setPassword()
			done()
		}}
	case cut:
		s.proxy.Cut()
		return stage.Trouble{}
	case Refused:
		s.proxy.Refuse()
	case blackHole:
		s.proxy.BlackHole()
	case halfOpen:
		s.proxy.HalfOpen()
	case mute:
		if n := s.proxy.Connections(); n > 0 {
			s.proxy.Mute(int(choice) % n)
		}
	case slow:
		s.proxy.Delay(time.Duration(20+choice%400) * time.Millisecond)
	default:
		return s.cause(t, fault, choice)
	}
	return stage.Trouble{End: s.proxy.Restore}
}
