package simulation

import (
	"cmp"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/hpa"
	"github.com/backlog-scaler/backlog-scaler/internal/simulation/trace"
)

// A message is one of the queue.
type message struct {
	at, work time.Duration
}

// A Load is the messages of one seed. Candidates share it, so that they differ by nothing else.
type Load struct {
	messages []message
	// end is the length of the trace.
	end time.Duration
	// start is the time of the offset zero.
	start time.Time
	seed  uint64
}

// The streams of random numbers of a seed, so that what one draws does not change another.
const (
	streamArrivals = iota + 1
	streamService
	streamStartup
	streamPhases
)

func stream(seed, number uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, number)) } //nolint:gosec // not for secrets

// DefaultStart returns the time of the offset zero where a trace is of no particular day: the midnight of
// a Monday, in UTC.
func DefaultStart() time.Time { return time.Date(2026, time.January, 5, 0, 0, 0, 0, time.UTC) }

// NewLoad draws the messages of a seed: when within its time each arrives, and how long it takes.
func NewLoad(t *trace.Trace, w *Workers, seed uint64) *Load {
	arrivals, service := stream(seed, streamArrivals), stream(seed, streamService)
	load := &Load{end: t.End, start: t.Start, seed: seed, messages: make([]message, 0, t.Messages())}
	if load.start.IsZero() {
		load.start = DefaultStart()
	}
	for _, a := range t.Arrivals {
		for range a.Count {
			m := message{at: a.At, work: a.Work}
			if a.Over > 0 {
				m.at += time.Duration(arrivals.Int64N(int64(a.Over)))
			}
			if m.work == 0 {
				m.work = w.Service.draw(service)
			}
			load.messages = append(load.messages, m)
		}
	}
	slices.SortStableFunc(load.messages, func(a, b message) int { return cmp.Compare(a.at, b.at) })
	return load
}

// Phases draws the phases of the seed for a candidate.
func (l *Load) Phases(c *Candidate) Phases {
	random := stream(l.seed, streamPhases)
	poll, sync := random.Float64(), random.Float64()
	return Phases{Poll: scale(c.Polling, poll), Sync: scale(hpa.SyncPeriod, sync)}
}
