package tap

import (
	"fmt"
	"slices"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/rabbitmq/management"
)

const (
	// exchangesAge is how old the types of exchanges may be when a tap is bound, and missingAge how old
	// where an exchange is not among them.
	exchangesAge = 10 * time.Second
	missingAge   = time.Second
)

// tappable are the types of exchanges that give each queue a message of its own. Those of plugins may
// divide the messages among their queues, so that a tap would take some away from the others:
// https://github.com/rabbitmq/rabbitmq-server/tree/main/deps/rabbitmq_consistent_hash_exchange.
func tappable() []string { return []string{"direct", "fanout", "headers", "topic"} }

// The exchanges are those of the virtual host, as the management API lists them. The mutex of Taps
// guards them.
type exchanges struct {
	byName map[string]management.Exchange
	// at is when they were listed, tried when that was last asked for, and err why it failed; nil if it
	// did not. running reports that an answer is waited for.
	at, tried time.Time
	err       error
	running   bool
}

// fault returns why an exchange may not be tapped; empty if it may. It is not known where the list is
// too old to say.
func (e *exchanges) fault(name string, now time.Time) (fault string, known bool) {
	one, listed := e.byName[name]
	if age := now.Sub(e.at); age > exchangesAge || !listed && age > missingAge {
		return "", false
	}
	switch {
	case !listed:
		return fmt.Sprintf("the exchange %q does not exist", backlog.Line(name)), true
	case !slices.Contains(tappable(), one.Kind):
		return fmt.Sprintf("the exchange %q has the type %q, want one of direct, fanout, headers, topic, which give each queue its own copy", backlog.Line(name), backlog.Line(one.Kind)), true
	case one.AutoDelete:
		return fmt.Sprintf("the exchange %q is deleted with its last binding (auto_delete), which may be that of a tap", backlog.Line(name)), true
	default:
		return "", true
	}
}

// forget makes the next question ask the management API.
func (e *exchanges) forget() { e.at = time.Time{} }

// begin reports whether the exchanges are to be listed now, and when they may be if not.
func (e *exchanges) begin(now time.Time) (begins bool, due time.Time) {
	due = e.tried.Add(missingAge)
	if e.running || due.After(now) {
		return false, due
	}
	e.running, e.tried = true, now
	return true, due
}

// end takes the outcome of a listing over.
func (e *exchanges) end(found map[string]management.Exchange, err error) {
	e.running, e.err = false, err
	if err == nil {
		e.byName, e.at = found, e.tried
	}
}
