package simulation

import (
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/hpa"
)

// Options are how runs are measured.
type Options struct {
	// Goal is the time that a message should wait at most, for the part that does.
	Goal time.Duration
	// From is the beginning that is left out, because windows are not filled.
	From time.Duration
	// MostAfter bounds how long a run goes on after the trace until every message was taken.
	MostAfter time.Duration
	// keepWaits keeps all waits in the outcome, for tests that put several runs together.
	keepWaits bool
}

// DefaultMostAfter is how long a run goes on after the trace at most.
const DefaultMostAfter = time.Hour

// Run replays a load with a candidate. The run ends with the trace, or when every message was taken
// after that.
func Run(c *Candidate, w *Workers, load *Load, phases Phases, options Options) Outcome {
	r := newRun(c, w, load, phases, options)
	next, end := 0, load.end+options.MostAfter
	for {
		at := r.events.heap[0].at // polls and syncs never end
		arrival := next < len(load.messages) && load.messages[next].at <= at
		if arrival {
			at = load.messages[next].at
		}
		if at > end || at > load.end && next == len(load.messages) && r.fleet.length() == 0 {
			r.tally.pass(min(max(load.end, r.tally.now), end), &r.fleet)
			return r.tally.outcome(&r.fleet)
		}
		r.tally.pass(at, &r.fleet)
		if arrival {
			r.arrive(at, int32(next))
			next++
		} else {
			r.happen(r.events.take())
		}
		r.tally.note(&r.fleet)
	}
}

// A run is the state of one run.
type run struct {
	candidate *Candidate
	start     time.Time
	fleet     fleet
	events    events
	tally     *tally
	keda      *hpa.Activation
	hpa       *hpa.Autoscaler
	triggers  []*asked
	// replicas is spec.replicas of the workload.
	replicas int32
}

// newRun returns a run at its beginning, with an empty queue and replicas that are ready.
func newRun(c *Candidate, w *Workers, load *Load, phases Phases, options Options) *run {
	object := c.Object
	object.Created = load.start
	r := &run{
		candidate: c, start: load.start, tally: newTally(load, options, object.Max),
		keda: hpa.NewActivation(object), hpa: hpa.New(object.Spec()),
	}
	r.fleet = fleet{workers: w, messages: load.messages, events: &r.events, random: stream(load.seed, streamStartup), tally: r.tally}
	for i := range c.Triggers {
		r.triggers = append(r.triggers, newAsked(r, i))
	}
	r.replicas = max(c.Start, object.Min)
	r.tally.replicas = r.replicas
	r.fleet.scale(0, r.replicas)
	for _, replica := range r.fleet.replicas {
		r.fleet.start(0, replica)
		replica.since = -w.WarmUp
	}
	r.events = events{} // they have started
	r.events.add(event{at: phases.Poll, kind: polled})
	r.events.add(event{at: phases.Sync, kind: synced})
	for _, t := range r.triggers {
		t.begin()
	}
	return r
}

// at returns the time of an offset.
func (r *run) at(offset time.Duration) time.Time { return r.start.Add(offset) }

// arrive adds a message to the queue. An empty queue is noticed to have changed.
func (r *run) arrive(now time.Duration, i int32) {
	r.fleet.arrive(now, i)
	for _, t := range r.triggers {
		t.wake(now)
	}
}

// happen makes an event happen.
func (r *run) happen(e event) {
	switch e.kind {
	case finished:
		r.fleet.finish(e.at, e.replica, e.message)
	case ready:
		r.fleet.start(e.at, e.replica)
		r.changed(e.at)
	case killed:
		r.fleet.kill(e.at, e.replica)
	case noticed:
		r.triggers[e.trigger].read(e.at)
	case repeated:
		r.triggers[e.trigger].stream(e.at)
	case decided:
		r.triggers[e.trigger].redecide(e.at)
	case jumped:
		r.triggers[e.trigger].jump(e.at)
	case polled:
		r.poll(e.at)
		r.events.add(event{at: e.at + r.candidate.Polling, kind: polled})
	case synced:
		r.sync(e.at)
		r.events.add(event{at: e.at + hpa.SyncPeriod + syncTime, kind: synced})
	}
}

// scale sets the replicas of the workload.
func (r *run) scale(now time.Duration, replicas int32) {
	if replicas == r.replicas {
		return
	}
	before := r.replicas
	r.replicas = replicas
	r.fleet.scale(now, replicas)
	r.tally.scaled(now, before, replicas)
	r.changed(now)
}

// changed has policies decide on a changed workload.
func (r *run) changed(now time.Duration) {
	for _, t := range r.triggers {
		t.workloadChanged(now)
	}
}

// poll is a poll of KEDA.
func (r *run) poll(now time.Duration) {
	active, failed := false, false
	for _, t := range r.triggers {
		answer := t.ask(now)
		active = active || answer.err == nil && answer.active
		failed = failed || answer.err != nil
	}
	if len(r.triggers) > 0 {
		r.scale(now, r.keda.Poll(r.at(now), r.replicas, active, failed).Replicas)
	}
}

// syncTime is an estimate of how long a sync takes that asks KEDA for a metric. The next one begins SyncPeriod after
// its end, so that the phases of polls and syncs drift against each other
// (pkg/controller/podautoscaler/rate_limiters.go). docs/comparison.json shows it: where a poll and a
// sync fall together, their order changes within minutes.
const syncTime = 20 * time.Millisecond

// sync is a sync of the HorizontalPodAutoscaler.
func (r *run) sync(now time.Duration) {
	metrics := make([]hpa.Metric, 0, len(r.triggers))
	for _, t := range r.triggers {
		answer := t.ask(now)
		metrics = append(metrics, hpa.Metric{
			Name: "trigger", Type: t.trigger.Type, Value: hpa.Thousandths(answer.value), Target: hpa.Thousandths(answer.target), Err: answer.err,
		})
	}
	if len(metrics) == 0 {
		return
	}
	scale := hpa.Scale{Spec: r.replicas, Status: r.replicas, Ready: int32(r.fleet.available)} //nolint:gosec // at most r.replicas
	r.scale(now, r.hpa.Sync(r.at(now), scale, metrics).Replicas)
}
