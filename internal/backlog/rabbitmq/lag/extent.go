package lag

import (
	"fmt"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
)

// An extent is what a stream holds. Storing an offset takes an offset of the stream itself where no
// message comes along, so that the last offset of a stream says little about its last message.
type extent struct {
	// first is the first offset that retention has left, and last that of the last message.
	first, last int64
	// known is what earlier reads found.
	known spans
	// whole reports that last is the offset of the last message. If it is not, there are messages after
	// last.
	whole bool
}

// A place is where a consumer is in a stream.
type place struct {
	// stored is the offset of the last message that was processed, if has is true.
	stored int64
	has    bool
}

// next returns the offset of the first message that the consumer gets next.
func (e extent) next(p place, missing string) int64 {
	switch {
	case p.has:
		return max(p.stored+1, e.first)
	case missing == MissingNext:
		return e.last + 1
	default:
		return e.first
	}
}

// lag returns how many messages a consumer has before it, and how good that number is.
//
// Worked example: offsets 0 to 99 were written, retention has deleted those below 40, and offset 10 is
// stored. The consumer gets 40 to 99, so the lag is 60 and not 89.
func (e extent) lag(p place, missing string) (int64, backlog.Quality) {
	if !p.has && missing == MissingNext {
		return 0, backlog.Exact
	}
	n, exact := e.known.count(e.next(p, missing), e.last)
	switch {
	case !e.whole:
		return n, backlog.LowerBound
	case exact:
		return n, backlog.Exact
	default:
		return n, backlog.UpperBound
	}
}

// The remarks about a reading of a stream.
const (
	notStored     = "the consumer has stored no offset: all messages count, which is too much for one that begins at the end"
	notStoredNext = "the consumer has stored no offset: what is there does not count, and a consumer that begins at the end skips it"
	beyondEnd     = "the consumer has stored an offset beyond the end of the stream"
)

// readingOf returns the reading of a stream for one consumer.
func readingOf(e extent, p place, missing string, at time.Time) (backlog.Reading, error) {
	if !p.has && missing == MissingError {
		return backlog.Reading{}, fmt.Errorf("%w: the consumer has stored no offset, and %s is %s", backlog.ErrMismatch, ParamMissingOffset, MissingError)
	}
	n, quality := e.lag(p, missing)
	r := backlog.Reading{At: at, Ready: n, Quality: quality, Passed: backlog.Exactly(e.last)}
	if e.whole {
		r.Enqueued = backlog.Exactly(e.last + 1)
	}
	switch {
	case p.has:
		r.Dequeued = backlog.Exactly(p.stored + 1)
		r.Passed.N += p.stored
	case missing == MissingNext:
		r.Warning = notStoredNext
	case n > 0:
		r.Warning = notStored
	}
	return r, nil
}
