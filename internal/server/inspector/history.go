package inspector

import (
	"math"
	"time"
)

const (
	// Samples is how many moments the history of a trigger has: ten minutes in all.
	Samples = 60
	// SampleTime is the time between two samples.
	SampleTime = 10 * time.Second
)

// slotOf returns the number of the sample that a moment belongs to.
func slotOf(now time.Time) int64 { return now.Unix() / int64(SampleTime/time.Second) }

// A history is what a list remembers of a trigger or a policy while a client looks: the largest value of each
// sample. A trigger that does not change takes no memory.
type history struct {
	// from is the first slot, and last the slot of the last sample.
	from, last int64
	// constant is the sample of a trigger that has not changed; rings is nil then.
	constant sample
	rings    *[Samples]sample
}

// A sample is what a trigger had at one time. NaN is unknown.
type sample struct{ value, wants, floor, ceiling float32 }

func unknownSample() sample {
	nan := float32(math.NaN())
	return sample{nan, nan, nan, nan}
}

// sampleOf returns the sample of a row.
func sampleOf(r *Row) sample {
	s := unknownSample()
	if r.Decided {
		s.value, s.wants = float32(r.Value), float32(r.Wants)
	}
	switch {
	case r.Decided && r.Policy != "":
		s.floor, s.ceiling = float32(r.Floor), float32(r.Ceiling)
	case r.Known && r.MaxUseful > 0:
		s.ceiling = float32(r.MaxUseful)
	}
	return s
}

// same reports whether two samples are equal; unknown equals unknown.
func (s sample) same(other sample) bool {
	equal := func(a, b float32) bool { return a == b || a != a && b != b }
	return equal(s.value, other.value) && equal(s.wants, other.wants) && equal(s.floor, other.floor) && equal(s.ceiling, other.ceiling)
}

// begin starts a history.
func (h *history) begin(slot int64) {
	*h = history{from: slot, last: slot - 1}
}

// add adds a sample to a slot. In one slot the larger value counts, and a known one more than an
// unknown one.
func (h *history) add(slot int64, s sample) {
	switch {
	case h.last < h.from:
		h.constant, h.last = s, slot
		return
	case h.rings == nil && h.constant.same(s):
		h.last = slot
		return
	case h.rings == nil:
		h.rings = new([Samples]sample)
		for i := max(h.from, h.last-Samples+1); i <= h.last; i++ {
			h.rings[i%Samples] = h.constant
		}
	}
	for i := max(h.last+1, slot-Samples+1); i < slot; i++ {
		h.rings[i%Samples] = unknownSample()
	}
	at := &h.rings[slot%Samples]
	if slot > h.last || math.IsNaN(float64(at.value)) || s.value >= at.value {
		*at = s
	}
	h.last = max(h.last, slot)
}

// A Sample is what a trigger or a policy had at one time. NaN is unknown, or a bound that there is not.
// The bounds are those of the policy. The ceiling of a trigger without one is the number of workers
// beyond which more do not help, such as that of partitions.
type Sample struct {
	At                           time.Time
	Value, Wants, Floor, Ceiling float64
}

// samples returns the history, the oldest sample first.
func (h *history) samples() []Sample {
	var all []Sample
	for i := max(h.from, h.last-Samples+1); i <= h.last; i++ {
		s := h.constant
		if h.rings != nil {
			s = h.rings[i%Samples]
		}
		all = append(all, Sample{
			At:    time.Unix(i*int64(SampleTime/time.Second), 0),
			Value: float64(s.value), Wants: float64(s.wants), Floor: float64(s.floor), Ceiling: float64(s.ceiling),
		})
	}
	return all
}
