package trigger_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/trigger"
)

// TestQueueLimit: outside of the queues that a connection allows to a namespace, a queue
// is refused like an unknown connection.
func TestQueueLimit(t *testing.T) {
	t.Parallel()
	c := trigger.NewCatalog(
		[]backlog.Connection{{Name: "shared", Engine: "redis", Namespaces: []string{"*"}, Queues: []string{"{namespace}-*", "common"}}},
		[]backlog.Engine{{Name: "redis", Layouts: []backlog.Layout{
			{
				Name: "list", Queue: "key of the list", Patterns: "among the lists",
				Parameters: []backlog.Parameter{{Name: "inFlightList", NamesKey: true}, {Name: "note"}},
			},
			{Name: "one", Queue: "key", Parameters: []backlog.Parameter{{Name: "unackedKey", NamesKey: true, Default: "unacked"}}},
		}}},
	)
	for _, tc := range []struct {
		name     string
		metadata map[string]string
		// refused is the key that is refused; "" if none is.
		refused string
	}{
		{"its own queue", map[string]string{"list": "shop-orders"}, ""},
		{"a queue for everyone", map[string]string{"list": "common"}, ""},
		{"a pattern of its own", map[string]string{"list": "shop-*"}, ""},
		{"another tenant's queue", map[string]string{"list": "bank-orders"}, "list"},
		{"another tenant's queue among its own", map[string]string{"list": "shop-a,bank-orders"}, "list"},
		{"a pattern of everything", map[string]string{"list": "*"}, "list"},
		{"a pattern where none is known", map[string]string{"one": "shop-*"}, ""},
		{"another tenant's queue where no pattern is known", map[string]string{"one": "bank-*"}, "one"},
		{"a key of its own", map[string]string{"list": "shop-a", "inFlightList": "shop-a:busy"}, ""},
		{"a key made of the queue", map[string]string{"list": "shop-*", "inFlightList": "{queue}:busy"}, ""},
		{"another tenant's key", map[string]string{"list": "shop-a", "inFlightList": "bank-orders"}, "inFlightList"},
		{"a star in a key is a letter", map[string]string{"list": "shop-a", "inFlightList": "*"}, "inFlightList"},
		{"a key that is the default", map[string]string{"one": "shop-a", "unackedKey": "unacked"}, ""},
		{"a parameter that names no key", map[string]string{"list": "shop-a", "note": "bank-orders"}, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			tc.metadata["connection"] = "shared"
			_, err := c.Parse("shop", tc.metadata)
			if tc.refused == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			if !errors.Is(err, trigger.ErrDenied) || !strings.HasPrefix(err.Error(), tc.refused+": ") || !strings.Contains(err.Error(), "shop-*, common") {
				t.Errorf("got %v, want %s refused with what is allowed", err, tc.refused)
			}
		})
	}
}
