package sampler

import (
	"slices"
	"sync"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
)

// maxHistory bounds the past readings of one watch, counted in queues: twenty readings of a
// thousand queues each, or all readings of one queue in an hour, one a second.
const maxHistory = 20_000

const (
	// historyPerNamespace bounds the past readings of all watches of a namespace, and
	// historyTotal those of all namespaces. Both are shared in equal parts. Each queue of a
	// reading takes some 300 bytes. The more watches there are, the coarser is the history of
	// each: see coarsen.
	historyPerNamespace = 60_000
	historyTotal        = 300_000
	// maxSpareCapacity is how many unused elements an array of readings may have.
	maxSpareCapacity = 32
)

// A historyBudget divides the memory for past readings among the watches. It is safe for
// concurrent use.
type historyBudget struct {
	// mu guards watches, the number of watches of each namespace. No other lock is taken while
	// it is held.
	mu      sync.Mutex
	watches map[string]int
}

func newHistoryBudget() *historyBudget { return &historyBudget{watches: map[string]int{}} }

// add counts a watch of a namespace.
func (s *historyBudget) add(namespace string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.watches[namespace]++
}

// remove ends the count of a watch of a namespace.
func (s *historyBudget) remove(namespace string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.watches[namespace]--
	if s.watches[namespace] == 0 {
		delete(s.watches, namespace)
	}
}

// perWatch returns how much history one watch of a namespace may keep, counted in queues.
func (s *historyBudget) perWatch(namespace string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	whole := min(historyPerNamespace, historyTotal/max(1, len(s.watches)))
	return min(maxHistory, whole/max(1, s.watches[namespace]))
}

// coarsen returns about half as many readings. Each stands for two neighbours: it has the
// larger of their counts, and the time of the later one. So the largest value within a window
// is never lower than before, and stays visible for longer by the distance of two readings at
// most. Readings of different epochs are not merged.
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

// merge returns a reading that asks for at least as much work as either of two neighbours.
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

// mergeCounts merges everything but the parts. Counters are those of the later reading.
func mergeCounts(earlier, later backlog.Reading) backlog.Reading {
	r := later
	r.Ready, r.Due = max(earlier.Ready, later.Ready), max(earlier.Due, later.Due)
	r.InFlight = backlog.Count{N: max(earlier.InFlight.N, later.InFlight.N), Known: earlier.InFlight.Known && later.InFlight.Known}
	if earlier.Measured.Known && earlier.Measured.Milli > later.Measured.Milli {
		r.Measured = earlier.Measured
	}
	r.Missing, r.Paused = earlier.Missing && later.Missing, earlier.Paused && later.Paused
	if r.MaxUseful = max(earlier.MaxUseful, later.MaxUseful); earlier.MaxUseful == 0 || later.MaxUseful == 0 {
		r.MaxUseful = 0
	}
	if later.Oldest.Kind == backlog.AgeUnknown || earlier.Oldest.Kind != backlog.AgeUnknown && earlier.Oldest.Since.Before(later.Oldest.Since) {
		r.Oldest = earlier.Oldest
	}
	return r
}

// shorten returns past with room for one more reading of so many queues, so that at most most
// queues are kept.
func shorten(past []backlog.Reading, queues, most int) []backlog.Reading {
	for len(past) > 2 && (len(past)+1)*queues > most {
		coarser := coarsen(past)
		if len(coarser) == len(past) {
			// Each has an epoch of its own, so none can be merged. The older half is dropped.
			coarser = slices.Clone(past[len(past)/2:])
		}
		past = coarser
	}
	return past
}

// dropExpired returns the readings within the window at a moment. It releases the array behind
// them if most of it is unused.
func dropExpired(past []backlog.Reading, at time.Time, window time.Duration) []backlog.Reading {
	for len(past) > 0 && at.Sub(past[0].At) > window {
		past = past[1:]
	}
	if cap(past) > 2*len(past)+maxSpareCapacity {
		return slices.Clip(slices.Clone(past))
	}
	return past
}
