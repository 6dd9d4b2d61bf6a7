package policy

import "time"

// A Spec is what a trigger asks for.
type Spec struct {
	// Target is the number of messages per replica; positive. With a DrainTime it is
	// what one replica finishes in that time.
	Target float64
	// DrainTime is within which time the backlog is to be gone; zero aims at Target alone.
	DrainTime time.Duration
	// RateWindow is over which time arrivals are measured; positive with a DrainTime.
	RateWindow time.Duration
	// MaxAge is for how long a message should wait at most; zero is no limit.
	MaxAge time.Duration
	// Activation is the backlog that must be exceeded for the trigger to be active.
	Activation float64
	// Hold is for how long a larger value keeps counting after it was last seen.
	Hold time.Duration
	// HoldActive is for how long the trigger stays active after there was work, or a
	// sign of it.
	HoldActive time.Duration
	// SharesKeys says that a change of the queue may be one of another queue.
	SharesKeys bool
	// Traceless says that there is a HoldActive, and that work which comes and is taken
	// between two looks leaves no trace in the layout, so that it counts from what a look has
	// found.
	Traceless bool
	// Count says which parts of the backlog count. Zero is CountAll.
	Count Counts
	// Largest makes the largest of several queues count in place of their sum.
	Largest bool
	// Weights are those of several queues, the first that matches; 1 if none does.
	Weights []Weight
	// MinReplicas and MaxReplicas bound what an active trigger asks for; zero is no
	// bound.
	MinReplicas, MaxReplicas int64
	// MissingIsError makes a queue that does not exist an error instead of empty.
	MissingIsError bool
	// MaxStaleness is for how long the last good reading stands in for one that
	// fails; positive.
	MaxStaleness time.Duration
}

// A Weight is what a message of some queues is worth.
type Weight struct {
	// Queues is a name or a pattern, as backlog.Match takes it.
	Queues string
	// Value is positive.
	Value float64
}

// Throughput is how many messages one replica finishes in a second; zero without a
// DrainTime.
func (s Spec) Throughput() float64 {
	if s.DrainTime == 0 {
		return 0
	}
	return s.Target / s.DrainTime.Seconds()
}

// Window is how far back Decide looks at past readings.
func (s Spec) Window() time.Duration {
	return max(s.Hold, s.HoldActive, s.MaxStaleness, s.RateWindow)
}

// InUse is for how long after a change of a queue it matters how it goes on.
func (s Spec) InUse() time.Duration {
	if s.SharesKeys {
		return 0
	}
	return max(s.HoldActive, s.RateWindow)
}

// Counters tells whether Decide looks at the counters of past readings.
func (s Spec) Counters() bool { return s.DrainTime > 0 }

// Parts tells whether Decide looks at the parts of past readings. Without them it
// takes their sums.
func (s Spec) Parts() bool {
	return s.Largest || len(s.Weights) > 0 || s.DrainTime > 0 || s.Hold > 0 || s.HoldActive > 0
}
