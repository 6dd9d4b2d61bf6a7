package policy

import (
	"errors"
	"time"
)

// MaxValue is the largest value of a decision. KEDA passes values on in thousandths, as an
// int64, and what does not fit becomes negative, which it takes for zero:
// https://github.com/kedacore/keda/blob/v2.21.0/pkg/scalers/scaler.go#L162
const MaxValue = 9e15

// A Decision is what KEDA is told about one trigger, and why.
type Decision struct {
	// Value is the metric's value in messages: finite and never negative. The HPA
	// computes ceil(Value / Target) replicas.
	Value float64
	// Target is the number of messages per replica, always positive.
	Target float64
	// Active says whether there should be any replica at all.
	Active bool
	// Until is when the decision may change although nothing else was read, for
	// instance because a hold ends. Zero if time alone changes nothing.
	Until time.Time
	// Steps tell how the value came about, in order. A step is here only if it
	// changed the value, keeps the trigger active or says how much to trust the value.
	Steps []Step
	// Drain is what a drain time was computed from; zero without one.
	Drain Drain
	// Parts are the queues of a trigger that has several; nil for one queue.
	Parts []Part

	// weighing is of the decision while it is made.
	weighing *weighing
}

// A Drain is what the value of a trigger with a drain time was computed from.
type Drain struct {
	// Time is the drain time, and Throughput the messages that one replica finishes in
	// a second.
	Time       time.Duration
	Throughput float64
	// Arrivals is the rate that counts, in messages per second: the larger of Slow, over
	// Window, and Fast, over a part of it. Of several queues it is the sum.
	Arrivals, Slow, Fast float64
	Window               time.Duration
	// LowerBound says that more may have arrived: the engine has no counter, and what
	// came and went between two readings was not seen.
	LowerBound bool
}

// A Part is one queue of a trigger that has several.
type Part struct {
	Queue string
	// Count is how much work there is by the parts of the backlog that count.
	Count float64
	// Weight is what one message of this queue is worth.
	Weight float64
	// Arrivals is the rate that counts, in messages per second; zero without a drain time.
	Arrivals float64
	// Value is what the queue asks for, weighted, before the steps that concern the
	// trigger as a whole.
	Value float64
	// Paused says that only work in flight counts, and Capped that more workers cannot
	// help this queue.
	Paused, Capped bool
}

// A Step is one thing that changed the value on its way.
type Step struct {
	Reason        Reason
	Before, After float64
}

// Told is what KEDA was told last about a trigger; zero if nothing was.
type Told struct {
	Value float64
}

// The reasons why there is no decision.
var (
	// ErrUnknown is a queue of which nothing is known that is fresh enough. KEDA
	// then holds the replicas.
	ErrUnknown = errors.New("backlog unknown")
	// ErrMissing is a queue that does not exist where the trigger says that this is
	// an error.
	ErrMissing = errors.New("queue does not exist")
	// ErrSettling is a trigger with a hold whose window is not filled yet since the
	// program started: there is nothing to say that more was not needed a moment ago.
	// KEDA then holds the replicas. The decision that comes with it is what would be told.
	ErrSettling = errors.New("settling after a start")
)
