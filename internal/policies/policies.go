// Package policies has what is exchanged about AutoscalerPolicies between the client of Kubernetes
// and what decides on them: plain values, so that neither knows the other.
package policies

import (
	"errors"
	"slices"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/policy"
)

// A Key names a policy.
type Key struct{ Namespace, Name string }

// String returns namespace and name with a slash between them.
func (k Key) String() string { return k.Namespace + "/" + k.Name }

// A Policy is an AutoscalerPolicy without anything of Kubernetes.
type Policy struct {
	Key
	// Generation is that of the object: it changes with the spec.
	Generation int64
	Mode       Mode
	Via        Via
	Jump       Jump
	Ref        Ref
	// Spec is what is decided by. OwnTarget of its signals is false: it follows from the layouts
	// of the triggers, which are not known to Kubernetes.
	Spec policy.Spec
	// Signals say how the signals of Spec are read, in the same order.
	Signals []Signal
	// Workers says that the queue of a signal shows which workers are busy; nil if it is not to be
	// asked.
	Workers *Workers
	// Problems are the mistakes found so far. With one there is no decision.
	Problems []Problem
}

// A Signal says how a signal of a policy is read.
type Signal struct {
	Name       string
	Connection string
	// Trigger has the keys of the metadata of a trigger, without the connection.
	Trigger map[string]string
	// Interval is the time between reads where no event wakes the signal.
	Interval time.Duration
}

// Workers says which queue shows which workers are busy.
type Workers struct {
	// Signal is the name of its signal; empty for the only one that can.
	Signal string
}

// A Ref names a workload in the namespace of its policy.
type Ref struct{ APIVersion, Kind, Name string }

// Mode says whether a policy acts.
type Mode string

// The modes.
const (
	// Enforce reports replicas to KEDA or writes them.
	Enforce Mode = "Enforce"
	// Observe decides, and acts on nothing.
	Observe Mode = "Observe"
)

// Via says what writes the replicas.
type Via string

// What writes the replicas.
const (
	ViaKEDA  Via = "KEDA"
	ViaScale Via = "Scale"
)

// Jump says when replicas rise at once, without the steps of the HPA.
type Jump string

// The occasions of a jump.
const (
	JumpNever    Jump = "Never"
	JumpFromZero Jump = "FromZero"
	JumpFloor    Jump = "Floor"
	JumpAlways   Jump = "Always"
)

// A Target is what is known of the workload of a policy.
type Target struct {
	policy.Target
	// HeldUntil is until when no number below Replicas is reported; zero if that is not so. It
	// follows a jump: the HPA does not remember the replicas that another client wrote, and
	// would take them back at its next sync if less were reported by then.
	HeldUntil time.Time
	// Err is why the workload cannot be read; nil if it can. With an error the rest is zero and
	// there is no decision.
	Err error
}

// An Outcome is what was decided last on a policy.
type Outcome struct {
	// Generation is that of the policy.
	Generation int64
	// At is when it was decided.
	At time.Time
	// Decision is complete if Err is nil and there are no Problems. Next to an error it has what
	// is known of signals and windows.
	Decision policy.Decision
	// Replicas is the number that is reported at this moment: that of the decision, or a larger
	// one while Target.HeldUntil has not passed. It says nothing about Decision.Active: a workload
	// without work may go to zero at any time, because the HPA writes nothing there.
	Replicas int32
	// Err is why there is no number. KEDA then holds the replicas.
	Err error
	// Problems are all mistakes in the policy.
	Problems []Problem
}

// Decided reports whether there is a number of replicas.
func (o *Outcome) Decided() bool { return o.Err == nil && len(o.Problems) == 0 }

// Unread reports whether there is no number because the first read of a signal has not ended yet, as
// after a start. That is no failure.
func (o *Outcome) Unread() bool {
	return o.Err != nil && slices.ContainsFunc(o.Decision.Signals, func(s policy.SignalState) bool {
		return s.State == policy.Holding && s.At.IsZero() && s.Err == nil
	})
}

// A Problem is a mistake in a policy, which its author corrects.
type Problem struct {
	Kind Kind
	// Err has the field, its value and what is allowed.
	Err error
}

// A Kind says what a mistake is about.
type Kind uint8

// The kinds of mistakes.
const (
	// InSpec is a mistake in any other field.
	InSpec Kind = iota
	// InFormula is a mistake in the formula or in a condition of a limiter.
	InFormula
	InSchedule
	InSignal
	// InConnection is a connection that does not exist or that the namespace may not use.
	InConnection
)

// ErrWorkersUnread is workers that have not been read yet, as before replicas are about to fall.
var ErrWorkersUnread = errors.New("which workers are busy has not been read yet")

// The reasons why a policy answers no trigger, which an author corrects.
var (
	// ErrNoPolicy is a policy that does not exist.
	ErrNoPolicy = errors.New("no such AutoscalerPolicy")
	// ErrNotAnswering is a policy that does not answer triggers.
	ErrNotAnswering = errors.New("the policy answers no trigger")
	// ErrInvalid is a policy with mistakes.
	ErrInvalid = errors.New("the policy has mistakes")
)
