package rabbitmq

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
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

// An exchange is what the management API says of one.
type exchange struct {
	Name       string `json:"name"`
	Kind       text   `json:"type"`
	AutoDelete flag   `json:"auto_delete"`
}

// The exchanges are those of the virtual host, as the management API lists them. The goroutine of the
// taps owns them.
type exchanges struct {
	management *management
	byName     map[string]exchange
	// at is when they were listed.
	at time.Time
}

// fault returns why an exchange may not be tapped; empty if it may. The error is that of the
// management API.
func (e *exchanges) fault(ctx context.Context, name string) (string, error) {
	one, known := e.byName[name]
	if age := time.Since(e.at); age > exchangesAge || !known && age > missingAge {
		if err := e.list(ctx); err != nil {
			return "", err
		}
		one, known = e.byName[name]
	}
	switch {
	case !known:
		return fmt.Sprintf("the exchange %q does not exist", backlog.Line(name)), nil
	case !slices.Contains(tappable(), string(one.Kind)):
		return fmt.Sprintf("the exchange %q has the type %q, want one of direct, fanout, headers, topic, which give each queue its own copy", backlog.Line(name), backlog.Line(string(one.Kind))), nil
	case bool(one.AutoDelete):
		return fmt.Sprintf("the exchange %q is deleted with its last binding (auto_delete), which may be that of a tap", backlog.Line(name)), nil
	default:
		return "", nil
	}
}

// forget makes the next question ask the management API.
func (e *exchanges) forget() { e.at = time.Time{} }

// list asks for all exchanges.
func (e *exchanges) list(ctx context.Context) error {
	found, began := make(map[string]exchange), time.Now()
	query := url.Values{"columns": {"name,type,auto_delete"}}
	err := e.management.pages(ctx, "/api/exchanges/", query, func(body []byte) (int, error) { return parseExchanges(body, found) })
	if err == nil {
		e.byName, e.at = found, began
	}
	return err
}

// parseExchanges returns the exchanges of a page and the number of pages.
func parseExchanges(body []byte, into map[string]exchange) (pages int, err error) {
	var p struct {
		Items []exchange `json:"items"`
		Pages int        `json:"page_count"`
	}
	if err := json.Unmarshal(body, &p); err != nil || p.Items == nil || p.Pages < 0 || len(p.Items) > pageSize {
		return 0, fmt.Errorf("%w: the management API sends no page of exchanges", backlog.ErrMismatch)
	}
	if p.Pages > maxPages {
		return 0, fmt.Errorf("%w: the virtual host has more than %d exchanges, want at most that many", backlog.ErrExhausted, maxPages*pageSize)
	}
	for _, one := range p.Items {
		into[one.Name] = one
	}
	return p.Pages, nil
}
