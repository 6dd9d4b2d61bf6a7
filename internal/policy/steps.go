package policy

import (
	"math"
	"time"
)

// stepUp lets replicas rise by one step, once the period has passed and the replicas of the last
// step are available. It never keeps them below minReplicas, nor below the end of a step that
// has begun. The step from zero does not wait. A step that is half done goes on, whatever has passed
// since: KEDA writes the first replica at once, and the HorizontalPodAutoscaler the others at its
// next sync, which may come after the period.
func (m *maker) stepUp() {
	up, current := m.policy.spec.Up, m.target.Replicas
	waited, begun := m.State.Waiting, m.State.Step
	m.State.Waiting, m.State.Step = time.Time{}, LastStep{}
	if up == nil || m.Replicas <= current {
		return
	}
	least := max(current, m.policy.spec.MinReplicas)
	if begun.From <= current && current < begun.To {
		least = max(least, begun.To)
		m.State.Step = begun
	}
	least = min(least, m.Replicas)
	if begun.From < current && current < begun.To {
		m.adjust(ReasonStepUp, "", least)
		return
	}
	if next := m.nextStep(up.Period); next.After(m.now) && current > 0 {
		m.changesAt(next)
		m.adjust(ReasonPeriod, "", least)
		return
	}
	if int64(m.target.Available)*100 < int64(up.ReadyPercent)*int64(current) {
		m.adjust(ReasonNotReady, "", least)
		m.waitForReady(up, waited)
		return
	}
	size := step(up.Pods, up.Percent, current, true)
	if current == 0 && up.First > 0 {
		size = int64(up.First)
	}
	m.adjust(ReasonStepUp, "", max(least, min(m.Replicas, clamp(int64(current)+size))))
	if begun.From != current || begun.To != m.Replicas {
		m.State.Step = LastStep{From: current, To: m.Replicas, At: m.now}
	}
}

// waitForReady notes since when growth waits. A wait begins again after each change.
func (m *maker) waitForReady(up *StepUp, since time.Time) {
	if since = later(since, m.changed()); since.IsZero() {
		since = m.now
	}
	m.State.Waiting = since
	if up.StuckAfter == 0 {
		return
	}
	if stuck := since.Add(up.StuckAfter); stuck.After(m.now) {
		m.changesAt(stuck)
	} else {
		m.note(ReasonStuck, "")
	}
}

// stepDown lets replicas fall by one step, once the period has passed. A step that has begun goes
// on, however many changes it takes: the HorizontalPodAutoscaler keeps one replica, so that a step
// to zero takes two, and it has rates of its own. It has also begun where no replica is gone yet: it
// was reported, and a higher number, which KEDA may get after it wrote the first, would undo the step.
func (m *maker) stepDown() {
	down, current := m.policy.spec.Down, m.target.Replicas
	begun := m.State.Fall
	m.State.Fall = LastStep{}
	if down == nil || down.Pods == 0 && down.Percent == 0 || m.Replicas >= current {
		return
	}
	if begun.To < current && current <= begun.From {
		m.State.Fall = begun
		m.adjust(ReasonStepDown, "", max(m.Replicas, begun.To))
		return
	}
	if next := m.nextStep(down.Period); next.After(m.now) {
		m.changesAt(next)
		m.adjust(ReasonPeriod, "", current)
		return
	}
	least := int64(current) - step(down.Pods, down.Percent, current, false)
	m.adjust(ReasonStepDown, "", max(m.Replicas, clamp(least)))
	m.State.Fall = LastStep{From: current, To: m.Replicas, At: m.now}
}

// hpaPatience is how long a step to zero waits for the HorizontalPodAutoscaler: two of its syncs.
const hpaPatience = 30 * time.Second

// leavesToHPA reports whether the HorizontalPodAutoscaler has yet to do its part of a step to zero,
// which is all but the last replica. The workload stays active until then. Otherwise KEDA writes
// zero, and an HPA that read the replicas before that overwrites it with one:
// https://github.com/kubernetes/kubernetes/blob/v1.36.3/pkg/controller/podautoscaler/horizontal.go#L940
// An HPA that may not or cannot go down keeps the workload active for hpaPatience.
func (m *maker) leavesToHPA() bool {
	until := m.State.Fall.At.Add(hpaPatience)
	if m.Replicas > 0 || m.target.Replicas <= 1 || m.State.Fall == (LastStep{}) || !until.After(m.now) {
		return false
	}
	m.changesAt(until)
	return true
}

// nextStep returns when the period after the last change ends; zero if no change is known.
func (m *maker) nextStep(period time.Duration) time.Time {
	if changed := m.changed(); !changed.IsZero() {
		return changed.Add(period)
	}
	return time.Time{}
}

// step returns the size of a step: the larger of pods and a part of the current replicas, at
// least 1. Upward the part is rounded up, downward it is rounded down.
func step(pods, percent, current int32, up bool) int64 {
	part := int64(current) * int64(percent)
	if up {
		part += 99
	}
	return max(int64(pods), part/100, 1)
}

// clamp returns the nearest number of replicas.
func clamp(n int64) int32 { return int32(min(max(n, 0), math.MaxInt32)) }
