package v1alpha1

// BusySource is how the scaler knows which pods are busy.
// +kubebuilder:validation:Enum=Queue;Annotation;HTTP
type BusySource string

// How the scaler knows which pods are busy.
const (
	BusyFromQueue      BusySource = "Queue"
	BusyFromAnnotation BusySource = "Annotation"
	BusyFromHTTP       BusySource = "HTTP"
)

// Keep is how strictly busy pods are kept.
// +kubebuilder:validation:Enum=Prefer;Strict
type Keep string

// How strictly busy pods are kept.
const (
	// Prefer takes idle pods first.
	Prefer Keep = "Prefer"
	// Strict takes no more pods than are idle.
	Strict Keep = "Strict"
)

// BusyPods keeps pods that work when replicas fall.
//
// +kubebuilder:validation:XValidation:rule="(self.from == 'HTTP') == has(self.http)",message="http goes with from: HTTP"
// +kubebuilder:validation:XValidation:rule="(self.from == 'Annotation') == has(self.annotation)",message="annotation goes with from: Annotation"
// +kubebuilder:validation:XValidation:rule="self.from == 'Queue' || !has(self.signal)",message="signal goes with from: Queue"
type BusyPods struct {
	// from is how the scaler knows which pods are busy: Queue, for frameworks that write the
	// name of the host of a job; Annotation, which the worker sets on its own pod; HTTP, which
	// asks the pod.
	// +required
	From BusySource `json:"from"`
	// keep is Prefer, which takes idle pods first, or Strict, which takes no more pods than are
	// idle.
	// +kubebuilder:default=Prefer
	// +optional
	Keep Keep `json:"keep,omitempty"`
	// giveUpAfter bounds for how long Strict keeps more pods than are wanted.
	// +kubebuilder:default="10m"
	// +optional
	GiveUpAfter Duration `json:"giveUpAfter,omitempty"`
	// annotation of a pod whose value "true" makes it busy.
	// +kubebuilder:validation:MaxLength=317
	// +optional
	Annotation string `json:"annotation,omitempty"`
	// signal is the name of the signal whose queue shows which pods are busy. It is needed only if
	// several signals could.
	// +kubebuilder:validation:MaxLength=32
	// +kubebuilder:validation:Pattern=`^[a-z][a-zA-Z0-9]*$`
	// +optional
	Signal string `json:"signal,omitempty"`
	// http is where each pod answers whether it is busy.
	// +optional
	HTTP *BusyHTTP `json:"http,omitempty"`
}

// BusyHTTP is where a pod answers whether it is busy.
type BusyHTTP struct {
	// port of the pod.
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=65535
	// +required
	Port int32 `json:"port"`
	// path of the request, such as /busy.
	// +kubebuilder:validation:MaxLength=256
	// +kubebuilder:validation:Pattern=`^/[^\s]*$`
	// +required
	Path string `json:"path"`
}
