package management

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
)

// An Exchange is what the management API says of one.
type Exchange struct {
	// Kind is the type, such as "topic".
	Kind string
	// AutoDelete reports that the exchange is deleted with its last binding.
	AutoDelete bool
}

// An exchangeItem is an exchange of a page.
type exchangeItem struct {
	Name       string `json:"name"`
	Kind       text   `json:"type"`
	AutoDelete flag   `json:"auto_delete"`
}

// Exchanges returns all exchanges of the virtual host, by name.
func (m *API) Exchanges(ctx context.Context) (map[string]Exchange, error) {
	found := make(map[string]Exchange)
	query := url.Values{"columns": {"name,type,auto_delete"}}
	return found, m.pages(ctx, "/api/exchanges/", query, func(body []byte) (int, error) { return parseExchanges(body, found) })
}

// parseExchanges returns the exchanges of a page and the number of pages.
func parseExchanges(body []byte, into map[string]Exchange) (pages int, err error) {
	var p struct {
		Items []exchangeItem `json:"items"`
		Pages int            `json:"page_count"`
	}
	if err := json.Unmarshal(body, &p); err != nil || p.Items == nil || p.Pages < 0 || len(p.Items) > pageSize {
		return 0, fmt.Errorf("%w: the management API sends no page of exchanges", backlog.ErrMismatch)
	}
	if p.Pages > maxPages {
		return 0, fmt.Errorf("%w: the virtual host has more than %d exchanges, want at most that many", backlog.ErrExhausted, maxPages*pageSize)
	}
	for _, one := range p.Items {
		into[one.Name] = Exchange{Kind: string(one.Kind), AutoDelete: bool(one.AutoDelete)}
	}
	return p.Pages, nil
}
