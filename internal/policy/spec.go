package policy

import (
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/schedule"
)

// The limits of a policy.
const (
	MaxSignals  = 16
	MaxLimiters = 8
	// maxCondition is the length of an expression of a limiter in bytes.
	maxCondition = 512
)

// A Spec is what a policy says, as its author writes it.
type Spec struct {
	// MinReplicas and MaxReplicas bound the replicas at any time.
	MinReplicas, MaxReplicas int32
	// Signals are what is measured.
	Signals []Signal
	// Formula computes the wanted replicas from the signals. Without one the largest need
	// counts.
	Formula string
	// Schedules are windows of time with a floor, a ceiling or both.
	Schedules []schedule.Spec
	// Limiters stop growth while a condition holds.
	Limiters []Limiter
	// Up and Down make changes gradual; nil makes them at once.
	Up   *StepUp
	Down *StepDown
	// Busy spares busy pods when replicas fall; nil does not.
	Busy *BusyPods
}

// A Signal is one thing that is measured.
type Signal struct {
	// Name is that of the signal in expressions.
	Name string
	// Target is the value for which one replica is needed; zero for a signal that only
	// expressions use.
	Target float64
	// OwnTarget reports that each observation has a target, as those of queues have. With
	// UseValue, Target is needed as well.
	OwnTarget bool
	// MaxStaleness is how long the last good value counts while the signal cannot be read;
	// positive.
	MaxStaleness time.Duration
	// WhenUnknown says what counts after that.
	WhenUnknown WhenUnknown
	// Value stands for an unknown signal with UseValue.
	Value float64
}

// needed reports whether the signal has a need: its value by its target.
func (s *Signal) needed() bool { return s.Target > 0 || s.OwnTarget }

// WhenUnknown says what an unknown signal counts as.
type WhenUnknown uint8

// What an unknown signal counts as.
const (
	// Hold is an error in place of a decision, so that KEDA holds the replicas.
	Hold WhenUnknown = iota
	// Ignore leaves the signal out. A formula that uses it is left out too: the largest need of
	// the other signals counts. If no signal is left, the current replicas are wanted. A limiter
	// that uses it stays as it is. So what is unknown is never zero.
	Ignore
	// UseValue takes the value of the policy.
	UseValue
)

// A Limiter stops growth while a condition holds.
type Limiter struct {
	Name string
	// When begins it. Until ends it once When no longer holds; if Until is empty, that is
	// enough.
	When, Until string
	Action      Action
	// Ceiling computes the largest number of replicas, when the limiter begins; for Lower alone.
	Ceiling string
}

// An Action is what a limiter does.
type Action uint8

// The actions of limiters.
const (
	// Freeze keeps replicas from rising.
	Freeze Action = iota
	// Lower lowers the ceiling.
	Lower
)

// A StepUp bounds how fast replicas rise.
type StepUp struct {
	// First is the step from zero; zero is the same step as later ones.
	First int32
	// Pods and Percent of the current replicas are the size of a step. The larger counts; at
	// least one replica.
	Pods, Percent int32
	// Period is the least time from one change of the replicas to the next step.
	Period time.Duration
	// ReadyPercent is the part of the current replicas that has to be available before the next
	// step.
	ReadyPercent int32
	// StuckAfter is how long growth waits for that before it is reported as stuck; zero is
	// never. The replicas stay as they are.
	StuckAfter time.Duration
}

// A StepDown bounds how fast replicas fall.
type StepDown struct {
	// Pods and Percent are as for StepUp. If both are zero, replicas fall at once.
	Pods, Percent int32
	// Period is the least time from one change of the replicas to the next step.
	Period time.Duration
	// Hold is how long the largest wanted number still counts.
	Hold time.Duration
}

// BusyPods spares busy pods when replicas fall.
type BusyPods struct {
	Keep Keep
	// GiveUpAfter is how long busy pods delay a fall; zero is without end.
	GiveUpAfter time.Duration
}

// Keep says how strictly busy pods are spared.
type Keep uint8

// How strictly busy pods are spared.
const (
	// Prefer waits a moment until the pods show which of them are to be deleted first.
	Prefer Keep = iota
	// Strict lets replicas fall only by pods that are known to be idle.
	Strict
)
