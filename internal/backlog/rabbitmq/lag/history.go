package lag

import (
	"fmt"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/rabbitmq/stream"
)

const (
	// nearLag is up to which lag the last chunk decides how many workers there should be.
	nearLag = 10_000
	// settleAfter is for how long a stream must look shorter than before until that is believed: a leader
	// that has just been elected does not know yet what a majority of the members has.
	settleAfter = 5 * time.Second
)

// A history is what earlier reads found of a stream. The goroutine that reads owns it.
type history struct {
	// committed is the last chunk of the last read, and tail what is known of the last chunk with
	// messages then.
	committed int64
	tail      *tail
	// known are the offsets that earlier reads found.
	known spans
	// life counts the streams of that name.
	life int
	// shorter is since when the stream looks shorter than before; zero if it does not.
	shorter time.Time
	// beyond is since when consumers have stored an offset that the stream does not have.
	beyond map[string]time.Time
	// rest is until when the stream is not asked for, and resting why.
	rest    time.Time
	resting error
	// read is when the stream was read last.
	read time.Time
}

// A tail is the last chunk with messages of a stream.
type tail struct {
	// committed is the last chunk of any kind.
	committed int64
	// none reports that the stream has no messages at all.
	none  bool
	chunk stream.Chunk
}

// needs reports whether the last chunk has to be asked for, and whether a number without it would be
// wrong. reached is the highest offset that a consumer has stored.
func (h *history) needs(s *stream.StatsQuery, reached int64) (wanted, needed bool) {
	if s.Committed == stream.None || h.tail != nil && h.tail.committed == s.Committed {
		return false, false
	}
	near := s.Committed-max(reached, s.First) <= nearLag
	return near || s.Committed == h.committed, near
}

// forget notes that the stream does not exist.
func (h *history) forget() {
	*h = history{committed: stream.None, life: h.life + 1, read: h.read}
}

// extent returns what the stream holds by what the server answered. led is when its leader was known to
// be the node that was asked.
func (h *history) extent(s *stream.StatsQuery, t *tail, at, led time.Time) (extent, error) {
	switch {
	case s.Committed == stream.None && (s.First != stream.None || s.Last != stream.None):
		return extent{}, fmt.Errorf("%w: the leader of the stream does not know yet what a majority of the members has", backlog.ErrUnavailable)
	case s.Committed < h.committed:
		if h.shorter.IsZero() {
			h.shorter = at
		}
		if at.Sub(h.shorter) < settleAfter || led.Before(h.shorter) {
			return extent{}, fmt.Errorf("%w: the stream looks shorter than before, which is being verified", backlog.ErrUnavailable)
		}
		h.life++
		h.known = nil
		if h.tail != nil && h.tail.committed != s.Committed {
			h.tail = nil
		}
	}
	h.shorter, h.committed = time.Time{}, s.Committed
	h.note(t)
	switch {
	case s.Committed == stream.None:
		return extent{last: stream.None, whole: true}, nil
	case h.tail == nil || h.tail.committed != s.Committed && h.tail.chunk.First < s.Committed:
		return extent{first: max(s.First, 0), last: s.Committed, known: h.known}, nil
	case h.tail.none:
		return extent{first: s.First, last: s.First - 1, whole: true}, nil
	}
	return extent{first: max(s.First, 0), last: h.tail.chunk.Last(), known: h.known, whole: true}, nil
}

// note takes over what was found of the last chunk with messages; nil if it was not asked for. What
// follows it holds none.
func (h *history) note(t *tail) {
	if t == nil {
		return
	}
	h.tail = t
	if !t.none {
		h.known = h.known.add(span{t.chunk.First, t.chunk.Last(), true}).add(span{t.chunk.Last() + 1, t.committed, false})
	}
}

// believes reports whether an offset is one of the stream, or has been found beyond its end for long
// enough: a member that is behind does not have what consumers of the leader have processed.
func (h *history) believes(consumer string, e extent, p place, at, led time.Time) bool {
	if !p.has || p.stored <= max(e.last, h.committed) {
		delete(h.beyond, consumer)
		return true
	}
	since, known := h.beyond[consumer]
	if !known {
		if h.beyond == nil {
			h.beyond = make(map[string]time.Time)
		}
		since = at
		h.beyond[consumer] = at
	}
	return at.Sub(since) >= settleAfter && led.After(since)
}
