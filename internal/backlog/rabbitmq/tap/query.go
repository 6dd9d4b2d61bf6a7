package tap

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
)

// SettingAllow is the setting of the connection that allows taps.
const SettingAllow = "allowTap"

// The parameters of the layout.
const (
	paramWakeUp      = "wakeUp"
	paramExchange    = "exchange"
	paramRoutingKeys = "routingKeys"
)

// The values of wakeUp.
const (
	WakeUpPoll = "poll"
	WakeUpTap  = "tap"
)

// The bounds of what a trigger may name: those of AMQP, and of the work of one tap.
const (
	maxExchange    = 255
	maxRoutingKey  = 255
	maxRoutingKeys = 16
)

// Parameters returns the parameters of a layout whose queues may be tapped.
func Parameters() []backlog.Parameter {
	return []backlog.Parameter{
		{Name: paramWakeUp, Kind: backlog.KindChoice, Allowed: []string{WakeUpPoll, WakeUpTap}, Default: WakeUpPoll, Doc: "How new messages of an idle queue are noticed: `poll` reads it every `idlePoll` of the connection; `tap` has the scaler receive a copy of what `exchange` routes by `routingKeys` while the queue is idle. A tap needs `allowTap` in the connection."},
		{Name: paramExchange, Kind: backlog.KindText, NamesKey: true, Doc: "With `wakeUp: tap`: the exchange that the queue is bound to, of the type direct, fanout, topic or headers. The default exchange cannot be tapped."},
		{Name: paramRoutingKeys, Kind: backlog.KindList, Doc: "With `wakeUp: tap`: the routing keys by which the queue is bound to a direct or topic exchange, at most 16. Leave it out for a fanout or headers exchange: the tap then gets every message of the exchange."},
	}
}

// A Key is what a tap is bound to. Triggers with the same one share the tap.
type Key struct {
	exchange string
	// keys are the routing keys in order, joined by NUL, which none contains.
	keys string
}

// NewKey returns the key of a query; false if the query wants no tap.
func NewKey(q backlog.Query) (Key, bool) {
	if q.Params.Get(paramWakeUp) != WakeUpTap {
		return Key{}, false
	}
	return Key{q.Params.Get(paramExchange), strings.Join(routingKeys(q), "\x00")}, true
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
func (k Key) each() []string { return strings.Split(k.keys, "\x00") }

// Check reports parameters of a tap that do not go together.
func Check(q backlog.Query) error {
	exchange, keys := q.Params.Get(paramExchange), routingKeys(q)
	if q.Params.Get(paramWakeUp) != WakeUpTap {
		if exchange != "" || q.Params.Get(paramRoutingKeys) != "" {
			return errors.New(paramExchange + ", " + paramRoutingKeys + ": only with " + paramWakeUp + ": " + WakeUpTap)
		}
		return nil
	}
	switch exchange {
	case "":
		return errors.New(paramExchange + ": required with " + paramWakeUp + ": " + WakeUpTap + "; the default exchange cannot be tapped, so publish to one that the queue is bound to")
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

// CheckOn reports a query that a connection with these settings cannot be asked because it wants a tap.
func CheckOn(s backlog.Settings, q backlog.Query) error {
	if q.Params.Get(paramWakeUp) == WakeUpTap && !s.Bool(SettingAllow) {
		return fmt.Errorf("%s: %s needs %s: true in the settings of the connection", paramWakeUp, WakeUpTap, SettingAllow)
	}
	return nil
}
