package rabbitmq_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/backlogtest"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/rabbitmq/rabbitmqtest"
)

// TestTap: a publish wakes an armed queue without a read, again and again.
func TestTap(t *testing.T) {
	t.Parallel()
	for _, version := range rabbitmqtest.Versions(t) {
		for _, kind := range []string{"classic", "quorum"} {
			t.Run(version+"/"+kind, func(t *testing.T) {
				t.Parallel()
				b := newBus(t, node(t, version))
				b.exchange(t, "orders", "direct", nil)
				b.bound(t, "invoices", kind, "orders", "paid")
				b.bind(t, "invoices", "orders", "sent")
				source := b.open(t, nil)
				if up := source.Status().WakeUp; up != "poll" {
					t.Errorf("changes are noticed by %q before there is a tap", up)
				}
				q := tapped("invoices", "orders", "sent, paid")
				for _, key := range []string{"paid", "sent", "paid"} {
					source.arm(t, q)
					source.wakes(t, b, q, "orders", key)
				}
				if up := source.Status().WakeUp; up != "tap" {
					t.Errorf("changes are noticed by %q", up)
				}
			})
		}
	}
}

// TestTapTypes: a tap is bound as the queue is. A queue next to it that is polled has no tap.
func TestTapTypes(t *testing.T) {
	t.Parallel()
	b := newBus(t, latest(t))
	source := b.open(t, nil)
	for kind, keys := range map[string]struct{ queue, tap, publish string }{
		"topic": {"order.*.paid", "order.*.paid", "order.7.paid"}, "fanout": {"", "", "any"}, "headers": {"", "", "any"},
	} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			b.exchange(t, kind, kind, nil)
			b.bound(t, "of-"+kind, "classic", kind, keys.queue)
			q := tapped("of-"+kind, kind, keys.tap)
			source := b.open(t, nil)
			source.arm(t, q)
			source.wakes(t, b, q, kind, keys.publish)
		})
	}
	b.exchange(t, "polled", "fanout", nil)
	b.bound(t, "polled", "classic", "polled", "")
	if r := backlogtest.ReadOnce(t, source, query("polled"))[0]; r.Armed || r.Reading.Warning != "" {
		t.Errorf("a queue that is polled reads as %+v", r)
	}
	if up := source.Status(); up.WakeUp != "poll" || up.WakeUpReason != "" {
		t.Errorf("without a tap the status is %+v", up)
	}
}

// TestTapsAreShared: the queries of queues that are bound alike share a tap, and all of them are woken.
// Nothing is left on the server after Close.
func TestTapsAreShared(t *testing.T) {
	t.Parallel()
	for _, version := range rabbitmqtest.Versions(t) {
		t.Run(version, func(t *testing.T) {
			t.Parallel()
			b := newBus(t, node(t, version))
			b.exchange(t, "events", "topic", nil)
			source := b.open(t, nil)
			queries := []backlog.Query{tapped("a", "events", "x,y"), tapped("b", "events", " y, x,y"), tapped("*", "events", "x,y")}
			for _, queue := range []string{"a", "b"} {
				b.bound(t, queue, "classic", "events", "x")
				b.bind(t, queue, "events", "y")
			}
			alone := tapped("a", "events", "x")
			queries = append(queries, alone)
			for _, q := range queries {
				source.arm(t, q)
			}
			if names := b.taps(t); len(names) != 2 {
				t.Fatalf("4 queries with 2 sets of routing keys have the taps %q", names)
			}
			before := make([]int, len(queries))
			for i, q := range queries {
				before[i] = source.wakeUps(q)
			}
			b.publish(t, "events", "x")
			for i, q := range queries {
				rabbitmqtest.Eventually(t, "the publish wakes "+q.Queue, func() bool { return source.wakeUps(q) > before[i] })
			}
			if err := source.Close(); err != nil {
				t.Fatal(err)
			}
			rabbitmqtest.Eventually(t, "no tap is left", func() bool { return len(b.taps(t)) == 0 })
		})
	}
}

// TestTapIsBoundWhileIdle: a queue with work needs no tap, so that its messages are not copied.
func TestTapIsBoundWhileIdle(t *testing.T) {
	t.Parallel()
	b := newBus(t, latest(t))
	b.exchange(t, "busy", "direct", nil)
	b.bound(t, "work", "classic", "busy", "k")
	source, q := b.open(t, nil), tapped("work", "busy", "k")
	bindings := func() (n int) {
		var all []struct {
			Destination string `json:"destination"`
		}
		if err := json.Unmarshal(b.do(t, http.MethodGet, b.path("exchanges", "busy", "bindings", "source"), nil), &all); err != nil {
			t.Fatal(err)
		}
		return len(all)
	}
	source.arm(t, q)
	if n := bindings(); n != 2 {
		t.Fatalf("the exchange has %d bindings, want that of the queue and that of the tap", n)
	}
	b.publish(t, "busy", "k")
	rabbitmqtest.Eventually(t, "the tap is unbound", func() bool { return bindings() == 1 })
	await(t, source, q, "1 ready", func(r backlog.Reading) bool { return r.Ready == 1 && r.Warning == "" })
	b.purge(t, "work")
	source.arm(t, q)
}

