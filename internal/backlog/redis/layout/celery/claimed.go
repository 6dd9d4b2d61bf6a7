package celery

import (
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
)

// bindingPrefix is what the keys of the sets begin with in which kombu keeps the
// bindings of an exchange.
const bindingPrefix = "_kombu.binding."

// maxExchanges is how many exchanges are looked up at most.
const maxExchanges = 16

// claimed is what is known of unacknowledged messages.
type claimed struct {
	// looked is how many messages were looked at, unclear how many of them could not
	// be understood; partial if there are more.
	looked, unclear int64
	partial         bool
	// routes are how many messages came which way.
	routes map[route]int64
	// lost are since when messages are not in the index, by the way that they came; those
	// that could not be understood have no way.
	lost        map[route][]time.Time
	unclearLost []time.Time
	// exchanges are those of the routes, apart from the default exchange, which is "".
	exchanges []string
}

// A route is the exchange and the routing key that a message was sent with.
type route struct{ exchange, key string }

// A binding is a queue that gets the messages of an exchange that fit the key.
type binding struct{ key, queue string }

// newClaimed takes pairs of delivery tags and messages, in kombu's JSON:
// [message, exchange, routing key]. lost are the tags of those that are not in the index.
func newClaimed(pairs []string, lost map[string]time.Time) *claimed {
	t := &claimed{routes: make(map[route]int64), lost: make(map[route][]time.Time)}
	for i := 1; i < len(pairs); i += 2 {
		t.looked++
		since, isLost := lost[pairs[i-1]]
		var route route
		var parts []json.RawMessage
		if json.Unmarshal([]byte(pairs[i]), &parts) != nil || len(parts) != 3 ||
			json.Unmarshal(parts[1], &route.exchange) != nil || json.Unmarshal(parts[2], &route.key) != nil {
			t.unclear++
			if isLost {
				t.unclearLost = append(t.unclearLost, since)
			}
			continue
		}
		t.routes[route]++
		if isLost {
			t.lost[route] = append(t.lost[route], since)
		}
		if route.exchange != "" && !slices.Contains(t.exchanges, route.exchange) && len(t.exchanges) < maxExchanges {
			t.exchanges = append(t.exchanges, route.exchange)
		}
	}
	return t
}

// complete returns the reading with those messages in flight that go to queue.
// A message of which nobody can tell counts, for too many is better than too few.
func (t *claimed) complete(r backlog.Reading, queue string, bindings map[string][]binding) backlog.Reading {
	n := t.unclear
	if n > 0 {
		r.Quality = backlog.UpperBound
	}
	for route, messages := range t.routes {
		is, known := route.leads(queue, bindings)
		if is {
			n += messages
		}
		if !known {
			r.Quality = backlog.UpperBound
		}
	}
	if t.partial {
		n = max(1, n)
		r.Quality = backlog.LowerBound
	}
	r.InFlight = backlog.Exactly(n)
	return r
}

// lostOf returns since when each message is not in the index that complete counts.
func (t *claimed) lostOf(queue string, bindings map[string][]binding) []time.Time {
	all := slices.Clone(t.unclearLost)
	for route, lost := range t.lost {
		if is, _ := route.leads(queue, bindings); is {
			all = append(all, lost...)
		}
	}
	return all
}

// leads reports whether messages that come this way go to the queue, and whether that is
// known: if not, they may.
func (r route) leads(queue string, bindings map[string][]binding) (is, known bool) {
	if r.exchange == "" {
		return r.key == queue, true
	}
	bound, known := bindings[r.exchange]
	return !known || slices.ContainsFunc(bound, func(b binding) bool { return b.queue == queue && matchesKey(b.key, r.key) }), known
}

// matchesKey tells whether the key of a binding fits a routing key. In a topic exchange
// "*" is one word and "#" any number of them. Worked: "order.#" fits "order" and
// "order.eu.new", and "order.*" fits neither.
func matchesKey(binding, key string) bool {
	if binding == key {
		return true
	}
	if !strings.ContainsAny(binding, "*#") {
		return false
	}
	pattern, words := strings.Split(binding, "."), strings.Split(key, ".")
	// at and from are where to go on after the last "#" was given one word more.
	at, from := -1, 0
	i, j := 0, 0
	for j < len(words) {
		switch {
		case i < len(pattern) && pattern[i] == "#":
			at, from = i, j
			i++
		case i < len(pattern) && (pattern[i] == "*" || pattern[i] == words[j]):
			i, j = i+1, j+1
		case at >= 0:
			from++
			i, j = at+1, from
		default:
			return false
		}
	}
	for i < len(pattern) && pattern[i] == "#" {
		i++
	}
	return i == len(pattern)
}
