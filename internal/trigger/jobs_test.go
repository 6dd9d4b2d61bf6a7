package trigger_test

import (
	"errors"
	"maps"
	"testing"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/decision"
	"github.com/backlog-scaler/backlog-scaler/internal/trigger"
)

// jobLayouts are one of each kind: what workers hold is counted next to what waits, with it, late, or
// not at all.
func jobLayouts() *trigger.Catalog {
	layouts := []backlog.Layout{
		{Name: "apart", InFlight: "those"},
		{Name: "lag", ReadyIncludesHeld: true},
		{Name: "late", InFlight: "those", InFlightIsLate: true},
		{Name: "popped"},
		{Name: "some", InFlight: "those of groups", CheckInFlight: func(q backlog.Query) error {
			if q.Queue == "q" {
				return errors.New("a queue without a group does not count them")
			}
			return nil
		}},
		{Name: "number", Measures: true},
	}
	connection := backlog.Connection{Name: "main", Engine: "e", Namespaces: []string{"*"}}
	return trigger.NewCatalog([]backlog.Connection{connection}, []backlog.Engine{{Name: "e", Layouts: layouts}})
}

// TestScaledJob: the strategy decides what counts, and a layout whose numbers do not fit it is an error.
func TestScaledJob(t *testing.T) {
	t.Parallel()
	const held, waiting = decision.CountAll, decision.CountReady | decision.CountDue
	for _, tc := range []struct {
		name, layout, strategy string
		more                   map[string]string
		count                  decision.Counts
		fault                  string
	}{
		{name: "default", layout: "apart", strategy: "default", count: held},
		{name: "custom", layout: "apart", strategy: "custom", count: held},
		{name: "accurate", layout: "apart", strategy: "accurate", count: waiting},
		{name: "eager", layout: "apart", strategy: "eager", count: waiting},
		{name: "default of a lag", layout: "lag", strategy: "default", count: held},
		{name: "accurate where it is late", layout: "late", strategy: "accurate", count: waiting},
		{name: "accurate where it is not known", layout: "popped", strategy: "accurate", count: waiting},
		{name: "the count that it has anyway", layout: "apart", strategy: "eager", more: map[string]string{"count": "ready,due"}, count: waiting},
		{name: "accurate of a lag", layout: "lag", strategy: "accurate", fault: "scaledJob: accurate is for messages that wait, and a lag counts them until they are done; want default"},
		{name: "default where it is late", layout: "late", strategy: "default", fault: "scaledJob: default subtracts the Jobs at work, and a late shows what they hold seconds late; want accurate"},
		{name: "default where it is not known", layout: "popped", strategy: "default", fault: "scaledJob: default subtracts the Jobs at work, and the layout popped does not count messages in flight; want accurate"},
		{name: "default where it is not known of the queue", layout: "some", strategy: "custom", fault: "scaledJob: custom subtracts the Jobs at work, and a queue without a group does not count them; want accurate"},
		{name: "default where it is known of the queue", layout: "some", strategy: "default", more: map[string]string{"some": "p"}, count: held},
		{name: "accurate of such a queue", layout: "some", strategy: "accurate", count: waiting},
		{name: "a measured number", layout: "number", strategy: "default", fault: "scaledJob: is for the messages of a queue, and a number measures a number"},
		{name: "another count", layout: "apart", strategy: "default", more: map[string]string{"count": "ready"}, fault: "count: ready does not go with scaledJob: default, which needs ready,due,inFlight"},
		{name: "a hold", layout: "apart", strategy: "default", more: map[string]string{"hold": "30s"}, fault: "hold: does not go with scaledJob: KEDA would start Jobs for messages that are done"},
		{name: "an old reading", layout: "apart", strategy: "default", more: map[string]string{"maxStaleness": "30s"}, fault: "maxStaleness: does not go with scaledJob: KEDA would start Jobs for messages that are done"},
		{name: "misspelt", layout: "apart", strategy: "acurate", fault: `scaledJob: "acurate": want one of default, accurate, eager, custom; did you mean "accurate"`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			metadata := map[string]string{"connection": "main", tc.layout: "q", "scaledJob": tc.strategy}
			maps.Copy(metadata, tc.more)
			got, err := jobLayouts().Parse("shop", metadata)
			switch {
			case tc.fault != "":
				if err == nil || err.Error() != tc.fault {
					t.Errorf("error\n%v, want\n%v", err, tc.fault)
				}
			case err != nil:
				t.Error(err)
			case got.Policy.Count != tc.count || string(got.Policy.Jobs) != tc.strategy:
				t.Errorf("%+v, want the count %s", got.Policy, tc.count)
			}
		})
	}
}