// TestTapRights: a user without the rights of taps reads its queue and has a warning. With the least
// rights it is woken.
func TestTapRights(t *testing.T) {
	t.Parallel()
	for _, version := range rabbitmqtest.Versions(t) {
		t.Run(version, func(t *testing.T) {
			t.Parallel()
			b := newBus(t, node(t, version))
			user := queueName("tapper")
			b.do(t, http.MethodPut, "/api/users/"+user, map[string]any{"password": "secret", "tags": "management"})
			grant := func(own, read string) {
				b.do(t, http.MethodPut, b.path("permissions", user), map[string]any{"configure": own, "write": own, "read": read})
			}
			grant("^$", "^invoices")
			b.exchange(t, "orders", "direct", nil)
			b.bound(t, "invoices", "classic", "orders", "paid")
			source := b.open(t, map[string]any{"username": user, "password": backlog.NewSecret("secret")})
			q := tapped("invoices", "orders", "paid")
			source.warns(t, q, "needs the right")
			b.publish(t, "orders", "paid")
			await(t, source, q, "1 ready", func(r backlog.Reading) bool { return r.Ready == 1 && strings.Contains(r.Warning, "polled") })
			b.purge(t, "invoices")
			grant(`^backlog-scaler\.`, `^(invoices|backlog-scaler\.)`)
			source.warns(t, q, "needs the right") // to read the exchange
			grant(`^backlog-scaler\.`, `^(invoices|orders|backlog-scaler\.)`)
			source.arm(t, q)
			source.wakes(t, b, q, "orders", "paid")
		})
	}
}

// TestTapExchange: an exchange that is not there, that is deleted while its tap is armed, and that is
// made again.
func TestTapExchange(t *testing.T) {
	t.Parallel()
	for _, version := range rabbitmqtest.Versions(t) {
		t.Run(version, func(t *testing.T) {
			t.Parallel()
			b := newBus(t, node(t, version))
			b.do(t, http.MethodPut, b.path("queues", "invoices"), map[string]any{"durable": true})
			source, q := b.open(t, nil), tapped("invoices", "orders", "paid")
			source.warns(t, q, `the exchange "orders" does not exist`)
			for range 2 {
				b.exchange(t, "orders", "direct", nil)
				b.bind(t, "invoices", "orders", "paid")
				source.arm(t, q)
				before := source.wakeUps(q)
				b.do(t, http.MethodDelete, b.path("exchanges", "orders"), nil)
				rabbitmqtest.Eventually(t, "the loss of the exchange wakes", func() bool { return source.wakeUps(q) > before })
				source.warns(t, q, `the exchange "orders" does not exist`)
			}
			b.exchange(t, "orders", "direct", nil)
			b.bind(t, "invoices", "orders", "paid")
			source.arm(t, q)
			source.wakes(t, b, q, "orders", "paid")
		})
	}
}

// TestTapHarmsNobody: an exchange that would take messages from others for a tap, or go with it, is not
// tapped, and neither is anything while a policy applies to taps.
func TestTapHarmsNobody(t *testing.T) {
	t.Parallel()
	b := newBus(t, latest(t))
	source := b.open(t, nil)
	for name, c := range map[string]struct {
		kind string
		more map[string]any
		want string
	}{
		"divided": {"x-local-random", nil, "which give each queue its own copy"},
		"brief":   {"direct", map[string]any{"auto_delete": true}, "auto_delete"},
	} {
		b.exchange(t, name, c.kind, c.more)
		b.do(t, http.MethodPut, b.path("queues", "of-"+name), map[string]any{"durable": true})
		source.warns(t, tapped("of-"+name, name, "k"), c.want)
		if body := b.do(t, http.MethodGet, b.path("exchanges", name, "bindings", "source"), nil); string(body) != "[]" {
			t.Errorf("the exchange %s has the bindings %s", name, body)
		}
	}
	b.exchange(t, "plain", "direct", nil)
	b.bound(t, "invoices", "classic", "plain", "k")
	q := tapped("invoices", "plain", "k")
	source.arm(t, q)
	b.do(t, http.MethodPut, b.path("policies", "everything"), map[string]any{"pattern": ".*", "definition": map[string]any{"dead-letter-exchange": "amq.fanout"}, "apply-to": "queues"})
	source.warns(t, q, `the policy "everything" applies`)
	b.do(t, http.MethodPut, b.path("policies", "everything"), map[string]any{"pattern": `^(?!backlog-scaler\.)`, "definition": map[string]any{"dead-letter-exchange": "amq.fanout"}, "apply-to": "queues"})
	source.arm(t, q)
	source.wakes(t, b, q, "plain", "k")
}

