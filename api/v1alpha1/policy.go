package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// AutoscalerPolicy says how many replicas a workload has.
//
// +kubebuilder:object:root=true
// +kubebuilder:metadata:annotations="helm.sh/resource-policy=keep"
// +kubebuilder:resource:path=autoscalerpolicies,shortName=asp,categories=autoscaling,scope=Namespaced
// +kubebuilder:subresource:status
// +kubebuilder:printcolumn:name="Target",type=string,JSONPath=`.spec.scaleTargetRef.name`
// +kubebuilder:printcolumn:name="Via",type=string,JSONPath=`.spec.via`
// +kubebuilder:printcolumn:name="Mode",type=string,JSONPath=`.spec.mode`
// +kubebuilder:printcolumn:name="Replicas",type=integer,JSONPath=`.status.replicas.current`
// +kubebuilder:printcolumn:name="Wanted",type=integer,JSONPath=`.status.replicas.wanted`
// +kubebuilder:printcolumn:name="Floor",type=integer,JSONPath=`.status.bounds.floor`
// +kubebuilder:printcolumn:name="Ceiling",type=integer,JSONPath=`.status.bounds.ceiling`
// +kubebuilder:printcolumn:name="Why",type=string,JSONPath=`.status.reason`
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="Conflicted",type=string,priority=1,JSONPath=`.status.conditions[?(@.type=="Conflicted")].status`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
type AutoscalerPolicy struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// spec is what the policy says.
	// +required
	Spec AutoscalerPolicySpec `json:"spec"`
	// status is what the scaler decides at present, and why.
	// +optional
	Status AutoscalerPolicyStatus `json:"status,omitzero"`
}

// AutoscalerPolicyList is a list of AutoscalerPolicy.
//
// +kubebuilder:object:root=true
type AutoscalerPolicyList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`

	Items []AutoscalerPolicy `json:"items"`
}

// Mode is whether a policy acts.
// +kubebuilder:validation:Enum=Enforce;Observe
type Mode string

// The modes of a policy.
const (
	// Enforce answers KEDA, and writes replicas where the policy says so.
	Enforce Mode = "Enforce"
	// Observe computes and reports everything, and writes nothing but the status.
	Observe Mode = "Observe"
)

// Via is which hand writes replicas.
// +kubebuilder:validation:Enum=KEDA;Scale
type Via string

// The hands that write replicas.
const (
	// ViaKEDA answers the trigger of a ScaledObject, so that KEDA and its HPA write.
	ViaKEDA Via = "KEDA"
	// ViaScale writes the scale subresource of a workload that nothing else scales.
	ViaScale Via = "Scale"
)

// Jump is when replicas are raised at once, without the steps of the HPA.
// +kubebuilder:validation:Enum=Never;FromZero;Floor;Always
type Jump string

// The occasions of a jump.
const (
	JumpNever    Jump = "Never"
	JumpFromZero Jump = "FromZero"
	JumpFloor    Jump = "Floor"
	JumpAlways   Jump = "Always"
)

// AutoscalerPolicySpec is what a policy says.
//
// +kubebuilder:validation:XValidation:rule="self.minReplicas <= self.maxReplicas",message="minReplicas is more than maxReplicas"
// +kubebuilder:validation:XValidation:rule="self.via == oldSelf.via",message="via cannot be changed; make a new policy"
// +kubebuilder:validation:XValidation:rule="has(self.signals) || has(self.schedules)",message="a policy needs a signal or a schedule"
// +kubebuilder:validation:XValidation:rule="self.via != 'Scale' || self.jump == 'Never'",message="jump is for via: KEDA; with via: Scale every change is at once"
// +kubebuilder:validation:XValidation:rule="self.via != 'KEDA' || !has(self.steps) || ((!has(self.steps.up) || self.steps.up.period >= duration('15s')) && (!has(self.steps.down) || self.steps.down.period >= duration('15s')))",message="the HorizontalPodAutoscaler looks every 15 s: no period of a step below that"
type AutoscalerPolicySpec struct {
	// mode is Enforce, or Observe to compute and report everything and write nothing.
	// +kubebuilder:default=Enforce
	// +optional
	Mode Mode `json:"mode,omitempty"`
	// via is which hand writes replicas: KEDA, for a workload with a ScaledObject whose trigger
	// says "policy: NAME", or Scale, for a workload that nothing else scales.
	// +required
	Via Via `json:"via"`
	// scaleTargetRef is the workload: anything with a scale subresource, in the same namespace.
	// +required
	ScaleTargetRef TargetRef `json:"scaleTargetRef"`
	// minReplicas is the least number of replicas.
	// +kubebuilder:default=0
	// +kubebuilder:validation:Minimum=0
	// +optional
	MinReplicas int32 `json:"minReplicas"`
	// maxReplicas is the largest number of replicas.
	// +kubebuilder:validation:Minimum=1
	// +required
	MaxReplicas int32 `json:"maxReplicas"`
	// signals are what is measured: queues, Prometheus, an HTTP endpoint, counts of logs.
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=16
	// +listType=map
	// +listMapKey=name
	// +optional
	Signals []Signal `json:"signals,omitempty"`
	// formula computes the wanted replicas from the signals, by name. need.NAME is what one
	// signal alone would need: its number by its target. Further names are current and ready,
	// which are replicas, and the functions min, max, ceil, floor and abs. Without a formula the
	// largest need counts.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=1024
	// +optional
	Formula string `json:"formula,omitempty"`
	// schedules are windows of time with a floor, a ceiling or an exact number of replicas.
	// +kubebuilder:validation:MaxItems=32
	// +listType=map
	// +listMapKey=name
	// +optional
	Schedules []Schedule `json:"schedules,omitempty"`
	// limiters freeze the replicas or lower the ceiling while a condition holds.
	// +kubebuilder:validation:MaxItems=8
	// +listType=map
	// +listMapKey=name
	// +optional
	Limiters []Limiter `json:"limiters,omitempty"`
	// steps make changes gradual.
	// +optional
	Steps *Steps `json:"steps,omitempty"`
	// jump is when replicas are raised at once to the decided number, without the steps of the
	// HorizontalPodAutoscaler: FromZero when the workload starts, Floor also when the floor of a
	// schedule is above the replicas, Always at every rise.
	// +kubebuilder:default=Never
	// +optional
	Jump Jump `json:"jump,omitempty"`
	// busyPods keeps pods that work when replicas fall.
	// +optional
	BusyPods *BusyPods `json:"busyPods,omitempty"`
}

// TargetRef names the workload of a policy.
//
// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="the target cannot be changed; make a new policy"
// +kubebuilder:validation:XValidation:rule="!(self.kind in ['AutoscalerPolicy', 'ScaledObject', 'HorizontalPodAutoscaler'])",message="name the workload, such as a Deployment"
type TargetRef struct {
	// apiVersion of the workload, such as apps/v1.
	// +kubebuilder:validation:MaxLength=128
	// +kubebuilder:default="apps/v1"
	// +optional
	APIVersion string `json:"apiVersion"`
	// kind of the workload, such as Deployment.
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:default=Deployment
	// +optional
	Kind string `json:"kind"`
	// name of the workload.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +required
	Name string `json:"name"`
}
