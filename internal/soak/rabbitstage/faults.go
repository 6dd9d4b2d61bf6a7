package rabbitstage

import (
	"encoding/json"
	"net/http"
	"net/url"
	"testing"
	"time"

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
	unmanaged   = "management API refused"
	killClients = "connections of the scaler closed"
	lock        = "password changed"
)

const (
	// recovery is within what time all is as it should be after an outage: the scaler tries again
	// after 6 s at most, a read and a connection take up to 2 s each, and a listing follows.
	recovery = 15*time.Second + 2*listings
	// statistics is how long the management API of a node that was restarted takes until it has
	// the numbers of its queues.
	statistics = 10 * time.Second
)

func faults() []plan.Fault {
	return []plan.Fault{
		{Name: freeze, Weight: 4, Least: 500 * time.Millisecond, Most: 12 * time.Second, Settle: recovery, Replaces: true},
		{Name: kill, Weight: 3, Least: 100 * time.Millisecond, Most: 4 * time.Second, Settle: recovery + statistics, Replaces: true},
		{Name: cut, Weight: 2, Settle: recovery},
		{Name: refused, Weight: 2, Least: 200 * time.Millisecond, Most: 12 * time.Second, Settle: recovery},
		{Name: blackHole, Weight: 2, Least: 500 * time.Millisecond, Most: 12 * time.Second, Settle: recovery},
		{Name: halfOpen, Weight: 2, Least: 500 * time.Millisecond, Most: 8 * time.Second, Settle: recovery},
		{Name: unmanaged, Weight: 2, Least: 2 * time.Second, Most: 10 * time.Second, Settle: recovery},
		{Name: killClients, Weight: 3, Settle: recovery},
		// What was refused is read again after 10 s.
		{Name: lock, Weight: 3, Least: 2 * time.Second, Most: 10 * time.Second, Settle: 10*time.Second + recovery},
	}
}

// Cause implements stage.Broker.
func (n *node) Cause(t testing.TB, fault string, _ uint64) stage.Trouble {
	t.Helper()
	switch fault {
	case freeze:
		return n.stopped(func() { n.node.Freeze(t) }, func() { n.node.Thaw(t) })
	case kill:
		killed := time.Now()
		return n.stopped(n.node.Kill, func() {
			n.node.Restart(t)
			for i, l := range n.ledgers {
				n.writers[i].close()
				l.Restarted(n.writers[i].unconfirmed(killed))
			}
		})
	case cut:
		n.proxy.Cut()
		return stage.Trouble{}
	case killClients:
		n.closeConnections(t)
		return stage.Trouble{}
	case lock:
		n.setPassword(t, "another")
		n.closeConnections(t)
		return stage.Trouble{End: func() { n.setPassword(t, scalerPassword) }}
	default:
		return n.disconnected(t, fault)
	}
}

// disconnected disturbs the network between the scaler and the node.
func (n *node) disconnected(t testing.TB, fault string) stage.Trouble {
	t.Helper()
	switch fault {
	case refused:
		n.proxy.Refuse()
	case blackHole:
		n.proxy.BlackHole()
	case halfOpen:
		n.proxy.HalfOpen()
	case unmanaged:
		n.management.Refuse()
		return stage.Trouble{End: n.management.Restore}
	default:
		t.Fatalf("there is no fault %q of %s", fault, n.name)
	}
	return stage.Trouble{End: n.proxy.Restore}
}

// stopped stops the node. It takes no writes until it runs again.
func (n *node) stopped(stop, start func()) stage.Trouble {
	for _, l := range n.ledgers {
		l.Close()
	}
	stop()
	return stage.Trouble{End: func() {
		start()
		for _, l := range n.ledgers {
			l.Open()
		}
	}}
}

// addUser makes the user of the scaler, with the rights of docs/configuration.md.
func (n *node) addUser(t testing.TB) {
	t.Helper()
	n.setPassword(t, scalerPassword)
	n.node.Do(t, http.MethodPut, "/api/permissions/%2F/"+scalerUser, map[string]any{"configure": "^$", "write": "^$", "read": ".*"})
}

func (n *node) setPassword(t testing.TB, password string) {
	t.Helper()
	n.node.Do(t, http.MethodPut, "/api/users/"+scalerUser, map[string]any{"password": password, "tags": "management"})
}

// closeConnections closes the connections of the scaler that the node lists.
func (n *node) closeConnections(t testing.TB) {
	t.Helper()
	var all []struct {
		Name string `json:"name"`
		User string `json:"user"`
	}
	if err := json.Unmarshal(n.node.Do(t, http.MethodGet, "/api/connections", nil), &all); err != nil {
		t.Fatal(err)
	}
	for _, one := range all {
		if one.User == scalerUser {
			n.node.Do(t, http.MethodDelete, "/api/connections/"+url.PathEscape(one.Name), nil)
		}
	}
}
