// Package trace reads and writes what came to a queue and when, and how long the work took: the
// format backlog-trace/1, and a CSV that can be written by hand.
package trace

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"time"
)

// Format is the name of the format, with its version.
const Format = "backlog-trace/1"

// The bounds of a trace. They are far above what a week of a busy queue needs.
const (
	// MaxMessages is the largest number of messages.
	MaxMessages = 20_000_000
	// MaxLines is the largest number of lines.
	MaxLines = 5_000_000
	// MaxLength is the longest time.
	MaxLength = 366 * 24 * time.Hour
	// maxService is the largest number of service times that are kept.
	maxService = 1_000_000
)

// A Trace is what came to one queue.
type Trace struct {
	Header

	// Arrivals are in the order of time.
	Arrivals []Arrival
	// Service are times that workers took for one message, where they were measured.
	Service []time.Duration
	// Seen is the state that was observed, in the order of time.
	Seen []Seen
}

// A Header describes a trace.
type Header struct {
	// Start is the time of the offset zero; zero if the trace is of no particular day.
	Start time.Time
	// End is the length of the trace: nothing is known of what came later.
	End time.Duration
	// Unit is what is counted, such as "messages", and Source where it was recorded.
	Unit, Source string
	// Resolution is the time between two measurements; zero for exact moments.
	Resolution time.Duration
	// Quality says how the arrivals relate to the truth.
	Quality Quality
	// Service says where the service times are from.
	ServiceQuality ServiceQuality
}

// An Arrival is a number of messages.
type Arrival struct {
	// At is the offset from the start, and Over the time over which they came; zero is at once.
	At, Over time.Duration
	Count    int64
	// Work is how long a worker takes for each of them; zero if that is not known.
	Work time.Duration
}

// A Seen is the state of a queue and its workload at a moment. What is unknown is negative.
type Seen struct {
	At                                       time.Duration
	Ready, InFlight, Replicas, ReadyReplicas int64
	// Value is what was reported to KEDA.
	Value float64
}

// Quality is how the arrivals of a trace relate to the truth.
type Quality string

// The qualities of arrivals.
const (
	// Exact arrivals are those of a counter, or were written by hand.
	Exact Quality = "exact"
	// LowerBound arrivals follow from the backlog alone: messages that came and went between two
	// readings are missing.
	LowerBound Quality = "lower bound"
	// Reconstructed arrivals are computed, such as from a rate.
	Reconstructed Quality = "reconstructed"
)

// ServiceQuality is where the service times of a trace are from.
type ServiceQuality string

// The qualities of service times.
const (
	Measured ServiceQuality = "measured"
	Assumed  ServiceQuality = "assumed"
)

// Messages returns the number of messages.
func (t *Trace) Messages() int64 {
	var sum int64
	for _, a := range t.Arrivals {
		sum += a.Count
	}
	return sum
}

// MeanSeen returns the mean over time of what was seen; false if it is not known at any time. Each state
// lasts until the next one.
func (t *Trace) MeanSeen(value func(*Seen) int64) (float64, bool) {
	sum, length := 0.0, 0.0
	for i := range t.Seen {
		s, end := &t.Seen[i], t.End
		if i+1 < len(t.Seen) {
			end = t.Seen[i+1].At
		}
		if n := value(s); n >= 0 {
			sum += float64(n) * (end - s.At).Seconds()
			length += (end - s.At).Seconds()
		}
	}
	return sum / max(length, 1e-9), length > 0
}

// Between returns the part of the trace from an offset to another, which becomes its own trace. An
// arrival belongs to the part in which it begins.
func (t *Trace) Between(from, to time.Duration) *Trace {
	part := &Trace{Header: t.Header, Service: t.Service}
	part.End = to - from
	if !t.Start.IsZero() {
		part.Start = t.Start.Add(from)
	}
	for _, a := range t.Arrivals {
		if a.At >= from && a.At < to {
			a.At -= from
			part.Arrivals = append(part.Arrivals, a)
		}
	}
	for _, s := range t.Seen {
		if s.At >= from && s.At < to {
			s.At -= from
			part.Seen = append(part.Seen, s)
		}
	}
	return part
}

// Scale returns a copy with so many times the messages, which is at least zero. What is left of an
// arrival is added to the next one, so that the sum is right.
func (t *Trace) Scale(factor float64) *Trace {
	scaled := *t
	scaled.Arrivals = make([]Arrival, 0, len(t.Arrivals))
	rest := 0.0
	for _, a := range t.Arrivals {
		exact := float64(a.Count)*factor + rest
		a.Count = int64(exact)
		rest = exact - float64(a.Count)
		if a.Count > 0 {
			scaled.Arrivals = append(scaled.Arrivals, a)
		}
	}
	return &scaled
}

// complete sorts a trace, completes its end and checks its bounds.
func (t *Trace) complete() error {
	slices.SortStableFunc(t.Arrivals, func(a, b Arrival) int { return cmp.Compare(a.At, b.At) })
	slices.SortStableFunc(t.Seen, func(a, b Seen) int { return cmp.Compare(a.At, b.At) })
	for _, a := range t.Arrivals {
		t.End = max(t.End, a.At+a.Over)
	}
	for _, s := range t.Seen {
		t.End = max(t.End, s.At)
	}
	switch {
	case len(t.Arrivals) == 0:
		return errors.New("no arrivals, want at least one line with them")
	case t.Messages() > MaxMessages:
		return fmt.Errorf("%d messages, want at most %d", t.Messages(), MaxMessages)
	case t.Messages() == 0:
		return errors.New("0 messages, want at least one")
	case t.End > MaxLength:
		return fmt.Errorf("%s, want at most %s", t.End, MaxLength)
	case t.End <= 0:
		return errors.New("no length: all messages come at time 0, want a later line, also one with 0 arrivals")
	}
	return nil
}
