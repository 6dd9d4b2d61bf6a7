package decision

import "github.com/backlog-scaler/backlog-scaler/internal/backlog"

// maxUrgency bounds how much more a waiting message counts because of its age.
const maxUrgency = 4

// count starts the value with the work of all queues, without weights.
//
// Worked: drain time 60 s, 1,200 waiting, 3 in flight, 10 more each second and, with
// a MaxAge of 30 s, the oldest waiting for 45 s: 1,203 counted, 1,803 because each of
// the 1,200 counts 1.5 times, and 2,403 with what arrives in 60 s.
//
// Of several queues, target 5 and weights critical=3: 20 messages wait in critical and 10
// in low: 30 counted, 70 weighted. With the largest in place of the sum it is 60.
func (m *maker) count(spec *Spec, seen *backlog.Observation) {
	latest := &seen.Latest
	m.matchSteps = maxMatchSteps * countQueues(seen)
	if len(latest.Parts) == 0 {
		work := spec.Count.of(latest)
		m.only = Part{Weight: 1, Arrivals: m.arrivals(spec, seen, ""), Value: work}
		m.Value = min(work, MaxValue)
		return
	}
	m.Parts = make([]Part, len(latest.Parts))
	var total float64
	for i := range latest.Parts {
		name, r := latest.Parts[i].Queue, &latest.Parts[i].Reading
		work := spec.Count.of(r)
		m.Parts[i] = Part{Queue: name, Count: work, Weight: m.weight(spec, name), Arrivals: m.arrivals(spec, seen, name), Value: work, Paused: r.Paused}
		total += work
	}
	m.Value = min(total, MaxValue)
}

// arrivals returns the rate of arrivals of a queue, the only one if its name is empty, and
// adds it to Drain.
func (m *maker) arrivals(spec *Spec, seen *backlog.Observation, queue string) float64 {
	if spec.DrainTime == 0 {
		return 0
	}
	r := spec.rate(seen, queue)
	m.addRate(spec, r)
	return r.value()
}

// weighted is the sum of the weighted queues.
func (m *maker) weighted() float64 {
	var total float64
	for i := range m.queueCount() {
		part := m.part(i)
		total += part.Weight * part.Value
	}
	return total
}

// combined is the sum of the weighted queues, or the largest of them.
func (m *maker) combined(spec *Spec) float64 {
	var total float64
	for i := range m.queueCount() {
		part := m.part(i)
		total = spec.join(total, part.Weight*part.Value)
	}
	return total
}

// withoutPaused counts only work in flight of the queues that deliver nothing.
func (m *maker) withoutPaused(spec *Spec, latest *backlog.Reading) float64 {
	for i := range m.queueCount() {
		if part, r := m.queue(latest, i); r.Paused {
			part.Value = inFlight(r)
		}
	}
	return m.combined(spec)
}

// withAge counts waiting messages up to four times by the age of the oldest. It starts the
// activation value, which has no arrivals.
func (m *maker) withAge(spec *Spec, latest *backlog.Reading) float64 {
	for i := range m.queueCount() {
		part, r := m.queue(latest, i)
		if !r.Paused {
			part.Value += spec.Count.waiting(r) * (spec.urgency(latest, r) - 1)
		}
		m.activationValue = spec.join(m.activationValue, m.limited(spec, part, r))
	}
	return m.combined(spec)
}

// withArrivals counts what arrives within the drain time.
func (m *maker) withArrivals(spec *Spec, latest *backlog.Reading) float64 {
	for i := range m.queueCount() {
		if part, r := m.queue(latest, i); !r.Paused {
			part.Value += part.Arrivals * spec.DrainTime.Seconds()
		}
	}
	return m.combined(spec)
}

// withQueueLimits leaves out what more workers do not help in single queues of several. It
// completes the values of the queues.
func (m *maker) withQueueLimits(spec *Spec, latest *backlog.Reading) float64 {
	var total float64
	for i := range m.queueCount() {
		part, r := m.queue(latest, i)
		value := m.limited(spec, part, r)
		part.WorkerLimited, part.Value = value < part.Weight*part.Value, value
		total = spec.join(total, value)
	}
	return total
}

// limited is the weighted value of a queue, bounded by its workers if it is one of several.
// The limit of an only queue comes last, with the other bounds.
func (m *maker) limited(spec *Spec, part *Part, r *backlog.Reading) float64 {
	if m.Parts == nil {
		return part.Weight * part.Value
	}
	return spec.limit(part.Weight*part.Value, r)
}

// queueCount returns the number of queues.
func (m *maker) queueCount() int { return max(1, len(m.Parts)) }

// part returns one of the queues. Until withQueueLimits its Value is the work without the
// weight, after the adjustments so far.
func (m *maker) part(i int) *Part {
	if m.Parts == nil {
		return &m.only
	}
	return &m.Parts[i]
}

// queue returns one of the queues, with its reading.
func (m *maker) queue(latest *backlog.Reading, i int) (*Part, *backlog.Reading) {
	if m.Parts == nil {
		return &m.only, latest
	}
	return &m.Parts[i], &latest.Parts[i].Reading
}

// urgency is the factor of a waiting message: age / MaxAge of the oldest, from 1 to 4. With
// a drain time D the HPA then wants as many replicas as finish the waiting messages within
// D * MaxAge / age.
func (s *Spec) urgency(whole, r *backlog.Reading) float64 {
	if s.MaxAge == 0 || r.Oldest.Kind == backlog.AgeUnknown {
		return 1
	}
	age := whole.At.Sub(r.Oldest.Since).Seconds() / s.MaxAge.Seconds()
	return min(max(age, 1), maxUrgency)
}

// join adds the value of one more queue to that of others.
func (s *Spec) join(others, value float64) float64 {
	if s.Largest {
		return max(others, value)
	}
	return others + value
}

// limit bounds a value by the workers that can help a queue.
func (s *Spec) limit(value float64, r *backlog.Reading) float64 {
	if r.MaxUseful <= 0 {
		return value
	}
	return min(value, float64(r.MaxUseful)*s.Target)
}
