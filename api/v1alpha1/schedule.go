package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// Schedule is a window of time, recurring or once, and how many replicas there are in it.
//
// +kubebuilder:validation:XValidation:rule="has(self.start) != has(self.from)",message="either start (recurring) or from (once)"
// +kubebuilder:validation:XValidation:rule="has(self.start) ? has(self.end) != has(self.duration) && !has(self.until) : has(self.until) && !has(self.end) && !has(self.duration)",message="start goes with end or duration, from goes with until"
// +kubebuilder:validation:XValidation:rule="!has(self.start) || has(self.timeZone)",message="a recurring schedule needs a timeZone, for example Europe/Berlin"
// +kubebuilder:validation:XValidation:rule="!has(self.until) || !has(self.from) || self.from < self.until",message="from is not before until"
// +kubebuilder:validation:XValidation:rule="has(self.exact) ? !has(self.floor) && !has(self.ceiling) : has(self.floor) || has(self.ceiling)",message="floor, ceiling or both, or exact"
// +kubebuilder:validation:XValidation:rule="!has(self.floor) || !has(self.ceiling) || self.floor <= self.ceiling",message="floor is above ceiling"
type Schedule struct {
	// name of the schedule.
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:Pattern=`^[a-z0-9]([-a-z0-9]*[a-z0-9])?$`
	// +required
	Name string `json:"name"`
	// timeZone of start and end, such as Europe/Berlin.
	// +kubebuilder:validation:MaxLength=64
	// +kubebuilder:validation:Pattern=`^[A-Za-z]+([/_+-][A-Za-z0-9]+)*$`
	// +kubebuilder:validation:XValidation:rule="self != 'Local'",message="name a zone; Local would be the zone of the pod"
	// +optional
	TimeZone string `json:"timeZone,omitempty"`
	// start is when each window begins: five fields of cron, such as "0 7 * * 1-5". A time that
	// a change of the clock leaves out is the moment of the change.
	// +kubebuilder:validation:MaxLength=64
	// +kubebuilder:validation:Pattern=`^\S+( \S+){4}$`
	// +optional
	Start string `json:"start,omitempty"`
	// end is when each window ends: five fields of cron, the next time after start.
	// +kubebuilder:validation:MaxLength=64
	// +kubebuilder:validation:Pattern=`^\S+( \S+){4}$`
	// +optional
	End string `json:"end,omitempty"`
	// duration of each window, in place of end.
	// +kubebuilder:validation:XValidation:rule="self >= duration('1m') && self <= duration('744h')",message="between 1m and 31 days"
	// +optional
	Duration Duration `json:"duration,omitempty"`
	// from is when a single window begins.
	// +optional
	From *metav1.Time `json:"from,omitempty"`
	// until is when a single window ends.
	// +optional
	Until *metav1.Time `json:"until,omitempty"`
	// floor is the least number of replicas in the window.
	// +kubebuilder:validation:Minimum=0
	// +optional
	Floor *int32 `json:"floor,omitempty"`
	// ceiling is the largest number of replicas in the window.
	// +kubebuilder:validation:Minimum=0
	// +optional
	Ceiling *int32 `json:"ceiling,omitempty"`
	// exact is the number of replicas in the window: floor and ceiling in one.
	// +kubebuilder:validation:Minimum=0
	// +optional
	Exact *int32 `json:"exact,omitempty"`
	// ramp is for how long the floor rises before the window begins, so that it is reached when
	// it begins.
	// +optional
	Ramp Duration `json:"ramp,omitempty"`
	// priority decides between windows that overlap: for each bound those with the highest
	// priority count, and of these the largest floor and the smallest ceiling.
	// +kubebuilder:default=0
	// +kubebuilder:validation:Minimum=-1000
	// +kubebuilder:validation:Maximum=1000
	// +optional
	Priority int32 `json:"priority,omitempty"`
}
