package kube

import "github.com/backlog-scaler/backlog-scaler/internal/policies"

// A Runner decides on policies. Its methods do not wait for I/O and are safe for concurrent use.
type Runner interface {
	// Set adds or replaces a policy.
	Set(policies.Policy)
	// Remove removes a policy. One that is not known is no error.
	Remove(namespace, name string)
	// SetTarget replaces what is known of the workload of a policy. Before the first call nothing
	// is known of it, and there is no decision.
	SetTarget(namespace, name string, target policies.Target)
	// Synced reports that every policy of the cluster was set. Before that a policy that is not
	// known may exist.
	Synced()
	// Outcome returns what was decided last on a policy; false if nothing was decided since it
	// was set.
	Outcome(namespace, name string) (policies.Outcome, bool)
	// BusyWorkers returns whether each worker of the queue of a policy is busy, by its hostname, with
	// every busy one among them; or why that is not known. They are read while replicas are about to
	// fall; before that the error is policies.ErrWorkersUnread.
	BusyWorkers(namespace, name string) (map[string]bool, error)
	// Changed delivers policies whose outcome or busy workers have changed. It has one receiver.
	Changed() <-chan policies.Key
}
