package trigger

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/decision"
)

func TestNamed(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		queues, weight string
		want           bool
	}{
		"a name":                      {"a,b", "b", true},
		"another":                     {"a,b", "c", false},
		"a name with an escape":       {`a\*,b`, `a\*`, true},
		"a name that an escape hides": {"ab,b", `a\b`, true},
		"a pattern of a name":         {"tenant-1,b", "tenant-*", true},
		"a pattern of none":           {"tenant-1,b", "customer-*", false},
		"a name of a pattern":         {"tenant-*,b", "tenant-1", true},
		"a name of no pattern":        {"tenant-*,b", "customer-1", false},
		"two patterns":                {"tenant-*,b", "*-1", true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			queues, err := backlog.ParseQueues(test.queues)
			if err != nil {
				t.Fatal(err)
			}
			if got := newNamed(queues).has(test.weight); got != test.want {
				t.Errorf("%v, want %v", got, test.want)
			}
		})
	}
}

// TestWeightsAreCheckedInBoundedTime: the work for the weights of a trigger that is as large
// as it may be is bounded, however long its names have a beginning in common, and however
// its patterns are made. The bound is of work and not of time, which a busy machine stretches.
func TestWeightsAreCheckedInBoundedTime(t *testing.T) {
	t.Parallel()
	padding := strings.Repeat("a", 300)
	var alike, hostile backlog.Queues
	var names, patterns []decision.Weight
	for i := range 100 {
		alike = append(alike, fmt.Sprintf("%s%d", padding, i))
		hostile = append(hostile, fmt.Sprintf("%s%d", padding, i))
		names = append(names, decision.Weight{Queues: fmt.Sprintf("%s%d", padding, i)})
		patterns = append(patterns, decision.Weight{Queues: "*" + padding[:150] + "b"})
	}
	for name, test := range map[string]struct {
		queues  backlog.Queues
		weights []decision.Weight
	}{
		"names that begin alike": {alike, names},
		"patterns that go back":  {hostile, patterns},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n := newNamed(test.queues)
			began := time.Now()
			for _, w := range test.weights {
				n.has(w.Queues)
			}
			t.Logf("took %s", time.Since(began))
			if name == "names that begin alike" && n.left != maxMatchSteps {
				t.Errorf("names are matched like patterns: %d letters of work", maxMatchSteps-n.left)
			}
			if name == "patterns that go back" && n.left >= 0 {
				t.Errorf("%d letters of work are left: the trigger is not the worst that there is", n.left)
			}
		})
	}
}
