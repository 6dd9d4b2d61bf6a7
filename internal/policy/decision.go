package policy

import (
	"errors"
	"time"
)

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
	// changed the value or says how much to trust it.
	Steps []Step
}

// A Step is one thing that changed the value on its way.
type Step struct {
	Reason        Reason
	Before, After float64
}

// A Reason is one of a closed set of words for what changed a decision.
type Reason string

// The reasons.
const (
	// Paused: the engine hands out nothing, so waiting messages need no worker.
	Paused Reason = "paused"
	// Restarted: the server's data was replaced moments ago; what was known before
	// still counts, for MaxStaleness.
	Restarted Reason = "restarted"
	// Held: a larger value within the hold window still counts.
	Held Reason = "held"
	// Capped: more workers than this cannot help.
	Capped Reason = "capped"
	// Bridged: the queue cannot be read now; the last good reading stands in.
	Bridged Reason = "bridged"
)

// The reasons why there is no decision.
var (
	// ErrUnknown is a queue of which nothing is known that is fresh enough. KEDA
	// then holds the replicas.
	ErrUnknown = errors.New("backlog unknown")
	// ErrMissing is a queue that does not exist where the trigger says that this is
	// an error.
	ErrMissing = errors.New("queue does not exist")
)
