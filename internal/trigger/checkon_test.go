package trigger_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/trigger"
)

// TestCheckOn: what a query may be depends on the connection's settings, and a fault of the query alone
// is reported first.
func TestCheckOn(t *testing.T) {
	t.Parallel()
	connection := func(name, server string) backlog.Connection {
		return backlog.Connection{Name: name, Engine: "logs", Namespaces: []string{"shop"}, Settings: backlog.NewSettings(map[string]any{"server": server})}
	}
	known := trigger.NewCatalog(
		[]backlog.Connection{connection("plain", "plain"), connection("indexed", "indexed")},
		[]backlog.Engine{{Name: "logs", Layouts: []backlog.Layout{{
			Name: "query", Queue: "query", Measures: true,
			Check: func(q backlog.Query) error {
				if q.Queue == "wrong" {
					return errors.New("query: is wrong")
				}
				return nil
			},
			CheckOn: func(s backlog.Settings, q backlog.Query) error {
				if s.Text("server") == "indexed" {
					return errors.New("index: required")
				}
				return nil
			},
		}}}},
	)
	for name, c := range map[string]struct{ connection, query, want string }{
		"fits":             {"plain", "error", ""},
		"does not fit":     {"indexed", "error", "index: required"},
		"is wrong anyway":  {"plain", "wrong", "query: is wrong"},
		"is wrong at once": {"indexed", "wrong", "query: is wrong"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := known.Parse("shop", map[string]string{"connection": c.connection, "query": c.query})
			var faults trigger.MetadataError
			if (err == nil) != (c.want == "") || err != nil && (!errors.As(err, &faults) || len(faults) != 1 || !strings.Contains(err.Error(), c.want)) {
				t.Errorf("the error is %v, want %q", err, c.want)
			}
		})
	}
}
