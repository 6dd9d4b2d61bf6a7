package inspector

import (
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/policies"
)

// maxPolicyHistories bounds the policies that have a history; those beyond have none.
const maxPolicyHistories = 2000

// policySample returns the sample of a policy: what its signals want, the replicas that are reported,
// and the bounds.
func policySample(x *policies.Explanation) sample {
	s, o := unknownSample(), &x.Outcome
	if !x.Read() {
		return s
	}
	s.floor, s.ceiling = float32(o.Decision.Floor), float32(o.Decision.Ceiling)
	if o.Decided() {
		s.wants = float32(o.Replicas)
	}
	if o.Decided() && o.Decision.Demand.Reason != "" {
		s.value = float32(o.Decision.Demand.Replicas)
	}
	return s
}

// samplePolicies adds a sample to the history of each policy, once in each slot. mu is held.
func (h *hub) samplePolicies(slot int64) {
	if h.policies == nil || h.policySlot == slot {
		return
	}
	h.policySlot = slot
	known := make(map[policies.Key]*history, len(h.policyHistories))
	for _, key := range h.policies.Keys() {
		x, found := h.policies.Explain(key)
		if !found || len(known) == maxPolicyHistories {
			continue
		}
		kept := h.policyHistories[key]
		if kept == nil {
			kept = new(history)
			kept.begin(slot)
		}
		kept.add(slot, policySample(&x))
		known[key] = kept
	}
	h.policyHistories = known
}

// PolicyHistory returns the last ten minutes of a policy, of those in which a client looked: Value is
// what its signals want, in replicas. The oldest sample is the first; there is none before the first
// look.
func (i *Inspector) PolicyHistory(key policies.Key) []Sample {
	i.hub.mu.Lock()
	defer i.hub.mu.Unlock()
	i.hub.refresh(time.Now())
	if kept := i.hub.policyHistories[key]; kept != nil {
		return kept.samples()
	}
	return nil
}
