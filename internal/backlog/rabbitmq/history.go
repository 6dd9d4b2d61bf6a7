package rabbitmq

import "time"

const (
	// maxPeaks bounds the memory of a queue. Two peaks become one where there are more.
	maxPeaks = 32
	// forgetAfter is for how long a queue is remembered that is not read.
	forgetAfter = 10 * time.Minute
	// longestRest is the longest time between two questions for a queue that does not exist: each
	// closes a channel and writes a line to the log of the server.
	longestRest = 5 * time.Second
	// firstRest is the time before the third question; the second one follows at once. It doubles
	// with each.
	firstRest = 50 * time.Millisecond
	// hungRest is the time before a queue is asked for again that did not answer: it may hold a
	// channel up.
	hungRest = 10 * time.Second
)

// A history is what earlier reads found of a queue. The goroutine that reads owns it.
type history struct {
	// peaks are when how many messages were ready, oldest first, each more than the later ones.
	peaks []peak
	// exists is since when the queue is known to exist, and empty since when each answer was
	// 0 messages and 0 consumers and came soon enough; zero if it was not.
	exists, empty time.Time
	// unproven is since when an empty queue is not believed to be empty.
	unproven time.Time
	// misses counts the answers that the queue does not exist.
	misses int
	// rest is until when the queue is not asked for, and resting why.
	rest    time.Time
	resting answer
	// read is when the queue was read last.
	read time.Time
}

// A peak is how many messages were ready at a time.
type peak struct {
	at    time.Time
	ready int64
}

// note takes an answer over that is no error.
func (h *history) note(a answer) {
	if a.missing {
		h.misses++
		h.exists, h.empty, h.unproven, h.peaks = time.Time{}, time.Time{}, time.Time{}, nil
		if h.misses > 1 {
			h.sleep(a, min(firstRest<<min(h.misses-2, 10), longestRest))
		}
		return
	}
	h.misses = 0
	if h.exists.IsZero() {
		h.exists = a.at
	}
	for len(h.peaks) > 0 && h.peaks[len(h.peaks)-1].ready <= a.ready {
		h.peaks = h.peaks[:len(h.peaks)-1]
	}
	if h.peaks = append(h.peaks, peak{a.at, a.ready}); len(h.peaks) > maxPeaks {
		// The two oldest become one that is as high as the higher and as late as the later.
		h.peaks[1].ready = h.peaks[0].ready
		h.peaks = append(h.peaks[:0], h.peaks[1:]...)
	}
	switch isEmpty := a.ready == 0 && a.consumers == 0; {
	case !isEmpty || a.took >= leaderTimeout:
		h.empty = time.Time{}
	case h.empty.IsZero():
		h.empty = a.at
	}
}

// sleep notes that the queue is not asked for again for a time.
func (h *history) sleep(a answer, rest time.Duration) {
	h.rest, h.resting = time.Now().Add(rest), a
}

// peakSince returns the most messages that were ready after a time. It forgets those before.
func (h *history) peakSince(after time.Time) int64 {
	for len(h.peaks) > 1 && !h.peaks[0].at.After(after) {
		h.peaks = h.peaks[1:]
	}
	if len(h.peaks) == 0 || !h.peaks[0].at.After(after) {
		return 0
	}
	return h.peaks[0].ready
}

// restart forgets what another server's answers have proven.
func (h *history) restart() {
	h.empty, h.rest = time.Time{}, time.Time{}
}
