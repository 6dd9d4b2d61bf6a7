package v1alpha1

// LimiterAction is what a limiter does while its condition holds.
// +kubebuilder:validation:Enum=Freeze;Ceiling
type LimiterAction string

// The actions of a limiter.
const (
	// Freeze keeps the replicas from rising.
	Freeze LimiterAction = "Freeze"
	// LowerCeiling lowers the ceiling.
	LowerCeiling LimiterAction = "Ceiling"
)

// Limiter freezes the replicas or lowers the ceiling while a condition holds.
//
// +kubebuilder:validation:XValidation:rule="self.action == 'Ceiling' ? has(self.ceiling) : !has(self.ceiling)",message="ceiling goes with action: Ceiling"
type Limiter struct {
	// name of the limiter.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	// +required
	Name string `json:"name"`
	// when is the condition that begins it, over the names of formula, such as "dbLoad > 0.9".
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=512
	// +required
	When string `json:"when"`
	// until is the condition that ends it, such as "dbLoad < 0.7"; that when does not hold,
	// unless given.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=512
	// +optional
	Until string `json:"until,omitempty"`
	// action is Freeze or Ceiling.
	// +kubebuilder:default=Freeze
	// +optional
	Action LimiterAction `json:"action,omitempty"`
	// ceiling is a formula for the largest number of replicas, such as "current * 0.8". It is
	// computed when the limiter begins.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=512
	// +optional
	Ceiling string `json:"ceiling,omitempty"`
}

// Steps make changes gradual.
type Steps struct {
	// up are the steps of growth.
	// +optional
	Up *StepUp `json:"up,omitempty"`
	// down are the steps of shrinking.
	// +optional
	Down *StepDown `json:"down,omitempty"`
}

// StepUp bounds how fast replicas grow.
//
// +kubebuilder:validation:XValidation:rule="has(self.pods) || has(self.percent)",message="pods, percent or both"
type StepUp struct {
	// first is the size of the first step, from zero.
	// +kubebuilder:validation:Minimum=1
	// +optional
	First *int32 `json:"first,omitempty"`
	// pods is the size of a step. Of pods and percent the larger counts.
	// +kubebuilder:validation:Minimum=1
	// +optional
	Pods *int32 `json:"pods,omitempty"`
	// percent is the size of a step in percent of the replicas.
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=10000
	// +optional
	Percent *int32 `json:"percent,omitempty"`
	// period is the least time between two steps.
	// +kubebuilder:default="30s"
	// +optional
	Period Duration `json:"period,omitempty"`
	// readyPercent is how many of the replicas have to be available before the next step.
	// +kubebuilder:default=100
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=100
	// +optional
	ReadyPercent int32 `json:"readyPercent"`
	// stuckAfter is for how long a step may wait for that, before the condition Limited says
	// StepStuck. The replicas stay as they are.
	// +kubebuilder:default="10m"
	// +optional
	StuckAfter Duration `json:"stuckAfter,omitempty"`
}

// StepDown bounds how fast replicas shrink.
//
// +kubebuilder:validation:XValidation:rule="has(self.pods) || has(self.percent)",message="pods, percent or both"
type StepDown struct {
	// pods is the size of a step. Of pods and percent the larger counts.
	// +kubebuilder:validation:Minimum=1
	// +optional
	Pods *int32 `json:"pods,omitempty"`
	// percent is the size of a step in percent of the replicas.
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=100
	// +optional
	Percent *int32 `json:"percent,omitempty"`
	// period is the least time between two steps.
	// +kubebuilder:default="1m"
	// +optional
	Period Duration `json:"period,omitempty"`
	// hold is for how long the largest wanted number still counts.
	// +kubebuilder:default="5m"
	// +optional
	Hold Duration `json:"hold,omitempty"`
}
