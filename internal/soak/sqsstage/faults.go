package sqsstage

import (
	"testing"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/soak/plan"
	"github.com/backlog-scaler/backlog-scaler/internal/soak/stage"
)

// Names of the faults.
const (
	freeze      = "frozen"
	cut         = "connections cut"
	refused     = "connections refused"
	blackHole   = "network silent"
	halfOpen    = "network without answers"
	slow        = "network slow"
	takenRights = "rights taken away"
)

// recovery is within what time all is as it should be after an outage: the scaler tries again after
// 6 s at most, and a call takes up to 2 s.
const recovery = 15 * time.Second

func faults() []plan.Fault {
	return []plan.Fault{
		{Name: freeze, Weight: 4, Least: 500 * time.Millisecond, Most: 12 * time.Second, Settle: recovery},
		{Name: cut, Weight: 2, Settle: 5 * time.Second},
		{Name: refused, Weight: 2, Least: 200 * time.Millisecond, Most: 12 * time.Second, Settle: recovery},
		{Name: blackHole, Weight: 2, Least: 500 * time.Millisecond, Most: 12 * time.Second, Settle: recovery},
		{Name: halfOpen, Weight: 2, Least: 500 * time.Millisecond, Most: 8 * time.Second, Settle: recovery},
		{Name: slow, Weight: 1, Least: 3 * time.Second, Most: 8 * time.Second, Settle: 5 * time.Second},
		{Name: takenRights, Weight: 3, Least: 2 * time.Second, Most: 10 * time.Second, Settle: recovery},
	}
}

// Cause implements stage.Broker.
func (s *server) Cause(t testing.TB, fault string, choice uint64) stage.Trouble {
	t.Helper()
	switch fault {
	case freeze:
		for _, l := range s.ledgers {
			l.Close()
		}
		s.server.Freeze(t)
		return stage.Trouble{End: func() {
			s.server.Thaw(t)
			for _, l := range s.ledgers {
				l.Open()
			}
		}}
	case cut:
		s.proxy.Cut()
		return stage.Trouble{}
	case takenRights:
		s.server.Revoke(t, scalerUser)
		return stage.Trouble{End: func() { s.server.Grant(t, scalerUser, rights()...) }}
	case refused:
		s.proxy.Refuse()
	case blackHole:
		s.proxy.BlackHole()
	case halfOpen:
		s.proxy.HalfOpen()
	case slow:
		s.proxy.Delay(time.Duration(20+choice%150) * time.Millisecond)
	default:
		t.Fatalf("there is no fault %q of %s", fault, s.name)
	}
	return stage.Trouble{End: s.proxy.Restore}
}
