package policy

import (
	"cmp"
	"time"
)

// preferFor is how long Prefer waits until pods show their deletion costs.
const preferFor = 5 * time.Second

// Pods are the pods of a workload, without those that are being deleted.
type Pods struct {
	// Known reports that All is complete. Otherwise every pod may be busy.
	Known bool
	// Ordered reports that the pod with the highest ordinal is deleted first, as in a
	// StatefulSet.
	Ordered bool
	All     []Pod
}

// A Pod is one pod, as its API object shows it.
type Pod struct {
	// Busy reports that the pod works, or that this could not be read.
	Busy bool
	// Scheduled, Running and Ready are its node, its phase and its condition.
	Scheduled, Running, Ready bool
	// DeletionCost is its annotation controller.kubernetes.io/pod-deletion-cost.
	DeletionCost int32
	// Ordinal is its number in a StatefulSet.
	Ordinal int32
}

// compareDeletion orders pods by what a ReplicaSet deletes first: pods that are not scheduled,
// not running or not ready, then those with a lower deletion cost. Ties are decided by more,
// which is not known here:
// https://github.com/kubernetes/kubernetes/blob/v1.36.0/pkg/controller/controller_utils.go#L843
func (p Pods) compareDeletion(a, b *Pod) int {
	if p.Ordered {
		return cmp.Compare(b.Ordinal, a.Ordinal)
	}
	return cmp.Or(
		compareBool(a.Scheduled, b.Scheduled), compareBool(a.Running, b.Running), compareBool(a.Ready, b.Ready),
		cmp.Compare(a.DeletionCost, b.DeletionCost),
	)
}

// compareBool orders false before true.
func compareBool(a, b bool) int {
	switch {
	case a == b:
		return 0
	case b:
		return -1
	default:
		return 1
	}
}

// Spare returns how many pods can be deleted without a busy one among them: those that are
// deleted before the first busy one, whatever decides ties.
func (p Pods) Spare() int {
	var first *Pod
	for i := range p.All {
		if pod := &p.All[i]; pod.Busy && (first == nil || p.compareDeletion(pod, first) < 0) {
			first = pod
		}
	}
	if first == nil {
		return len(p.All)
	}
	spare := 0
	for i := range p.All {
		if p.compareDeletion(&p.All[i], first) < 0 {
			spare++
		}
	}
	return spare
}

// Busy returns how many pods are busy.
func (p Pods) Busy() int {
	busy := 0
	for i := range p.All {
		if p.All[i].Busy {
			busy++
		}
	}
	return busy
}

// kept returns how many replicas there have to be so that no busy pod is deleted: all of them
// if the pods are unknown.
func (m *maker) kept() int32 {
	pods := &m.target.Pods
	if !pods.Known {
		return m.target.Replicas
	}
	return min(m.target.Replicas, clamp(int64(len(pods.All)-pods.Spare())))
}

// spareBusy lets replicas fall only by pods that are known to be idle, for a time. The time
// begins again after each change of the replicas.
func (m *maker) spareBusy() {
	busy, since := m.policy.spec.Busy, m.State.Sparing
	m.State.Sparing = time.Time{}
	m.Falling = m.Replicas < m.target.Replicas
	if busy == nil || !m.Falling {
		return
	}
	kept := m.kept()
	if kept <= m.Replicas {
		return
	}
	if since.IsZero() {
		since = m.now
	}
	since = later(since, m.changed())
	m.State.Sparing = since
	limit := busy.GiveUpAfter
	// The workload stays active for as long as a strict policy would spare busy pods.
	m.sparing = limit == 0 || m.now.Before(since.Add(limit))
	if m.sparing && limit > 0 {
		m.changesAt(since.Add(limit))
	}
	if busy.Keep == Prefer && (limit == 0 || limit > preferFor) {
		limit = preferFor
	}
	if limit > 0 && !m.now.Before(since.Add(limit)) {
		m.note(ReasonBusyGivenUp, "")
		return
	}
	if limit > 0 {
		m.changesAt(since.Add(limit))
	}
	m.adjust(ReasonBusy, "", kept)
}
