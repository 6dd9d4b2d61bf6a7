package policies

import (
	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/decision"
	"github.com/backlog-scaler/backlog-scaler/internal/policy"
	"github.com/backlog-scaler/backlog-scaler/internal/trigger"
)

// A Status is a policy with the last decision on it. It shares its slices and maps, which do not
// change.
type Status struct {
	Policy Policy
	// Target is what is known of the workload; zero unless TargetKnown.
	Target      Target
	TargetKnown bool
	// Outcome is zero unless Decided.
	Outcome Outcome
	Decided bool
}

// Read reports whether the workload was read, so that windows and bounds are known.
func (s *Status) Read() bool {
	return s.Decided && s.TargetKnown && s.Target.Err == nil && len(s.Outcome.Problems) == 0
}

// An Explanation is everything that is known of a policy.
type Explanation struct {
	Status

	// Pending is what the decision waits for.
	Pending policy.Pending
	// Signals are the signals as they are read now, in the order of the policy. There are none
	// in a policy with mistakes.
	Signals []SignalStatus
}

// A SignalStatus is what is known of a signal of a policy.
type SignalStatus struct {
	Name string
	// Trigger is the trigger of the signal, with the target in force. Its MaxStaleness is that of
	// the signal.
	Trigger trigger.Trigger
	// Target is the value for one replica; zero for a signal without a need.
	Target      float64
	Observation backlog.Observation
	// Decision is what the reading gives, however old it is, unless Err is set.
	Decision decision.Decision
	// Err is why there is no value of a reading.
	Err error
	// Learned is what was learned of the throughput; nil where it is not learned.
	Learned *LearnedThroughput
}

// A LearnedThroughput is what was learned of the throughput of one replica, in messages that it
// finishes in a second.
type LearnedThroughput struct {
	policy.Estimate

	Bounds trigger.Learned
	// Used is the throughput in force: the lower bound until enough was measured.
	Used float64
}
