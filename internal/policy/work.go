package policy

import (
	"fmt"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
)

// maxUrgency bounds how much more a waiting message counts because of its age.
const maxUrgency = 4

// A stage says how far the value of a queue is worked out.
type stage uint8

const (
	counted stage = iota
	unpaused
	aged
	complete // with what arrives
)

// work is what one queue asks for, without its weight. at is when it was read.
//
// Worked: drain time 60 s, 1,200 waiting, 3 in flight, 10 more each second and, with
// a MaxAge of 30 s, the oldest waiting for 45 s: 1,203 counted, 1,803 because each of
// the 1,200 counts 1.5 times, and 2,403 with what arrives in 60 s.
func (s Spec) work(r *backlog.Reading, urgency, arrivals float64, upTo stage) float64 {
	if r.Paused && upTo >= unpaused {
		return inFlight(r)
	}
	value := s.Count.of(r)
	if upTo >= aged {
		value += s.Count.waiting(r) * (urgency - 1)
	}
	if upTo >= complete {
		value += arrivals * s.DrainTime.Seconds()
	}
	return value
}

// urgency is how many times a waiting message counts: age / MaxAge of the oldest,
// from 1 to 4. With a drain time D the HPA then wants as many replicas as get what
// waits done within D * MaxAge / age.
func (s Spec) urgency(whole, r *backlog.Reading) float64 {
	if s.MaxAge == 0 || r.Oldest.Kind == backlog.AgeUnknown {
		return 1
	}
	age := whole.At.Sub(r.Oldest.Since).Seconds() / s.MaxAge.Seconds()
	return min(max(age, 1), maxUrgency)
}

// one works out the value of a trigger with one queue, and returns it without what
// arrives.
func (d *Decision) one(spec Spec, seen *backlog.Observation) (there float64) {
	latest := &seen.Latest
	var arrivals float64
	if spec.DrainTime > 0 {
		r := spec.rate(seen, "")
		d.drain(spec, r)
		arrivals = r.value()
	}
	urgency := spec.urgency(latest, latest)
	d.Value = min(spec.work(latest, urgency, arrivals, counted), MaxValue)
	d.change(Paused, spec.work(latest, urgency, arrivals, unpaused))
	there = spec.work(latest, urgency, arrivals, aged)
	d.change(Aged, there)
	d.change(Arriving, spec.work(latest, urgency, arrivals, complete))
	return there
}

// several works out the value of a trigger with several queues, and those of the
// queues. It returns the value without what arrives.
//
// Worked: target 5 and weights critical=3. 20 messages wait in critical and 10 in
// low: 30 counted, 70 weighted. With the largest in place of the sum it is 60.
func (d *Decision) several(spec Spec, seen *backlog.Observation) (there float64) {
	latest := &seen.Latest
	d.Parts = make([]Part, len(latest.Parts))
	var weighted, limited float64
	var upTo [complete + 1]float64
	for i := range latest.Parts {
		r := &latest.Parts[i].Reading
		part := Part{Queue: latest.Parts[i].Queue, Count: spec.Count.of(r), Paused: r.Paused}
		part.Weight = d.weight(spec, part.Queue)
		if spec.DrainTime > 0 {
			arrivals := spec.rate(seen, part.Queue)
			d.drain(spec, arrivals)
			part.Arrivals = arrivals.value()
		}
		d.Value += part.Count
		weighted += part.Weight * part.Count
		urgency := spec.urgency(latest, r)
		for s := range upTo {
			part.Value = part.Weight * spec.work(r, urgency, part.Arrivals, stage(s))
			upTo[s] = spec.join(upTo[s], part.Value)
			if stage(s) == aged {
				there = spec.join(there, spec.limit(part.Value, r))
			}
		}
		share := spec.limit(part.Value, r)
		part.Capped, part.Value = share < part.Value, share
		limited = spec.join(limited, share)
		d.Parts[i] = part
	}
	d.Value = min(d.Value, MaxValue)
	d.change(Weighted, weighted)
	d.change(Largest, upTo[counted])
	d.change(Paused, upTo[unpaused])
	d.change(Aged, upTo[aged])
	d.change(Arriving, upTo[complete])
	d.change(Capped, limited)
	return there
}

// past is what an earlier reading asked for up to a stage, with the arrivals and limits
// of now.
func (d *Decision) past(spec Spec, latest, earlier *backlog.Reading, upTo stage) float64 {
	if len(earlier.Parts) == 0 {
		return spec.work(earlier, 1, d.Drain.Arrivals, upTo)
	}
	var total float64
	place := 0
	for i := range earlier.Parts {
		queue, r := earlier.Parts[i].Queue, &earlier.Parts[i].Reading
		found, at := reading(latest, queue, place)
		if found == nil {
			total = spec.join(total, spec.limit(d.weight(spec, queue)*spec.work(r, 1, 0, upTo), r))
			continue
		}
		place = at + 1
		now := &d.Parts[at]
		total = spec.join(total, spec.limit(now.Weight*spec.work(r, 1, now.Arrivals, upTo), found))
	}
	return total
}

// join adds the value of one more queue to that of others.
func (s Spec) join(others, value float64) float64 {
	if s.Largest {
		return max(others, value)
	}
	return others + value
}

// weighing is how many steps of matching a decision may still take; nil where nothing is
// weighed.
type weighing struct{ left int }

// maxWeighing is how many steps one queue may take on average. A hundred plain names take
// some five hundred.
const maxWeighing = 4000

// errCostlyWeights are patterns in the weights that take too long to match with the queues.
var errCostlyWeights = fmt.Errorf("%w: %w: weights take too long to match with the queues, want fewer or simpler patterns", ErrUnknown, backlog.ErrExhausted)

// weigh returns what a decision about an observation may take.
func weigh(seen *backlog.Observation) *weighing {
	queues := len(seen.Latest.Parts)
	for i := range seen.Past {
		queues += len(seen.Past[i].Parts)
	}
	return &weighing{left: maxWeighing * queues}
}

// weight is that of a queue; 1 once the decision has taken too long.
func (d *Decision) weight(spec Spec, queue string) float64 {
	for _, w := range spec.Weights {
		if d.weighing.left < 0 {
			return 1
		}
		matches, steps := backlog.MatchSteps(w.Queues, queue)
		d.weighing.left -= steps
		if matches {
			return w.Value
		}
	}
	return 1
}

// limit is a value, or what as many workers as can help a queue would get.
func (s Spec) limit(value float64, r *backlog.Reading) float64 {
	if r.MaxUseful <= 0 {
		return value
	}
	return min(value, float64(r.MaxUseful)*s.Target)
}
