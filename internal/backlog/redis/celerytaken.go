package redis

import (
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
)

// celeryBinding is what the keys of the sets begin with in which kombu keeps the
// bindings of an exchange.
const celeryBinding = "_kombu.binding."

// celeryExchanges is how many exchanges are looked up at most.
const celeryExchanges = 16

// celeryTaken is what is known of unacknowledged messages.
type celeryTaken struct {
	// looked is how many messages were looked at, unclear how many of them could not
	// be understood; partial if there are more.
	looked, unclear int64
	partial         bool
	// routes are how many messages came which way.
	routes map[celeryRoute]int64
	// lost are since when messages are not in the index, by the way that they came; those
	// that could not be understood have no way.
	lost        map[celeryRoute][]time.Time
	unclearLost []time.Time
	// exchanges are those of the routes, apart from the default exchange, which is "".
	exchanges []string
}

// A celeryRoute is the exchange and the routing key that a message was sent with.
type celeryRoute struct{ exchange, key string }

// A celeryBound is a queue that gets the messages of an exchange that fit the key.
type celeryBound struct{ key, queue string }

// newCelerySample takes pairs of delivery tags and messages, in kombu's JSON:
// [message, exchange, routing key]. lost are the tags of those that are not in the index.
func newCelerySample(pairs []string, lost map[string]time.Time) *celeryTaken {
	t := &celeryTaken{routes: make(map[celeryRoute]int64), lost: make(map[celeryRoute][]time.Time)}
	for i := 1; i < len(pairs); i += 2 {
		t.looked++
		since, isLost := lost[pairs[i-1]]
		var route celeryRoute
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
		if route.exchange != "" && !slices.Contains(t.exchanges, route.exchange) && len(t.exchanges) < celeryExchanges {
			t.exchanges = append(t.exchanges, route.exchange)
		}
	}
	return t
}

// complete returns the reading with those messages in flight that go to queue.
// A message of which nobody can tell counts, for too many is better than too few.
func (t *celeryTaken) complete(r backlog.Reading, queue string, bindings map[string][]celeryBound) backlog.Reading {
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
func (t *celeryTaken) lostOf(queue string, bindings map[string][]celeryBound) []time.Time {
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
func (r celeryRoute) leads(queue string, bindings map[string][]celeryBound) (is, known bool) {
	if r.exchange == "" {
		return r.key == queue, true
	}
	bound, known := bindings[r.exchange]
	return !known || slices.ContainsFunc(bound, func(b celeryBound) bool { return b.queue == queue && routes(b.key, r.key) }), known
}

// routes tells whether the key of a binding fits a routing key. In a topic exchange
// "*" is one word and "#" any number of them. Worked: "order.#" fits "order" and
// "order.eu.new", and "order.*" fits neither.
func routes(binding, key string) bool {
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
