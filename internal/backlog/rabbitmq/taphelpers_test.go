package rabbitmq_test

import (
	"encoding/json"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/backlogtest"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/rabbitmq/rabbitmqtest"
)

// A bus is a virtual host of a test, by the management API.
type bus struct {
	node  *rabbitmqtest.Node
	vhost string
}

// newBus makes a virtual host, which is deleted with the test.
func newBus(t testing.TB, n *rabbitmqtest.Node) bus {
	t.Helper()
	b := bus{n, queueName("bus")}
	n.Do(t, http.MethodPut, "/api/vhosts/"+b.vhost, nil)
	n.Do(t, http.MethodPut, "/api/permissions/"+b.vhost+"/"+rabbitmqtest.Username, map[string]any{"configure": ".*", "write": ".*", "read": ".*"})
	return b
}

func (b bus) do(t testing.TB, method, path string, content any) []byte {
	t.Helper()
	return b.node.Do(t, method, path, content)
}

func (b bus) path(kind string, names ...string) string {
	parts := []string{"/api", kind, url.PathEscape(b.vhost)}
	for _, name := range names {
		parts = append(parts, url.PathEscape(name))
	}
	return strings.Join(parts, "/")
}

// exchange makes a durable exchange.
func (b bus) exchange(t testing.TB, name, kind string, more map[string]any) {
	t.Helper()
	content := map[string]any{"type": kind, "durable": true}
	maps.Copy(content, more)
	b.do(t, http.MethodPut, b.path("exchanges", name), content)
}

// bound makes a queue that is bound to an exchange.
func (b bus) bound(t testing.TB, queue, kind, exchange, key string) {
	t.Helper()
	b.do(t, http.MethodPut, b.path("queues", queue), map[string]any{"durable": true, "arguments": map[string]any{"x-queue-type": kind}})
	b.bind(t, queue, exchange, key)
}

func (b bus) bind(t testing.TB, queue, exchange, key string) {
	t.Helper()
	b.do(t, http.MethodPost, b.path("bindings", "e", exchange, "q", queue), map[string]any{"routing_key": key})
}

// publish publishes one message. Without an exchange it is the default one.
func (b bus) publish(t testing.TB, exchange, key string) {
	t.Helper()
	if exchange == "" {
		exchange = "amq.default"
	}
	body := b.do(t, http.MethodPost, b.path("exchanges", exchange, "publish"), map[string]any{
		"properties": map[string]any{"delivery_mode": 2}, "routing_key": key, "payload": "x", "payload_encoding": "string",
	})
	if !strings.Contains(string(body), "true") {
		t.Fatalf("publish to %q by %q: %s", exchange, key, body)
	}
}

// purge empties a queue.
func (b bus) purge(t testing.TB, queue string) {
	t.Helper()
	b.do(t, http.MethodDelete, b.path("queues", queue, "contents"), nil)
}

// taps returns the names of the queues of taps.
func (b bus) taps(t testing.TB) (names []string) {
	t.Helper()
	var all []struct {
		Name string `json:"name"`
	}
	if err := json.Unmarshal(b.do(t, http.MethodGet, b.path("queues")+"?columns=name", nil), &all); err != nil {
		t.Fatal(err)
	}
	for _, one := range all {
		if strings.HasPrefix(one.Name, "backlog-scaler.") {
			names = append(names, one.Name)
		}
	}
	return names
}

// open opens a source that may tap the exchanges of the virtual host.
func (b bus) open(t testing.TB, more map[string]any) *watched {
	t.Helper()
	all := map[string]any{"vhost": b.vhost, "allowTap": true, "quorumTick": 100 * time.Millisecond}
	maps.Copy(all, more)
	w := &watched{Source: open(t, b.node, all), woken: map[backlog.Query]int{}}
	waker, ok := w.Source.(backlog.Waker)
	if !ok {
		t.Fatalf("%T notifies of no changes", w.Source)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for wake := range waker.Wakes() {
			w.mu.Lock()
			if wake.Everything {
				w.everything++
			}
			for _, q := range wake.Queries {
				w.woken[q]++
			}
			w.mu.Unlock()
		}
	}()
	t.Cleanup(func() { _ = w.Close(); <-done })
	return w
}

// A watched is a source whose wake-ups are counted.
type watched struct {
	backlog.Source

	// mu guards what follows: the goroutine that counts writes, tests read.
	mu sync.Mutex
	// woken is how often a query was woken by name. A lost connection may wake everything in its place.
	woken      map[backlog.Query]int
	everything int
}

// wakeUps returns how often a query was woken.
func (w *watched) wakeUps(q backlog.Query) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.woken[q] + w.everything
}

// arm reads a query until a wake-up is promised.
func (w *watched) arm(t testing.TB, q backlog.Query) {
	t.Helper()
	var last backlog.Result
	for deadline := time.Now().Add(rabbitmqtest.Patience); ; time.Sleep(10 * time.Millisecond) {
		if last = backlogtest.ReadOnce(t, w, q)[0]; last.Armed {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("queue %q is not armed: %+v", q.Queue, last)
		}
	}
	if last.Err != nil || last.Reading.Backlog() != 0 || last.Reading.Warning != "" {
		t.Fatalf("an armed queue reads as %+v", last)
	}
}

// warns reads a query until its reading has a warning with the text, and no wake-up is promised.
func (w *watched) warns(t testing.TB, q backlog.Query, text string) {
	t.Helper()
	var last backlog.Result
	for deadline := time.Now().Add(rabbitmqtest.Patience); ; time.Sleep(10 * time.Millisecond) {
		last = backlogtest.ReadOnce(t, w, q)[0]
		if last.Err == nil && !last.Armed && strings.Contains(last.Reading.Warning, text) {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("queue %q has no warning with %q: %+v", q.Queue, text, last)
		}
	}
}

// wakes publishes a message, waits until the query is woken without a read, and empties the queue.
func (w *watched) wakes(t testing.TB, b bus, q backlog.Query, exchange, key string) {
	t.Helper()
	before := w.wakeUps(q)
	b.publish(t, exchange, key)
	rabbitmqtest.Eventually(t, "the publish wakes "+q.Queue, func() bool { return w.wakeUps(q) > before })
	await(t, w, q, "1 ready", func(r backlog.Reading) bool { return r.Ready == 1 })
	b.purge(t, q.Queue)
}

// tapped returns the query for a queue that a tap wakes.
func tapped(queue, exchange, keys string) backlog.Query {
	q := query(queue)
	q.Params = backlog.NewParams(map[string]string{"wakeUp": "tap", "exchange": exchange, "routingKeys": keys})
	return q
}
