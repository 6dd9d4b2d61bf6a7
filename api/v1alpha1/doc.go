// Package v1alpha1 has the types of AutoscalerPolicy, a custom resource that says how many
// replicas a workload has: by signals, schedules, limiters and steps.
//
// The custom resource definition in the Helm chart is generated from these types; what they
// document is what kubectl explain shows.
//
// +kubebuilder:object:generate=true
// +groupName=backlog-scaler.github.io
package v1alpha1
