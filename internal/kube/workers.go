package kube

import (
	"errors"

	corev1 "k8s.io/api/core/v1"

	"github.com/backlog-scaler/backlog-scaler/internal/policies"
)

// maxHostname is the length of a hostname. The kubelet truncates a longer one, so that several pods
// may have the same.
const maxHostname = 63

// queueWorkers are those that a queue shows, of one reading. The zero value knows nothing.
type queueWorkers struct {
	// busy has whether each worker is busy, by its hostname. Every busy one is in it if known is set;
	// err is why it is not.
	busy  map[string]bool
	known bool
	err   error
	// foreign reports that a busy worker is no pod of the namespace. Workers may then have other
	// names than their hosts, so that a pod which is not among them may be any of them.
	foreign bool
}

// readWorkers returns what the queue of a policy shows of its workers, with the pods of its
// namespace from the cache.
func (c *Controller) readWorkers(key policies.Key) queueWorkers {
	var w queueWorkers
	w.busy, w.err = c.runner.BusyWorkers(key.Namespace, key.Name)
	w.known = w.err == nil
	missing := make(map[string]bool)
	for host, busy := range w.busy {
		if busy {
			missing[host] = true
		}
	}
	if len(missing) == 0 {
		return w
	}
	for _, p := range c.pods.List(key.Namespace) {
		if host, known := hostnameOf(p); known {
			delete(missing, host)
		}
	}
	w.foreign = len(missing) > 0
	return w
}

// isBusy reports whether a pod is busy. What is not known is busy.
func (w *queueWorkers) isBusy(p *corev1.Pod) bool {
	host, known := hostnameOf(p)
	if !w.known || !known {
		return true
	}
	busy, listed := w.busy[host]
	if !listed {
		return w.foreign
	}
	return busy
}

// doubt returns why pods may count as busy that are not; empty if there is no reason that lasts. It
// names no worker, because that may be one of another namespace.
func (w *queueWorkers) doubt() string {
	switch {
	case errors.Is(w.err, policies.ErrWorkersUnread):
		return ""
	case w.err != nil:
		return "which pods are busy is not known: " + w.err.Error()
	case w.foreign:
		return "a busy worker is no pod of the namespace, so pods count as busy that the queue does not list"
	default:
		return ""
	}
}

// hostnameOf returns the hostname of a pod as its processes see it; false where that is another
// one than its name and the spec does not say which:
// https://kubernetes.io/docs/concepts/services-networking/dns-pod-service/#pod-s-hostname-and-subdomain-fields
func hostnameOf(p *corev1.Pod) (name string, known bool) {
	spec := &p.Spec
	switch {
	case spec.HostNetwork || spec.SetHostnameAsFQDN != nil && *spec.SetHostnameAsFQDN:
		return "", false
	case spec.HostnameOverride != nil && *spec.HostnameOverride != "":
		return *spec.HostnameOverride, true
	case spec.Hostname != "":
		return spec.Hostname, true
	}
	return p.Name, len(p.Name) <= maxHostname
}
