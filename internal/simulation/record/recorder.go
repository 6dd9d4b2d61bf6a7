// Package record writes traces of live queues: from what a running scaler reads, and from Prometheus.
package record

import (
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/simulation/trace"
)

// A Sample is what was known of a queue at a moment. What is unknown is nil.
type Sample struct {
	// Waiting is what a worker could take, now or once it was moved.
	Waiting            int64
	InFlight           *int64
	Enqueued, Dequeued *int64
	// Epoch identifies the data that was read.
	Epoch string
	// Value is what is reported to KEDA; negative if that is unknown.
	Value float64
	// Replicas is what the workload asks for, and ReadyReplicas how many of them are ready.
	Replicas, ReadyReplicas *int64
}

// A Summary is what became of a recording.
type Summary struct {
	Messages int64
	// Gaps is how often it is not known what came, because the queue could not be read, or because its
	// data was replaced.
	Gaps int
	// Service is the mean time that workers take for a message; zero if it is not known.
	Service time.Duration
	Quality trace.Quality
}

// A Recorder turns samples into the lines of a trace.
type Recorder struct {
	writer  *trace.Writer
	summary Summary
	// last is the sample at the offset at; nil before the first and after a gap.
	last *Sample
	at   time.Duration
	// unread reports that the queue could not be read since at.
	unread bool
	seen   trace.Seen
	// held is the time integral of the messages in flight, in seconds, and done how many were finished
	// in that time.
	held float64
	done int64
}

// leastDone is the number of finished messages from which a mean of their times is worth something.
const leastDone = 25

// quality returns how the arrivals of samples like this one relate to the truth: with a counter of the
// engine they are exact.
func (s *Sample) quality() trace.Quality {
	if s.Enqueued != nil || s.Dequeued != nil {
		return trace.Exact
	}
	return trace.LowerBound
}

// backlog returns all work. What is not known to be in flight is not among it.
func (s *Sample) backlog() int64 {
	if s.InFlight == nil {
		return s.Waiting
	}
	return s.Waiting + *s.InFlight
}

// finished returns the number of finished messages from any beginning; false if it is not known.
func (s *Sample) finished() (int64, bool) {
	switch {
	case s.Dequeued != nil:
		return *s.Dequeued, true
	case s.Enqueued != nil && s.InFlight != nil:
		return *s.Enqueued - s.backlog(), true
	default:
		return 0, false
	}
}

// Add adds the sample of an offset. A sample that is nil is a queue that could not be read.
func (r *Recorder) Add(at time.Duration, s *Sample) error {
	exact := r.summary.Quality == trace.Exact
	r.unread = s == nil || exact && s.quality() != trace.Exact
	if r.unread {
		// A counter goes on while it is not read, and shows later what came. Without one that is unknown.
		if r.last != nil && !exact {
			r.last = nil
			r.summary.Gaps++
		}
		return nil
	}
	before, since := r.last, at-r.at
	if before != nil && since <= 0 {
		return nil
	}
	r.last, r.at = s, at
	if before == nil {
		return r.see(at, s)
	}
	arrived, known := arrivals(before, s)
	if !known {
		r.summary.Gaps++
		return r.see(at, s)
	}
	r.serve(before, s, since)
	if arrived > 0 {
		r.summary.Messages += arrived
		if err := r.writer.Arrive(trace.Arrival{At: at - since, Over: since, Count: arrived}); err != nil {
			return err
		}
	}
	return r.see(at, s)
}

// arrivals returns how many messages came between two samples: by the counter of what was enqueued,
// else by the change of the backlog and the counter of what was finished, else by the change alone.
// With 10 waiting, then 12, and 5 finished meanwhile, 7 came. It is not known where the data was
// replaced or a counter went back.
func arrivals(before, after *Sample) (int64, bool) {
	switch change := after.backlog() - before.backlog(); {
	case before.Epoch != after.Epoch:
		return 0, false
	case before.Enqueued != nil && after.Enqueued != nil:
		return *after.Enqueued - *before.Enqueued, *after.Enqueued >= *before.Enqueued
	case before.Dequeued != nil && after.Dequeued != nil:
		return max(0, change+*after.Dequeued-*before.Dequeued), *after.Dequeued >= *before.Dequeued
	default:
		return max(0, change), true
	}
}

// serve adds to what is known of the time that workers take. By Little's law it is the mean number in
// flight by the rate at which messages are finished: 4 in flight and 2 finished a second are 2 s.
func (r *Recorder) serve(before, after *Sample, since time.Duration) {
	from, knownFrom := before.finished()
	to, knownTo := after.finished()
	if before.InFlight == nil || after.InFlight == nil || !knownFrom || !knownTo || to < from {
		return
	}
	r.held += float64(*before.InFlight+*after.InFlight) / 2 * since.Seconds()
	r.done += to - from
}

// see writes the state, if it changed.
func (r *Recorder) see(at time.Duration, s *Sample) error {
	seen := trace.Seen{
		At: at, Ready: s.Waiting, InFlight: orUnknown(s.InFlight), Replicas: orUnknown(s.Replicas), ReadyReplicas: orUnknown(s.ReadyReplicas), Value: s.Value,
	}
	same := r.seen
	same.At = at
	if same == seen {
		return nil
	}
	r.seen = seen
	return r.writer.See(seen)
}

// orUnknown returns a number as a trace has it.
func orUnknown(n *int64) int64 {
	if n == nil {
		return -1
	}
	return *n
}

// End writes the last line: how long the recording was, and the mean time of a message if it is known. A
// recording ends where the queue was read last: what came after that is not nothing.
func (r *Recorder) End(at time.Duration) (Summary, error) {
	if r.unread && r.at < at {
		at = r.at
		if r.last != nil { // else it was counted when it began
			r.summary.Gaps++
		}
	}
	if r.done >= leastDone && r.held > 0 {
		r.summary.Service = time.Duration(r.held / float64(r.done) * float64(time.Second)).Round(time.Millisecond)
		if err := r.writer.Service(at, r.summary.Service); err != nil {
			return r.summary, err
		}
	}
	last := r.seen
	last.At = at
	return r.summary, r.writer.See(last)
}
