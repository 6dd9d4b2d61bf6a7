package rabbitmq_test

import (
	"testing"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/backlogtest"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/rabbitmq/rabbitmqtest"
)

// TestTapAfterRestart: a server that was restarted, and a connection of the taps that was lost, wake
// what was armed. It is armed again.
func TestTapAfterRestart(t *testing.T) {
	t.Parallel()
	n := rabbitmqtest.Start(t, rabbitmqtest.Versions(t)[0], 1, nil).Nodes[0]
	proxy := backlogtest.NewProxy(t, n.Address)
	b := newBus(t, n)
	b.exchange(t, "orders", "direct", nil)
	b.bound(t, "invoices", "classic", "orders", "paid")
	source, q := b.open(t, map[string]any{"addresses": []string{proxy.Addr()}}), tapped("invoices", "orders", "paid")
	source.arm(t, q)
	for _, c := range []struct {
		name   string
		outage func()
	}{
		{"the connection of the taps is cut", func() { proxy.CutOne(1) }},
		{"all connections are cut", proxy.Cut},
		{"the server is restarted", func() { n.Kill(); n.Restart(t) }},
	} {
		before := source.wakeUps(q)
		c.outage()
		rabbitmqtest.Eventually(t, c.name+", which wakes", func() bool { return source.wakeUps(q) > before })
		source.arm(t, q)
		source.wakes(t, b, q, "orders", "paid")
		source.arm(t, q)
	}
}

// TestTapConnectionIsSilent: where the server goes silent on the connection of the taps alone, the next
// verification of a binding ends it. Reads go on.
func TestTapConnectionIsSilent(t *testing.T) {
	t.Parallel()
	n := latest(t)
	proxy := backlogtest.NewProxy(t, n.Address)
	b := newBus(t, n)
	b.exchange(t, "orders", "direct", nil)
	b.bound(t, "invoices", "classic", "orders", "paid")
	source, q := b.open(t, map[string]any{"addresses": []string{proxy.Addr()}, "answerTimeout": time.Second}), tapped("invoices", "orders", "paid")
	source.arm(t, q)
	before := source.wakeUps(q)
	proxy.Mute(1)
	rabbitmqtest.Eventually(t, "the end of the connection wakes", func() bool { return source.wakeUps(q) > before })
	await(t, source, q, "0", func(r backlog.Reading) bool { return r.Backlog() == 0 })
	proxy.Restore()
	source.arm(t, q)
	source.wakes(t, b, q, "orders", "paid")
}