// TestTapIsPassed: a message that reaches the queue by the default exchange is found by a read. The queue
// is polled after that, although its tap is bound, and a message for the exchange still wakes it.
func TestTapIsPassed(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{"classic", "quorum"} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			b := newBus(t, latest(t))
			b.exchange(t, "orders", "direct", nil)
			b.bound(t, "invoices", kind, "orders", "paid")
			source, q := b.open(t, nil), tapped("invoices", "orders", "paid")
			source.arm(t, q)
			b.publish(t, "", "invoices")
			await(t, source, q, "1 ready", func(r backlog.Reading) bool { return r.Ready == 1 })
			source.warns(t, q, "messages arrive that the exchange")
			b.purge(t, "invoices")
			await(t, source, q, "0", func(r backlog.Reading) bool { return r.Backlog() == 0 })
			source.warns(t, q, "messages arrive that the exchange")
			if r := backlogtest.ReadOnce(t, source, q)[0]; r.Armed {
				t.Errorf("the queue is armed: %+v", r)
			}
		})
	}
}

// TestTapOverload: bodies that are larger than taps may receive wake once. After that the queue is
// polled, and reads go on.
func TestTapOverload(t *testing.T) {
	t.Parallel()
	n := latest(t)
	b := bus{n, "/"}
	exchange, queue := queueName("large"), queueName("large")
	b.exchange(t, exchange, "direct", nil)
	b.bound(t, queue, "classic", exchange, "k")
	source, q := b.open(t, nil), tapped(queue, exchange, "k")
	source.arm(t, q)
	conn, err := amqp.Dial("amqp://" + rabbitmqtest.Username + ":" + rabbitmqtest.Password + "@" + n.Address + "/")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	channel, err := conn.Channel()
	if err != nil {
		t.Fatal(err)
	}
	before := source.wakeUps(q)
	if err := channel.PublishWithContext(t.Context(), exchange, "k", false, false, amqp.Publishing{Body: make([]byte, 9<<20)}); err != nil {
		t.Fatal(err)
	}
	rabbitmqtest.Eventually(t, "the publish wakes", func() bool { return source.wakeUps(q) > before })
	await(t, source, q, "1 ready", func(r backlog.Reading) bool { return r.Ready == 1 })
	source.warns(t, q, "larger than taps may receive")
	b.purge(t, queue)
	await(t, source, q, "0", func(r backlog.Reading) bool {
		return r.Backlog() == 0 && strings.Contains(r.Warning, "larger than taps may receive")
	})
	if up := source.Status().WakeUp; up != "tap" {
		t.Errorf("after a large body changes are noticed by %q: the connection has ended", up)
	}
}

// TestManyTaps: a thousand triggers with a tap each are served by two connections of AMQP. The next one
// of their namespace is polled.
func TestManyTaps(t *testing.T) {
	t.Parallel()
	n := rabbitmqtest.Start(t, rabbitmqtest.Versions(t)[0], 1, nil).Nodes[0] // listings of the others stay short
	client := n.NewClient(t)
	b := bus{n, "/"}
	b.exchange(t, "many", "direct", nil)
	source := b.open(t, map[string]any{"connectionName": "many", "managementInterval": time.Second})
	const taps = 1000
	queries := make([]backlog.Query, taps)
	for i := range queries {
		name := fmt.Sprintf("many-%d", i)
		queries[i] = tapped(name, "many", name)
		client.Declare(t, name, "classic", nil)
	}
	b.bind(t, "many-7", "many", "many-7")
	// On a busy machine that takes minutes; it shall not stand still. Reading without a pause would keep it busy.
	for armed, progress := 0, time.Now(); armed < taps; time.Sleep(time.Second / 2) {
		n := 0
		for _, r := range backlogtest.Read(t, source, queries...) {
			if r.Armed {
				n++
			}
		}
		if n > armed {
			armed, progress = n, time.Now()
		}
		if time.Since(progress) > rabbitmqtest.Patience {
			t.Fatalf("%d of %d are armed, and no more within %s", armed, taps, rabbitmqtest.Patience)
		}
	}
	source.wakes(t, b, queries[7], "many", "many-7")
	source.warns(t, tapped("many-7", "many", "other"), "limit")
	var connections []struct {
		Properties struct {
			Name string `json:"connection_name"`
		} `json:"client_properties"`
	}
	rabbitmqtest.Eventually(t, "the connections are listed", func() bool {
		if err := json.Unmarshal(n.Do(t, http.MethodGet, "/api/connections", nil), &connections); err != nil {
			t.Fatal(err)
		}
		count := 0
		for _, c := range connections {
			if strings.HasPrefix(c.Properties.Name, "many") {
				count++
			}
		}
		if count > 2 {
			t.Fatalf("%d connections, want two", count)
		}
		return count == 2
	})
	if err := source.Close(); err != nil {
		t.Fatal(err)
	}
	rabbitmqtest.Eventually(t, "no tap is left", func() bool { return len(b.taps(t)) == 0 })
}
