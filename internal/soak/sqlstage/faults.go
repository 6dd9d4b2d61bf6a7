package sqlstage

import (
	"testing"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/soak/ledger"
	"github.com/backlog-scaler/backlog-scaler/internal/soak/plan"
	"github.com/backlog-scaler/backlog-scaler/internal/soak/stage"
)

// Names of the faults.
const (
	freeze      = "frozen"
	kill        = "killed"
	cut         = "connections cut"
	refused     = "connections refused"
	blackHole   = "network silent"
	halfOpen    = "network without answers"
	slow        = "network slow"
	killClients = "connections of the scaler killed"
	rights      = "rights taken away"
	lock        = "user locked out"
)

// recovery is within what time all is as it should be after an outage: the scaler tries again after
// 6 s at most, and a read and a connection take up to 2 s each.
const recovery = 15 * time.Second

func faults() []plan.Fault {
	return []plan.Fault{
		{Name: freeze, Weight: 4, Least: 500 * time.Millisecond, Most: 12 * time.Second, Settle: recovery},
		{Name: kill, Weight: 4, Least: 100 * time.Millisecond, Most: 8 * time.Second, Settle: recovery, Replaces: true},
		{Name: cut, Weight: 2, Settle: 5 * time.Second},
		{Name: refused, Weight: 2, Least: 200 * time.Millisecond, Most: 12 * time.Second, Settle: recovery},
		{Name: blackHole, Weight: 2, Least: 500 * time.Millisecond, Most: 12 * time.Second, Settle: recovery},
		{Name: halfOpen, Weight: 2, Least: 500 * time.Millisecond, Most: 8 * time.Second, Settle: recovery},
		{Name: slow, Weight: 1, Least: 3 * time.Second, Most: 8 * time.Second, Settle: 5 * time.Second},
		{Name: killClients, Weight: 3, Settle: 5 * time.Second},
		// What was refused is read again after 10 s.
		{Name: rights, Weight: 3, Least: 2 * time.Second, Most: 10 * time.Second, Settle: 10*time.Second + recovery},
		{Name: lock, Weight: 2, Least: 2 * time.Second, Most: 10 * time.Second, Settle: 10*time.Second + recovery},
	}
}

// Cause implements stage.Broker.
func (b *broker) Cause(t testing.TB, fault string, choice uint64) stage.Trouble {
	t.Helper()
	switch fault {
	case freeze:
		return b.stopped(func() { b.server.Freeze(t) }, func() { b.server.Thaw(t) })
	case kill:
		return b.stopped(b.server.Kill, func() {
			b.server.Restart(t)
			b.reconnect()
		})
	case cut:
		b.proxy.Cut()
		return stage.Trouble{}
	case killClients:
		b.must(t, b.dialect.kill)
		return stage.Trouble{}
	case rights:
		b.must(t, b.dialect.revoke)
		return stage.Trouble{End: func() { b.must(t, b.dialect.grant) }}
	case lock:
		b.must(t, b.dialect.lock)
		b.must(t, b.dialect.kill)
		return stage.Trouble{End: func() { b.must(t, b.dialect.unlock) }}
	default:
		return b.disconnected(t, fault, choice)
	}
}

// disconnected disturbs the network between the scaler and the server.
func (b *broker) disconnected(t testing.TB, fault string, choice uint64) stage.Trouble {
	t.Helper()
	switch fault {
	case refused:
		b.proxy.Refuse()
	case blackHole:
		b.proxy.BlackHole()
	case halfOpen:
		b.proxy.HalfOpen()
	case slow:
		b.proxy.Delay(time.Duration(20+choice%150) * time.Millisecond)
	default:
		t.Fatalf("there is no fault %q of %s", fault, b.name)
	}
	return stage.Trouble{End: b.proxy.Restore}
}

// stopped stops the server. It takes no writes until it runs again.
func (b *broker) stopped(stop, start func()) stage.Trouble {
	each(b.ledgers, (*ledger.Ledger).Close)
	stop()
	return stage.Trouble{End: func() {
		start()
		each(b.ledgers, (*ledger.Ledger).Open)
	}}
}

func each(ledgers []*ledger.Ledger, do func(*ledger.Ledger)) {
	for _, l := range ledgers {
		do(l)
	}
}
