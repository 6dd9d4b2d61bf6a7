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
	// Conclude turns the replies, which are in the order of the commands, into an outcome. A
	// reply may hold an error of the server, but never WRONGTYPE or a redirection.
	Conclude(replies []resp.Reply, now time.Time, o *outcome)
}

// An outcome of a step is a reading, an error, or a further step. It is large, so each goroutine
// that reads has one.
type outcome struct {
	reading backlog.Reading
	err     error
	next    step
	// trips is memory of first steps.
	trips layout.RoundTrips
}

// know makes the outcome a reading.
func (o *outcome) know(r backlog.Reading) { o.reading, o.err, o.next = r, nil, nil }

// fail makes the outcome an error.
func (o *outcome) fail(err error) { o.err, o.next = err, nil }

// goOn makes the outcome a further step.
func (o *outcome) goOn(next step) { o.err, o.next = nil, next }

// A firstStep is the first round trip of a layout's reader.
type firstStep struct{ layout.Reader }

// JobCounters returns the keys of the counters that grow with each job, if there are any.
func (s *firstStep) JobCounters() []string {
	if c, counts := s.Reader.(layout.JobCounter); counts {
		return c.JobCounters()
	}
	return nil
}

// Conclude implements step.
func (s *firstStep) Conclude(replies []resp.Reply, now time.Time, o *outcome) {
	o.trips.Begin(replies, now)
	o.reading, o.err = s.Read(&o.trips)
	o.next = nil
	if o.trips.End(o.err) != nil {
		o.goOn(&furtherStep{s.Reader, o.trips})
	}
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

// Conclude implements step.
func (s *furtherStep) Conclude(replies []resp.Reply, now time.Time, o *outcome) {
	s.trips.Answer(replies, now)
	o.reading, o.err = s.reader.Read(&s.trips)
	o.next = nil
	if s.trips.End(o.err) != nil {
		o.goOn(s)
	}
}
