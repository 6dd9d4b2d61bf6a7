package decision

import "time"

// A Spec holds the parameters of a trigger.
type Spec struct {
	// Target is the number of messages per replica; positive. With a DrainTime it is
	// the number that one replica finishes in that time.
	Target float64
	// DrainTime is the time in which the backlog is to be drained; zero uses Target alone.
	DrainTime time.Duration
	// RateWindow is the window in which arrivals are measured; positive with a DrainTime.
	RateWindow time.Duration
	// MaxAge is the longest time that a message should wait; zero is no limit.
	MaxAge time.Duration
	// Activation is the backlog above which the trigger is active.
	Activation float64
	// Hold is how long a larger value counts after it was last observed.
	Hold time.Duration
	// HoldActive is how long the trigger stays active after there was work, or a counter
	// moved.
	HoldActive time.Duration
	// SharesKeys reports that a change of the queue may be one of another queue.
	SharesKeys bool
	// Traceless reports that there is a HoldActive, and that work which is enqueued and taken
	// between two reads leaves no trace in the layout. HoldActive then counts from work that
	// a read found.
	Traceless bool
	// Count is the set of parts of the backlog that count. Zero is CountAll.
	Count Counts
	// Largest makes the largest of several queues count in place of their sum.
	Largest bool
	// Weights are those of several queues. The first that matches applies; 1 if none does.
	Weights []Weight
	// MinReplicas and MaxReplicas bound what an active trigger asks for; zero is no
	// bound.
	MinReplicas, MaxReplicas int64
	// MissingIsError makes a queue that does not exist an error instead of empty.
	MissingIsError bool
	// Jobs is the strategy of the ScaledJob that the trigger is of; empty for a ScaledObject. HeldIsReady
	// reports that what workers hold is among what is ready.
	Jobs        JobStrategy
	HeldIsReady bool
	// MaxStaleness is how long the last good reading is used while reads fail; positive.
	MaxStaleness time.Duration
}

// A Weight is the factor of the messages of some queues.
type Weight struct {
	// Queues is a name or a pattern, as backlog.Match takes it.
	Queues string
	// Value is positive.
	Value float64
}

// Throughput returns the messages that one replica finishes in a second; zero without a
// DrainTime.
func (s Spec) Throughput() float64 {
	if s.DrainTime == 0 {
		return 0
	}
	return s.Target / s.DrainTime.Seconds()
}

// Window returns the age up to which Decide needs past readings.
func (s Spec) Window() time.Duration {
	return max(s.Hold, s.HoldActive, s.MaxStaleness, s.RateWindow)
}

// InUse returns how long after a change of a queue Decide needs frequent readings.
func (s Spec) InUse() time.Duration {
	if s.SharesKeys {
		return 0
	}
	return max(s.HoldActive, s.RateWindow)
}

// Counters reports whether Decide needs the counters of past readings.
func (s Spec) Counters() bool { return s.DrainTime > 0 }

// Parts reports whether Decide needs the parts of past readings. Otherwise their sums are
// enough.
func (s Spec) Parts() bool {
	return s.Largest || len(s.Weights) > 0 || s.DrainTime > 0 || s.Hold > 0 || s.HoldActive > 0
}
