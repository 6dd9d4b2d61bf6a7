package redis

import (
	"encoding/json"
	"slices"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
)

const (
	// sidekiqLife is for how long Sidekiq remembers a process that it does not hear of.
	sidekiqLife = time.Minute
	// sidekiqPause is between two heartbeats of a process, at least.
	// https://github.com/sidekiq/sidekiq/blob/main/lib/sidekiq/launcher.rb, BEAT_PAUSE
	sidekiqPause = 10 * time.Second
	// sidekiqTold is how much later a heartbeat has to be than another one to tell of all
	// that was taken before that one was seen. Sidekiq 7 and 8 first copy what their
	// threads work on, write that down, send a PING, and write down the heartbeat with
	// its time last. So the heartbeat that follows may know nothing of a job that was
	// taken while it was on its way. The second one does: it is begun a pause after the
	// first was written. They are told apart by the process's own clock: the first is
	// a pause later and as long as it took, the second two pauses.
	sidekiqTold = sidekiqPause + sidekiqPause/2
)

// finish completes a reading by what the processes said.
func (s *sidekiqStep) finish(reading backlog.Reading, w sidekiqWork, now time.Time) outcome {
	// A process that took jobs may not have said so yet.
	if s.untold(w, now) || w.unknown {
		w.inFlight = max(w.inFlight, 1)
		if reading.Quality == backlog.Exact {
			reading.Quality = backlog.LowerBound
		}
	}
	reading.InFlight = backlog.Exactly(w.inFlight)
	reading.Consumers = backlog.Exactly(int64(len(w.beats)))
	if reading.Backlog() == 0 && reading.NextDue.IsZero() {
		return s.registry.ask(reading)
	}
	return done(reading)
}

// untold tells whether a process may have taken a job of which it has not told. One
// that has just begun may do so before its first heartbeat, so that nobody knows it.
func (s *sidekiqStep) untold(w sidekiqWork, now time.Time) bool {
	switch {
	case s.taken.IsZero():
		return false
	case s.heard == nil:
		s.heard = w.beats
		return true
	}
	told := len(w.beats) > 0 || now.Sub(s.taken) >= sidekiqTold
	for process, beat := range w.beats {
		before, known := s.heard[process]
		if !known {
			// This is its first heartbeat.
			before = beat.Add(-sidekiqPause)
			s.heard[process] = before
		}
		told = told && beat.Sub(before) >= sidekiqTold
	}
	if told || now.Sub(s.taken) > sidekiqLife {
		s.taken = time.Time{}
		return false
	}
	return true
}

// A sidekiqWorkStep asks the processes what they work on.
type sidekiqWorkStep struct {
	*sidekiqStep
	reading   backlog.Reading
	processes []string
}

func (s *sidekiqWorkStep) commands(dst []command, _ time.Time) []command {
	for _, process := range s.processes {
		dst = append(dst,
			command{key: process + ":work", args: []any{"HVALS", process + ":work"}},
			command{key: process, args: []any{"HMGET", process, "info", "beat"}},
		)
	}
	return dst
}

func (s *sidekiqWorkStep) outcome(replies []reply, now time.Time) outcome {
	c := &counts{replies: replies}
	w := newSidekiqWork()
	w.unknown = len(s.processes) == sidekiqProcesses
	for _, process := range s.processes {
		for _, job := range c.texts(-1) {
			queue, known := namedQueue(job)
			if known && queue == s.name {
				w.inFlight++
			}
			w.unknown = w.unknown || !known
		}
		about := c.texts(2)
		if info, beat := about[0], about[1]; info != "" && sidekiqServes(info, s.name) {
			w.beats[process] = c.timeOf(beat)
		}
	}
	if c.err != nil {
		return fail(c.err)
	}
	return s.finish(s.reading, w, now)
}

// sidekiqWork is what processes said of their work for one queue.
type sidekiqWork struct {
	inFlight int64
	// unknown says that there may be more.
	unknown bool
	// beats are when each process that serves the queue was last heard of, by its clock.
	beats map[string]time.Time
}

func newSidekiqWork() sidekiqWork { return sidekiqWork{beats: make(map[string]time.Time)} }

// sidekiqServes tells whether a process takes jobs of a queue; one that does not say
// what it takes may.
func sidekiqServes(info, queue string) bool {
	var process struct {
		Queues []string `json:"queues"`
	}
	err := json.Unmarshal([]byte(info), &process)
	return err != nil || len(process.Queues) == 0 || slices.Contains(process.Queues, queue)
}
