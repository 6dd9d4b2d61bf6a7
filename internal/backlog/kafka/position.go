package kafka

import (
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
)

// noOffset is the committed offset of a group that has none:
// https://kafka.apache.org/protocol#The_Messages_OffsetFetch.
const noOffset = -1

// A position is where a consumer group stands in a partition.
type position struct {
	// committed is the offset of the next message that it gets; noOffset if it has committed none.
	committed int64
	// start is the first offset that exists, end the one after the last that its consumers may get,
	// and high the one after the last: end is lower while a transaction is open.
	start, end, high int64
}

// hasOffset reports whether the committed offset is one of this partition. One beyond its end is of
// an earlier topic of that name, or of messages that were lost.
func (p position) hasOffset() bool { return p.committed >= 0 && p.committed <= p.high }

// needsStart reports whether the lag depends on start.
func (p position) needsStart() bool { return !p.hasOffset() || p.committed < p.end }

// next returns the offset of the first message that the group still gets; missing is the value of
// missingOffset.
func (p position) next(missing string) int64 {
	switch {
	case p.hasOffset():
		return max(p.committed, p.start)
	case missing == missingLatest:
		return p.end
	default:
		return p.start
	}
}

// lag returns how many offsets the group has before it.
//
// Worked example: offsets 0 to 99 were written, retention has deleted those below 40, and the group
// has committed 10. Its consumers get 40 to 99, so the lag is 60 and not 90.
func (p position) lag(missing string) int64 { return max(0, p.end-p.next(missing)) }

// historySize is the number of ends of a partition that are kept, for the age of the oldest message.
const historySize = 24

// A mark is an end of a partition with the times at which it was read first and last.
type mark struct {
	end      int64
	from, to time.Time
}

// A history are ends of a partition, oldest first.
type history struct{ marks []mark }

// add notes an end. Where there is no room, every second of the older half is dropped.
func (h *history) add(end int64, now time.Time) {
	if n := len(h.marks); n > 0 {
		last := &h.marks[n-1]
		switch {
		case last.end == end:
			last.to = now
			return
		case end < last.end:
			h.marks = h.marks[:0]
		case n == historySize:
			kept := h.marks[:0]
			for i, m := range h.marks {
				if i%2 == 0 || i > historySize/2 {
					kept = append(kept, m)
				}
			}
			h.marks = kept
		}
	}
	h.marks = append(h.marks, mark{end: end, from: now, to: now})
}

// rests reports whether the end was the same when it was read last.
func (h *history) rests() bool {
	n := len(h.marks)
	return n > 0 && h.marks[n-1].to.After(h.marks[n-1].from)
}

// arrival returns when the message at an offset arrived.
//
// Worked example: the end was 100 until 12:00:00 and 200 at 12:00:10. Offset 150 arrived at about
// 12:00:05.
func (h *history) arrival(offset int64) backlog.Age {
	if len(h.marks) == 0 {
		return backlog.Age{}
	}
	if offset < h.marks[0].end {
		return backlog.Age{Since: h.marks[0].from, Kind: backlog.AgeLowerBound}
	}
	for i := 1; i < len(h.marks); i++ {
		before, after := h.marks[i-1], h.marks[i]
		if offset < after.end {
			share := float64(offset-before.end) / float64(after.end-before.end)
			return backlog.Age{Since: before.to.Add(time.Duration(share * float64(after.from.Sub(before.to)))), Kind: backlog.AgeInterpolated}
		}
	}
	return backlog.Age{}
}

const (
	// stuckAfter is how long a group must not advance in a partition with messages before it is
	// reported as stuck. Burrow judges ten commits, and consumers make one every 5 s:
	// https://github.com/linkedin/Burrow/wiki/Consumer-Lag-Evaluation-Rules.
	stuckAfter = time.Minute
	// quietAfter is how long neither the group nor the end of a partition must move before the few
	// messages that remain are looked at: a consumer commits every 5 s, and work takes time.
	quietAfter = 2 * time.Second
	// maxRest is up to which lag that happens. Each transaction leaves one marker.
	maxRest = 16
)

// A progress is how a group advances in a partition.
type progress struct {
	committed, end int64
	// since is when the group advanced, or had nothing to do, last. quiet is when the end moved last,
	// or the group did.
	since, quiet time.Time
	// busy reports that there are messages.
	busy bool
}

// note notes where the group is.
func (p *progress) note(at position, lag int64, now time.Time) {
	first := p.since.IsZero()
	moved := first || p.committed != at.committed
	if moved || lag == 0 {
		p.since = now
	}
	if moved || p.end != at.end {
		p.quiet = now
	}
	p.committed, p.end, p.busy = at.committed, at.end, lag > 0
}

func (p *progress) isStuck(now time.Time) bool { return now.Sub(p.since) >= stuckAfter }

func (p *progress) isQuiet(now time.Time) bool { return now.Sub(p.quiet) >= quietAfter }
