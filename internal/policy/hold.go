package policy

import (
	"slices"
	"time"
)

const (
	// maxHeld is how many wanted numbers a state keeps for a hold.
	maxHeld = 64
	// regularly is the longest time between two decisions while KEDA works: it polls each 30 s
	// unless a ScaledObject says otherwise, and the HorizontalPodAutoscaler each 15 s.
	regularly = time.Minute
)

// atLeastHeld returns the wanted number, or the largest one within the hold.
//
// If no decision was made within the hold, or within a minute if that is longer, larger numbers
// may be unseen. The current replicas then count as wanted now, so that a start never lets
// replicas fall.
func (m *maker) atLeastHeld() int32 {
	down := m.policy.spec.Down
	if down == nil || down.Hold == 0 {
		m.State.Held = nil
		return m.Replicas
	}
	oldest := m.now.Add(-down.Hold)
	held := slices.Clone(m.State.Held)
	if m.State.At.IsZero() || m.State.At.Before(m.now.Add(-max(down.Hold, regularly))) {
		held = append(held[:0], Wanted{m.now, m.target.Replicas})
	}
	held = slices.DeleteFunc(held, func(w Wanted) bool { return !w.At.After(oldest) || w.Replicas <= m.Replicas })
	held = append(held, Wanted{m.now, m.Replicas})
	m.State.Held = thinned(held)
	largest := m.State.Held[0]
	if largest.Replicas > m.Replicas {
		m.changesAt(largest.At.Add(down.Hold))
	}
	return largest.Replicas
}

// thinned drops one number if there are too many: of the two that are closest in time the
// smaller one. The larger one then counts longer, by less than a 64th of the hold.
func thinned(held []Wanted) []Wanted {
	if len(held) <= maxHeld {
		return held
	}
	closest, least := 0, time.Duration(-1)
	for i := range len(held) - 1 {
		if apart := held[i+1].At.Sub(held[i].At); least < 0 || apart < least {
			closest, least = i, apart
		}
	}
	held[closest].At = held[closest+1].At
	return slices.Delete(held, closest+1, closest+2)
}
