package redis

import (
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/layout"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/resp"
)

// A step is one round trip of a read. Its methods are called by one goroutine at a time. It
// does no I/O: the engine sends the commands of all queues in one pipeline.
type step interface {
	// Commands appends what to ask at the moment now.
	Commands(dst []resp.Command, now time.Time) []resp.Command
	// Outcome turns the replies, which are in the order of the commands, into a reading, an
	// error or a further step. A reply may hold an error of the server, but never WRONGTYPE
	// or a redirection.
	Outcome(replies []resp.Reply, now time.Time) outcome
}

// An outcome of a step is a reading, an error, or a further step.
type outcome struct {
	reading backlog.Reading
	err     error
	next    step
}

// done is the outcome of a step that knows the reading.
func done(r backlog.Reading) outcome { return outcome{reading: r} }

// failed is the outcome of a step that cannot know the reading.
func failed(err error) outcome { return outcome{err: err} }

// A firstStep is the first round trip of a layout's reader.
type firstStep struct{ layout.Reader }

// JobCounters returns the keys of the counters that grow with each job, if there are any.
func (s *firstStep) JobCounters() []string {
	if c, counts := s.Reader.(layout.JobCounter); counts {
		return c.JobCounters()
	}
	return nil
}

// Outcome implements step.
func (s *firstStep) Outcome(replies []resp.Reply, now time.Time) outcome {
	trips := layout.BeginRoundTrips(replies, now)
	r, err := trips.Run(s.Reader)
	if trips.Unanswered() == nil {
		return outcome{reading: r, err: err}
	}
	return outcome{next: &furtherStep{s.Reader, trips}}
}

// A furtherStep is a further round trip of a layout's reader.
type furtherStep struct {
	reader layout.Reader
	trips  layout.RoundTrips
}

// Commands implements step.
func (s *furtherStep) Commands(dst []resp.Command, _ time.Time) []resp.Command {
	return append(dst, s.trips.Unanswered()...)
}

// Outcome implements step.
func (s *furtherStep) Outcome(replies []resp.Reply, now time.Time) outcome {
	s.trips.Answer(replies, now)
	r, err := s.trips.Run(s.reader)
	if s.trips.Unanswered() != nil {
		return outcome{next: s}
	}
	return outcome{reading: r, err: err}
}
