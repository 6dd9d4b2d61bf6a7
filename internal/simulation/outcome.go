package simulation

import (
	"math"
	"slices"
	"time"
)

// An Outcome is what became of the messages and of the replicas in one run.
type Outcome struct {
	// Messages is the number of messages that count, and Unfinished that of those which still
	// waited at the end: they count as having waited until then.
	Messages, Unfinished int
	// P50, P95, P99 and Longest are how long messages waited, from their arrival until a worker
	// took them for the last time.
	P50, P95, P99, Longest time.Duration
	// WithinGoal is the part of the messages that waited no longer than the goal.
	WithinGoal float64
	// MostWaiting and MeanWaiting are the number of messages that waited, the latter over time.
	MostWaiting, MeanWaiting float64
	// ReplicaSeconds is the time integral of spec.replicas: what is paid for. PodSeconds has the
	// pods that were stopping as well.
	ReplicaSeconds, PodSeconds float64
	// Busy is the part of the paid time in which replicas worked.
	Busy float64
	// MostReplicas is the largest number of replicas, and AtMost the time at the largest number
	// that is allowed.
	MostReplicas int32
	AtMost       time.Duration
	// Changes is how often the replicas changed, Reversals how often they changed direction within
	// ten minutes, and FromZero how often they left zero.
	Changes, Reversals, FromZero int
	// Killed is the number of messages that a stopped replica did not finish within its grace
	// period, and KilledPods that of these replicas.
	Killed, KilledPods int
	// Length is the length of the run without the beginning that is left out.
	Length time.Duration
	// Waits has the wait at each percentile from 0 to 100.
	Waits [101]time.Duration
	// Series are values over time.
	Series Series
	// waits are all waits, ascending, if they are kept.
	waits []time.Duration
}

// Series are values over time, for a chart. Each has one number for each Step.
type Series struct {
	Step time.Duration
	// Arrivals are per second. Waiting and Oldest, in seconds, are the largest of their step;
	// Replicas and Ready the mean.
	Arrivals, Waiting, Oldest, Replicas, Ready []float64
}

// The number of steps of a Series: as many as a chart has room for. What comes after the trace has
// room for as many again.
const (
	steps    = 300
	maxSteps = 2 * steps
)

// reversalWithin is the time within which two changes in opposite directions are a reversal.
const reversalWithin = 10 * time.Minute

// A tally adds up an Outcome.
type tally struct {
	goal time.Duration
	// keep keeps all waits in the outcome.
	keep bool
	// from is when counting begins: what arrives before it is left out.
	from     time.Duration
	most     int32
	now      time.Duration
	messages []message
	// took is when each message was last taken; negative while it waits.
	took []time.Duration

	killed           int
	killedPods       int
	workSeconds      float64
	replicaSeconds   float64
	podSeconds       float64
	waitingSeconds   float64
	mostWaiting      int
	mostReplicas     int32
	atMost           time.Duration
	changes          int
	reversals        int
	fromZero         int
	direction        int
	lastChange       time.Duration
	series           Series
	seriesTime       []float64
	replicas         int32
	available, extra int
	waiting          int
}

func newTally(load *Load, options Options, most int32) *tally {
	t := &tally{
		goal: options.Goal, keep: options.keepWaits, from: options.From, most: most, messages: load.messages, took: make([]time.Duration, len(load.messages)),
	}
	for i := range t.took {
		t.took[i] = -1
	}
	t.series.Step = max((load.end+steps-1)/steps, time.Millisecond)
	for _, m := range load.messages {
		if t.grow(int(m.at / t.series.Step)) {
			t.series.Arrivals[m.at/t.series.Step] += 1 / t.series.Step.Seconds()
		}
	}
	return t
}

// grow makes room for a step. It reports whether there is any.
func (t *tally) grow(step int) bool {
	if step >= maxSteps {
		return false
	}
	s := &t.series
	for len(s.Waiting) <= step {
		s.Arrivals, s.Waiting, s.Oldest = append(s.Arrivals, 0), append(s.Waiting, 0), append(s.Oldest, 0)
		s.Replicas, s.Ready, t.seriesTime = append(s.Replicas, 0), append(s.Ready, 0), append(t.seriesTime, 0)
	}
	return true
}

