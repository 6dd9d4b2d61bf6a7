package rabbitmq

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
)

// The parameters of the layout, and the setting of the connection that allows taps.
const (
	paramWakeUp      = "wakeUp"
	paramExchange    = "exchange"
	paramRoutingKeys = "routingKeys"

	settingAllowTap = "allowTap"
)

// The values of wakeUp.
const (
	wakeUpPoll = "poll"
	wakeUpTap  = "tap"
)

// The bounds of what a trigger may name: those of AMQP, and of the work of one tap.
const (
	maxExchange    = 255
	maxRoutingKey  = 255
	maxRoutingKeys = 16
)

// A tapKey is what a tap is bound to. Triggers with the same one share the tap.
type tapKey struct {
	exchange string
	// keys are the routing keys in order, joined by NUL, which none contains.
	keys string
}

// newTapKey returns the key of a query; false if the query wants no tap.
func newTapKey(q backlog.Query) (tapKey, bool) {
	if q.Params.Get(paramWakeUp) != wakeUpTap {
		return tapKey{}, false
	}
	return tapKey{q.Params.Get(paramExchange), strings.Join(routingKeys(q), "\x00")}, true
}

// routingKeys returns the routing keys of a query in order, each once. Without any it is the empty one,
// by which a fanout or headers exchange is bound.
func routingKeys(q backlog.Query) []string {
	var keys []string
	for key := range strings.SplitSeq(q.Params.Get(paramRoutingKeys), ",") {
		if key = strings.TrimSpace(key); key != "" {
			keys = append(keys, key)
		}
	}
	if len(keys) == 0 {
		return []string{""}
	}
	slices.Sort(keys)
	return slices.Compact(keys)
}

// each returns the routing keys.
func (k tapKey) each() []string { return strings.Split(k.keys, "\x00") }

// checkTap reports parameters of a tap that do not go together.
func checkTap(q backlog.Query) error {
	exchange, keys := q.Params.Get(paramExchange), routingKeys(q)
	if q.Params.Get(paramWakeUp) != wakeUpTap {
		if exchange != "" || q.Params.Get(paramRoutingKeys) != "" {
			return errors.New(paramExchange + ", " + paramRoutingKeys + ": only with " + paramWakeUp + ": " + wakeUpTap)
		}
		return nil
	}
	switch exchange {
	case "":
		return errors.New(paramExchange + ": required with " + paramWakeUp + ": " + wakeUpTap + "; the default exchange cannot be tapped, so publish to one that the queue is bound to")
	case "amq.default", "(AMQP default)":
		return fmt.Errorf("%s: %q is the default exchange, which cannot be tapped, want one that the queue is bound to", paramExchange, exchange)
	}
	long := func(key string) bool { return len(key) > maxRoutingKey }
	switch {
	case len(exchange) > maxExchange:
		return fmt.Errorf("%s: the name has %d bytes, want at most %d", paramExchange, len(exchange), maxExchange)
	case len(keys) > maxRoutingKeys:
		return fmt.Errorf("%s: %d keys, want at most %d", paramRoutingKeys, len(keys), maxRoutingKeys)
	case slices.ContainsFunc(keys, long):
		return fmt.Errorf("%s: want keys of at most %d bytes", paramRoutingKeys, maxRoutingKey)
	}
	return nil
}

// checkOn reports a query that a connection with these settings cannot be asked.
func checkOn(s backlog.Settings, q backlog.Query) error {
	if q.Params.Get(paramWakeUp) == wakeUpTap && !s.Bool(settingAllowTap) {
		return fmt.Errorf("%s: %s needs %s: true in the settings of the connection", paramWakeUp, wakeUpTap, settingAllowTap)
	}
	return checkPatterns(s, q)
}

// perNamespace reports whether queries are those of a namespace each: its taps are limited.
func perNamespace(s backlog.Settings) bool { return s.Bool(settingAllowTap) }
