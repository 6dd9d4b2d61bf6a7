// Package kube connects policies to Kubernetes. It and its subpackages are the only home of client-go.
//
// Every replica of the scaler watches AutoscalerPolicies and what they are about: workloads, the
// HorizontalPodAutoscalers and ScaledObjects next to them, and pods for policies that spare busy
// ones. It passes them on as plain values. Deciding needs no leader.
//
// One replica holds a Lease, and it alone writes:
//
//   - the status of policies, and events,
//   - the scale subresource of workloads with via: Scale,
//   - the scale subresource upward, to the number that is reported at that moment, for a jump,
//   - deletion costs of pods.
//
// A write of replicas carries the resource version that was read, so that none is lost. Another
// writer of the same workload is named in a condition and left alone.
package kube
