package v1alpha1

// WhenUnknown is what a signal counts as while it cannot be read.
// +kubebuilder:validation:Enum=Hold;Ignore;Value
type WhenUnknown string

// What an unknown signal counts as, after its last good value is older than maxStaleness.
const (
	// Hold leaves the replicas as they are.
	Hold WhenUnknown = "Hold"
	// Ignore leaves the signal out.
	Ignore WhenUnknown = "Ignore"
	// Value takes the value of the policy.
	Value WhenUnknown = "Value"
)

// Signal is one thing that is measured.
//
// +kubebuilder:validation:XValidation:rule="self.whenUnknown == 'Value' ? has(self.value) : !has(self.value)",message="value goes with whenUnknown: Value"
type Signal struct {
	// name of the signal in formulas and conditions: a letter, then letters and digits.
	// +kubebuilder:validation:MaxLength=32
	// +kubebuilder:validation:Pattern=`^[a-z][a-zA-Z0-9]*$`
	// +required
	Name string `json:"name"`
	// connection is one of the scaler's configuration.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	// +required
	Connection string `json:"connection"`
	// trigger has the keys that the metadata of a ScaledObject's trigger would have, such as
	// "list: orders" or "query: sum(rate(jobs_total[1m]))".
	// +kubebuilder:validation:MinProperties=1
	// +kubebuilder:validation:MaxProperties=32
	// +required
	Trigger map[string]TriggerValue `json:"trigger"`
	// target is the number of the signal for which one replica is needed. A queue may have its
	// target in its trigger.
	// +kubebuilder:validation:MaxLength=24
	// +kubebuilder:validation:Pattern=`^[0-9]+(\.[0-9]+)?$`
	// +optional
	Target string `json:"target,omitempty"`
	// interval is how often the signal is read where no event wakes it.
	// +kubebuilder:default="15s"
	// +kubebuilder:validation:XValidation:rule="self >= duration('1s')",message="at least 1s"
	// +optional
	Interval Duration `json:"interval,omitempty"`
	// maxStaleness is for how long the last good value counts while the signal cannot be read.
	// +kubebuilder:default="2m"
	// +optional
	MaxStaleness Duration `json:"maxStaleness,omitempty"`
	// whenUnknown is what counts afterwards: Hold leaves the replicas as they are, Ignore leaves
	// the signal out, Value takes value.
	// +kubebuilder:default=Hold
	// +optional
	WhenUnknown WhenUnknown `json:"whenUnknown,omitempty"`
	// value is the number that an unknown signal counts as.
	// +kubebuilder:validation:MaxLength=24
	// +kubebuilder:validation:Pattern=`^[0-9]+(\.[0-9]+)?$`
	// +optional
	Value string `json:"value,omitempty"`
}

// TriggerValue is the value of a key of a trigger.
// +kubebuilder:validation:MaxLength=2048
type TriggerValue string
