package sampler

import (
	"slices"
	"sync"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
)

// maxPast bounds the past readings of one watch, counted in queues: twenty readings of a
// thousand queues each, or all that one queue has in an hour, one a second.
const maxHistory = 20_000

const (
	// pastPerNamespace bounds the past readings of all watches of a namespace, and pastInAll
	// those of all together, in equal parts. Each queue of a reading takes some 300 bytes. The more watches
	// there are, the coarser is the past of each: see coarsen.
	historyPerNamespace = 60_000
	historyTotal        = 300_000
	// spareArray is how many readings an array may have room for that are not there.
	maxSpareCapacity = 32
)

// shares says how much past each watch may keep. It is safe for concurrent use.
type historyBudget struct {
	// mu is a leaf: nothing else is locked while it is held.
	mu      sync.Mutex
	watches map[string]int
}

func newHistoryBudget() *historyBudget { return &historyBudget{watches: map[string]int{}} }

// join counts a watch of a namespace.
func (s *historyBudget) add(namespace string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.watches[namespace]++
}

// leave counts it no more.
func (s *historyBudget) remove(namespace string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.watches[namespace]--
	if s.watches[namespace] == 0 {
		delete(s.watches, namespace)
	}
}

// of returns how much one watch of a namespace may keep, counted in queues.
func (s *historyBudget) perWatch(namespace string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	whole := min(historyPerNamespace, historyTotal/max(1, len(s.watches)))
	return min(maxHistory, whole/max(1, s.watches[namespace]))
}

// coarsen returns about half as many readings: each stands for two neighbours and has the
// larger of their counts, at the time of the later one. So what holds the largest value
// of a window never sees less than before, and sees it for longer by the distance of two
// readings at most. Readings of different epochs stay apart.
func coarsen(past []backlog.Reading) []backlog.Reading {
	half := make([]backlog.Reading, 0, len(past)/2+1)
	for i := 0; i < len(past); i++ {
		r := past[i]
		if i+1 < len(past) && past[i+1].Epoch == r.Epoch {
			i++
			r = merge(r, past[i])
		}
		half = append(half, r)
	}
	return half
}

// merge returns a reading that asks for at least as much as either of two neighbours.
func merge(earlier, later backlog.Reading) backlog.Reading {
	r := mergeCounts(earlier, later)
	r.Parts = slices.Clone(later.Parts)
	places := make(map[string]int, len(r.Parts))
	for i, part := range r.Parts {
		places[part.Queue] = i
	}
	for _, part := range earlier.Parts {
		if i, both := places[part.Queue]; both {
			r.Parts[i].Reading = mergeCounts(part.Reading, r.Parts[i].Reading)
		} else {
			r.Parts = append(r.Parts, part)
		}
	}
	return r
}

// mergeCounts merges all but the parts. Counters are those of the later reading.
func mergeCounts(earlier, later backlog.Reading) backlog.Reading {
	r := later
	r.Ready, r.Due = max(earlier.Ready, later.Ready), max(earlier.Due, later.Due)
	r.InFlight = backlog.Count{N: max(earlier.InFlight.N, later.InFlight.N), Known: earlier.InFlight.Known && later.InFlight.Known}
	r.Missing, r.Paused = earlier.Missing && later.Missing, earlier.Paused && later.Paused
	if r.MaxUseful = max(earlier.MaxUseful, later.MaxUseful); earlier.MaxUseful == 0 || later.MaxUseful == 0 {
		r.MaxUseful = 0
	}
	if later.Oldest.Kind == backlog.AgeUnknown || earlier.Oldest.Kind != backlog.AgeUnknown && earlier.Oldest.Since.Before(later.Oldest.Since) {
		r.Oldest = earlier.Oldest
	}
	return r
}

// bounded returns past with room for one more reading of so many queues, so that it keeps
// most queues.
func shorten(past []backlog.Reading, queues, most int) []backlog.Reading {
	for len(past) > 2 && (len(past)+1)*queues > most {
		coarser := coarsen(past)
		if len(coarser) == len(past) {
			// Each has an epoch of its own: the oldest ones go.
			coarser = slices.Clone(past[len(past)/2:])
		}
		past = coarser
	}
	return past
}

// within returns the readings that are not older than the window at a moment, and lets go of
// the array behind them if most of it is unused.
func dropExpired(past []backlog.Reading, at time.Time, window time.Duration) []backlog.Reading {
	for len(past) > 0 && at.Sub(past[0].At) > window {
		past = past[1:]
	}
	if cap(past) > 2*len(past)+maxSpareCapacity {
		return slices.Clip(slices.Clone(past))
	}
	return past
}
