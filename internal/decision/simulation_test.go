package decision_test

import (
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/decision"
	"github.com/backlog-scaler/backlog-scaler/internal/hpa"
)

// A message is one in the queue of a simulation, or with a worker.
type message struct {
	since  time.Time
	left   time.Duration // work that it still needs
	poison bool          // no worker gets it done
}

// A worker is one replica.
type worker struct {
	ready time.Time
	busy  *message
}

// A simulation is a queue, its workers, what the scaler knows of it, and what KEDA and
// the HPA make of that. It goes on second by second: first the queue and the workers
// move, then the scaler reads, then KEDA and the HPA look.
type simulation struct {
	spec decision.Spec
	// work is how long one message takes, and startup how long a replica takes to start.
	work, startup time.Duration
	counter       bool // the engine counts what is enqueued
	hidden        bool // the engine cannot tell what is in flight

	now     time.Time
	rate    float64 // messages that arrive in a second
	due     float64 // parts of a message that have arrived
	failing bool
	paused  bool

	waiting  []*message
	workers  []*worker
	enqueued int64
	epoch    string

	seen         backlog.Observation
	lastReported float64

	object     hpa.ScaledObject
	activation *hpa.Activation
	autoscaler *hpa.Autoscaler
	decision   decision.Decision
	err        error

	// What came of it.
	finished, interrupted int
	longest               time.Duration
	replicaSeconds        int
}

var errDown = errors.New("no answer")

func (s *simulation) enqueue(n int, poison bool) {
	for range n {
		s.waiting = append(s.waiting, &message{since: s.now, left: s.work, poison: poison})
		s.enqueued++
		s.seen.LastTraffic = s.now
	}
}

// second lets one second pass.
func (s *simulation) second() {
	s.due += s.rate
	arrived := int(s.due)
	s.due -= float64(arrived)
	s.enqueue(arrived, false)
	s.toil()
	s.read()
	s.decide()
	if elapsed := s.now.Sub(start); elapsed%hpa.PollingInterval == 0 {
		s.scaleTo(s.activation.Poll(s.now, s.replicas(), s.decision.Active && s.err == nil, s.err != nil).Replicas)
	}
	if elapsed := s.now.Sub(start); elapsed%hpa.SyncPeriod == 0 {
		s.sync()
	}
	s.replicaSeconds += len(s.workers)
}

// toil has every worker that is up work for a second.
func (s *simulation) toil() {
	for _, w := range s.workers {
		if w.ready.After(s.now) {
			continue
		}
		for left := time.Second; left > 0; {
			if w.busy == nil && !s.take(w) {
				break
			}
			does := min(left, w.busy.left)
			left -= does
			if w.busy.left -= does; w.busy.left > 0 {
				continue
			}
			if w.busy.poison {
				w.busy.left = s.work
				s.waiting = append(s.waiting, w.busy)
			} else {
				s.finished++
			}
			w.busy = nil
		}
	}
}

func (s *simulation) take(w *worker) bool {
	if len(s.waiting) == 0 || s.paused {
		return false
	}
	w.busy, s.waiting = s.waiting[0], s.waiting[1:]
	if !w.busy.poison {
		s.longest = max(s.longest, s.now.Sub(w.busy.since))
	}
	return true
}

func (s *simulation) inFlight() (n int64) {
	for _, w := range s.workers {
		if w.busy != nil {
			n++
		}
	}
	return n
}

// read does what the sampler does each second.
func (s *simulation) read() {
	if s.failing {
		if s.seen.Err == nil {
			s.seen.Err, s.seen.FailingSince = errDown, s.now
		}
		return
	}
	before := s.seen
	r := backlog.Reading{At: s.now, Ready: int64(len(s.waiting)), Paused: s.paused, Epoch: s.epoch}
	if !s.hidden {
		r.InFlight = backlog.Exactly(s.inFlight())
	}
	if s.counter {
		r.Enqueued = backlog.Exactly(s.enqueued)
	}
	for _, m := range s.waiting {
		if r.Oldest.Kind == backlog.AgeUnknown || m.since.Before(r.Oldest.Since) {
			r.Oldest = backlog.Age{Since: m.since, Kind: backlog.AgeExact}
		}
	}
	s.seen.Err, s.seen.FailingSince, s.seen.Latest = nil, time.Time{}, r
	if !before.Known() {
		s.seen.Since = s.now
		return
	}
	if before.Latest.Backlog() != r.Backlog() || before.Latest.InFlight != r.InFlight || before.Latest.Enqueued != r.Enqueued || before.Latest.Epoch != r.Epoch {
		s.seen.Past = append(s.seen.Past, before.Latest)
	}
	for len(s.seen.Past) > 0 && s.now.Sub(s.seen.Past[0].At) > s.spec.Window() {
		s.seen.Past = s.seen.Past[1:]
	}
}

// decide does what the server does, and pushes as it does.
func (s *simulation) decide() {
	wasActive := s.err == nil && s.decision.Active
	s.decision, s.err = decision.Decide(&s.spec, &s.seen, s.lastReported, s.now)
	if s.err == nil {
		s.lastReported = s.decision.Value
	}
	if s.decision.Active && !wasActive {
		s.scaleTo(s.activation.Push(s.now, s.replicas(), true).Replicas)
	}
}

// sync does what the HPA does.
func (s *simulation) sync() {
	metric := hpa.Metric{Name: "queue", Value: hpa.Thousandths(s.decision.Value), Target: hpa.Thousandths(s.spec.Target), Err: s.err}
	s.scaleTo(s.autoscaler.Sync(s.now, hpa.Steady(s.replicas()), []hpa.Metric{metric}).Replicas)
}

func (s *simulation) replicas() int32 { return int32(len(s.workers)) }

// scaleTo starts workers, or stops the youngest ones: their jobs begin again.
func (s *simulation) scaleTo(replicas int32) {
	for s.replicas() < replicas {
		s.workers = append(s.workers, &worker{ready: s.now.Add(s.startup)})
	}
	for s.replicas() > replicas {
		last := len(s.workers) - 1
		if m := s.workers[last].busy; m != nil {
			m.left = s.work
			s.waiting = slices.Insert(s.waiting, 0, m)
			s.interrupted++
		}
		s.workers = s.workers[:last]
	}
}

// lose is a server that comes back without its data.
func (s *simulation) lose() {
	s.waiting, s.enqueued, s.epoch = nil, 0, s.epoch+"'"
}

// restart is a scaler that comes back without its memory.
func (s *simulation) restart() {
	s.seen, s.lastReported = backlog.Observation{AfterStart: true}, 0
}

// reasons are those of the decision, each once.
func (s *simulation) reasons() string {
	var words []string
	for _, step := range s.decision.Steps {
		if !slices.Contains(words, string(step.Reason)) {
			words = append(words, string(step.Reason))
		}
	}
	return strings.Join(words, " ")
}
