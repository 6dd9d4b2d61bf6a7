package layouttest

import (
	"strings"
	"testing"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis"
)

// A ParametersCase is a query whose parameters may not go together.
type ParametersCase struct {
	Query backlog.Query
	Fault string // what the error names; "" if there is none
}

// CheckParameters checks that parameters that do not go together are refused, and others are not.
func CheckParameters(t *testing.T, cases map[string]ParametersCase) {
	t.Helper()
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			layout, found := redis.Engine().Layout(c.Query.Layout)
			if !found {
				t.Fatal("there is no such layout")
			}
			err := layout.Check(c.Query)
			if (err != nil) != (c.Fault != "") || err != nil && !strings.Contains(err.Error(), c.Fault) {
				t.Errorf("the error is %v, want one about %q", err, c.Fault)
			}
		})
	}
}
