package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// AutoscalerPolicyStatus is what the scaler decides at present, and why.
type AutoscalerPolicyStatus struct {
	// observedGeneration is the generation of the spec that the status is about.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`
	// reason is what decides the number of replicas: the name of a schedule or limiter, or the
	// name of a step of the decision.
	// +optional
	Reason string `json:"reason,omitempty"`
	// replicas are those of the workload, and those that are wanted.
	// +optional
	Replicas ReplicasStatus `json:"replicas,omitzero"`
	// bounds are those of schedules and of the policy at present.
	// +optional
	Bounds BoundsStatus `json:"bounds,omitzero"`
	// windows are the active ones, and the next change.
	// +optional
	Windows *WindowsStatus `json:"windows,omitempty"`
	// signals are what was read last.
	// +listType=map
	// +listMapKey=name
	// +optional
	Signals []SignalStatus `json:"signals,omitempty"`
	// step is the last gradual change.
	// +optional
	Step *StepStatus `json:"step,omitempty"`
	// lastScale is the last change of replicas, and who made it.
	// +optional
	LastScale *ScaleStatus `json:"lastScale,omitempty"`
	// busy is how many pods are busy.
	// +optional
	Busy *int32 `json:"busy,omitempty"`
	// conditions are Ready, SignalsKnown, Limited and Conflicted.
	// +listType=map
	// +listMapKey=type
	// +optional
	Conditions []metav1.Condition `json:"conditions,omitempty"`
}

// ReplicasStatus is about replicas.
type ReplicasStatus struct {
	// current is spec.replicas of the workload.
	Current int32 `json:"current"`
	// available are the replicas that are available.
	Available int32 `json:"available"`
	// wanted is what signals and schedules want, before steps and limiters.
	Wanted int32 `json:"wanted"`
	// decided is the number that KEDA is answered, or that is written.
	Decided int32 `json:"decided"`
}

// BoundsStatus has the bounds of the replicas.
type BoundsStatus struct {
	Floor   int32 `json:"floor"`
	Ceiling int32 `json:"ceiling"`
}

// WindowsStatus is about schedules.
type WindowsStatus struct {
	// active are the names of the schedules whose windows are open.
	// +optional
	Active []string `json:"active,omitempty"`
	// next is the next edge of a window.
	// +optional
	Next *WindowEdge `json:"next,omitempty"`
}

// WindowEdge is when a window begins or ends.
type WindowEdge struct {
	Name string `json:"name"`
	// edge is Start or End.
	Edge string      `json:"edge"`
	At   metav1.Time `json:"at"`
}

// SignalStatus is what is known of a signal.
type SignalStatus struct {
	Name string `json:"name"`
	// value is the number that counts; empty if it is unknown.
	// +optional
	Value string `json:"value,omitempty"`
	// at is when it was read.
	// +optional
	At *metav1.Time `json:"at,omitempty"`
	// state is Known, Stale, Holding, Ignored or Replaced.
	State string `json:"state"`
	// message is why the signal cannot be read.
	// +optional
	Message string `json:"message,omitempty"`
}

// StepStatus is the last gradual change.
type StepStatus struct {
	From int32       `json:"from"`
	To   int32       `json:"to"`
	At   metav1.Time `json:"at"`
}

// ScaleStatus is the last change of replicas.
type ScaleStatus struct {
	From int32       `json:"from"`
	To   int32       `json:"to"`
	At   metav1.Time `json:"at"`
	// manager is the field manager that wrote it.
	// +optional
	Manager string `json:"manager,omitempty"`
}
