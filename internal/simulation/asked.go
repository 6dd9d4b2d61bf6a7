package simulation

import (
	"errors"
	"math"
	"slices"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/decision"
	"github.com/backlog-scaler/backlog-scaler/internal/decision/push"
)

// An answer is what KEDA gets about a trigger.
type answer struct {
	value, target float64
	active        bool
	err           error
}

// An asked is a trigger with what the scaler knows for it.
type asked struct {
	run     *run
	index   int
	trigger *Trigger
	// eyes observe the queue: one for a trigger of a queue, one for each signal of a policy.
	eyes []*eye
	// lastReported is the value that KEDA got last; zero if it got an error.
	lastReported float64
	policy       *decider
	// sent is what the stream has sent, and timer when it is evaluated next; zero if it is not.
	sent  push.Activity
	timer time.Duration
}

func newAsked(r *run, i int) *asked {
	a := &asked{run: r, index: i, trigger: &r.candidate.Triggers[i]}
	switch t := a.trigger; {
	case t.Queue != nil:
		a.eyes = []*eye{{queue: t.Queue}}
	case t.Policy != nil:
		for i := range t.Policy.Signals {
			e := &eye{queue: &t.Policy.Signals[i].Queue}
			if t.Policy.Signals[i].Unknown {
				e.due = never
			}
			a.eyes = append(a.eyes, e)
		}
		a.policy = newDecider(a)
		r.fleet.idleFirst = r.fleet.idleFirst || t.Policy.SparesBusy
	}
	return a
}

// never is later than the end of any run.
const never = math.MaxInt64

// begin takes the first reading.
func (a *asked) begin() {
	if len(a.eyes) > 0 || a.policy != nil {
		a.read(0)
	}
}

// wake has an idle queue read, once the engine has notified of the change.
func (a *asked) wake(now time.Duration) {
	for _, e := range a.eyes {
		if at := now + e.queue.Notice; e.due != never && at < e.due && e.seen.Latest.Backlog() == 0 {
			e.due = at
			a.run.events.add(event{at: at, kind: noticed, trigger: a.index})
		}
	}
}

// read reads what is due, and has the stream and the policy follow.
func (a *asked) read(now time.Duration) {
	read := !slices.ContainsFunc(a.eyes, func(e *eye) bool { return e.due != never })
	for _, e := range a.eyes {
		if e.due > now {
			continue
		}
		e.due = now + e.read(&a.run.fleet, a.run.at(now))
		a.run.events.add(event{at: e.due, kind: noticed, trigger: a.index})
		read = true
	}
	if !read {
		return // the read that this was for came earlier
	}
	if a.policy != nil {
		a.policy.decide(now)
	} else if a.sent.Active() && a.eyes[0].atWork() {
		return // it stays active, and the repetition has a timer of its own
	}
	a.stream(now)
}

// decide returns what KEDA would get now.
func (a *asked) decide(now time.Duration) (decision.Decision, error) {
	if a.policy != nil {
		return a.policy.answer()
	}
	return decision.Decide(&a.trigger.Queue.Spec, &a.eyes[0].seen, a.lastReported, a.run.at(now))
}

// ask is a call of KEDA.
func (a *asked) ask(now time.Duration) answer {
	if b := a.trigger.BuiltIn; b != nil {
		return b.ask(&a.run.fleet)
	}
	d, err := a.decide(now)
	a.lastReported = 0
	if err == nil {
		a.lastReported = d.Value
	}
	return answer{d.Value, d.Target, d.Active, err}
}

// ask reads the queue as KEDA does.
func (b *BuiltIn) ask(f *fleet) answer {
	value := 0
	if b.Waiting {
		value += f.length()
	}
	if b.InFlight {
		value += f.inFlight
	}
	return answer{value: float64(value), target: b.Target, active: float64(value) > b.Activation}
}

// stream sends KEDA whether the trigger is active, if that is news.
func (a *asked) stream(now time.Duration) {
	if !a.trigger.Push {
		return
	}
	at := a.run.at(now)
	d, err := a.decide(now)
	warmingUp := errors.Is(err, decision.ErrWarmingUp)
	if err != nil && !warmingUp {
		return
	}
	if (d.Active || !warmingUp) && a.sent.Update(d.Active, at) {
		a.run.scale(now, a.run.keda.Push(at, a.run.replicas, d.Active).Replicas)
	}
	next := now + max(a.sent.Next(d, at), time.Millisecond)
	if a.timer <= now || next < a.timer {
		a.timer = next
		a.run.events.add(event{at: next, kind: repeated, trigger: a.index})
	}
}