// pass lets time pass with the state as it is.
func (t *tally) pass(to time.Duration, f *fleet) {
	if to <= t.now {
		t.note(f)
		return
	}
	oldest, waits := f.oldest()
	for at := t.now; at < to; {
		step := int(at / t.series.Step)
		end := min(to, time.Duration(step+1)*t.series.Step)
		if !t.grow(step) {
			break
		}
		s, seconds := &t.series, (end - at).Seconds()
		s.Waiting[step] = max(s.Waiting[step], float64(t.waiting))
		if waits {
			s.Oldest[step] = max(s.Oldest[step], (end - oldest).Seconds())
		}
		s.Replicas[step] += float64(t.replicas) * seconds
		s.Ready[step] += float64(t.available) * seconds
		t.seriesTime[step] += seconds
		at = end
	}
	if to > t.from {
		seconds := (to - max(t.now, t.from)).Seconds()
		t.replicaSeconds += float64(t.replicas) * seconds
		t.podSeconds += float64(int(t.replicas)+t.extra) * seconds
		t.waitingSeconds += float64(t.waiting) * seconds
		t.mostWaiting = max(t.mostWaiting, t.waiting)
		t.mostReplicas = max(t.mostReplicas, t.replicas)
		if t.replicas == t.most {
			t.atMost += to - max(t.now, t.from)
		}
	}
	t.now = to
	t.note(f)
}

// note notes the state.
func (t *tally) note(f *fleet) {
	t.available, t.waiting, t.extra = f.available, f.length(), f.stopped
}

// scaled notes a change of the replicas.
func (t *tally) scaled(now time.Duration, before, after int32) {
	t.replicas = after
	if before == after || now < t.from {
		return
	}
	t.changes++
	if before == 0 {
		t.fromZero++
	}
	direction := 1
	if after < before {
		direction = -1
	}
	if t.direction == -direction && now-t.lastChange <= reversalWithin {
		t.reversals++
	}
	t.direction, t.lastChange = direction, now
}

func (t *tally) taken(i int32, now time.Duration) { t.took[i] = now }

// worked notes that a message is done.
func (t *tally) worked(i int32, now time.Duration) {
	if t.now >= t.from {
		t.workSeconds += (now - t.took[i]).Seconds()
	}
}

// outcome returns the result at the end of a run.
func (t *tally) outcome(f *fleet) Outcome {
	o := Outcome{
		Killed: t.killed, KilledPods: t.killedPods, ReplicaSeconds: t.replicaSeconds, PodSeconds: t.podSeconds, MostWaiting: float64(t.mostWaiting),
		MostReplicas: t.mostReplicas, AtMost: t.atMost, Changes: t.changes, Reversals: t.reversals, FromZero: t.fromZero,
		Length: t.now - t.from, Series: t.series,
	}
	if seconds := o.Length.Seconds(); seconds > 0 {
		o.MeanWaiting = t.waitingSeconds / seconds
	}
	if o.PodSeconds > 0 {
		o.Busy = min(t.workSeconds/float64(f.workers.Concurrency)/o.PodSeconds, 1)
	}
	waits := make([]time.Duration, 0, len(t.messages))
	for i, m := range t.messages {
		if m.at < t.from || m.at > t.now {
			continue
		}
		wait := t.took[i] - m.at
		if t.took[i] < 0 {
			wait = t.now - m.at
			o.Unfinished++
		}
		if wait <= t.goal {
			o.WithinGoal++
		}
		waits = append(waits, wait)
	}
	if o.Messages = len(waits); o.Messages > 0 {
		slices.Sort(waits)
		o.WithinGoal /= float64(o.Messages)
		o.P50, o.P95, o.P99, o.Longest = quantile(waits, 0.50), quantile(waits, 0.95), quantile(waits, 0.99), waits[len(waits)-1]
		for i := range o.Waits {
			o.Waits[i] = quantile(waits, float64(i)/100)
		}
		if t.keep {
			o.waits = waits
		}
	}
	for i, seconds := range t.seriesTime {
		if seconds > 0 {
			o.Series.Replicas[i] /= seconds
			o.Series.Ready[i] /= seconds
		}
	}
	return o
}

// quantile returns the value below which a part of ascending values lies: the nearest rank. Of 1, 2,
// 3 and 4 the half is 2.
func quantile[T any](sorted []T, part float64) T {
	rank := int(math.Ceil(part * float64(len(sorted))))
	return sorted[min(max(rank, 1), len(sorted))-1]
}
