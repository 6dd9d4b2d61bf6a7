package decision

import (
	"fmt"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
)

// maxMatchSteps is how many steps of matching the weights one queue may take on average. A
// hundred plain names take some five hundred.
const maxMatchSteps = 4000

// errCostlyWeights are patterns in the weights that take too long to match with the queues.
var errCostlyWeights = fmt.Errorf("%w: %w: weights take too long to match with the queues, want fewer or simpler patterns", ErrUnknown, backlog.ErrExhausted)

// countQueues returns the number of queues in all readings of an observation.
func countQueues(seen *backlog.Observation) int {
	queues := len(seen.Latest.Parts)
	for i := range seen.Past {
		queues += len(seen.Past[i].Parts)
	}
	return queues
}

// weight returns the weight of a queue; 1 once matching has taken too long.
func (m *maker) weight(spec *Spec, queue string) float64 {
	for _, w := range spec.Weights {
		if m.weighingExhausted() {
			return 1
		}
		matches, steps := backlog.MatchSteps(w.Queues, queue)
		m.matchSteps -= steps
		if matches {
			return w.Value
		}
	}
	return 1
}

// weighingExhausted reports whether matching the weights took too long.
func (m *maker) weighingExhausted() bool { return m.matchSteps < 0 }
