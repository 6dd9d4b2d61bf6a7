package backlog

import (
	"slices"
	"strings"
	"time"
)

// partWarnings is how many warnings, and how many hints, of its parts an aggregate keeps.
const partWarnings = 3

// A Part is one queue of an aggregate reading.
type Part struct {
	Queue string
	// Reading has no parts of its own; At and Epoch are those of the whole.
	Reading Reading
}

// Aggregate returns the reading of several queues: the sums of their counts. It is missing,
// paused or limited only if all of them are, and has the worst quality among them.
func Aggregate(parts []Part) Reading {
	whole := Reading{Parts: parts, Missing: true, Paused: len(parts) > 0, InFlight: Exactly(0)}
	if len(parts) > 0 {
		whole.Enqueued, whole.Dequeued, whole.Passed = Exactly(0), Exactly(0), Exactly(0)
	}
	limited, aged := true, true
	var warnings, hints []string
	for i := range parts {
		r := &parts[i].Reading
		whole.Ready += r.Ready
		whole.Due += r.Due
		whole.MaxUseful += r.MaxUseful
		limited = limited && r.MaxUseful > 0
		whole.InFlight = whole.InFlight.plus(r.InFlight)
		whole.Enqueued = whole.Enqueued.plus(r.Enqueued)
		whole.Dequeued = whole.Dequeued.plus(r.Dequeued)
		whole.Passed = whole.Passed.plus(r.Passed)
		// The same workers may serve them all.
		whole.Consumers = Count{N: max(whole.Consumers.N, r.Consumers.N), Known: whole.Consumers.Known || r.Consumers.Known}
		whole.Missing = whole.Missing && r.Missing
		whole.Paused = whole.Paused && r.Paused
		whole.Quality = max(whole.Quality, r.Quality)
		whole.NextDue = earlier(whole.NextDue, r.NextDue)
		whole.Oldest = whole.Oldest.or(r.Oldest)
		aged = aged && (r.Oldest.Kind != AgeUnknown || r.Ready+r.Due == 0)
		whole.Orphaned += r.Orphaned
		whole.Ignored += r.Ignored
		whole.addWorkers(r.Workers)
		warnings = addText(warnings, r.Warning)
		hints = addText(hints, r.Hint)
	}
	if !limited {
		whole.MaxUseful = 0
	}
	if !aged && whole.Oldest.Kind != AgeUnknown {
		whole.Oldest.Kind = AgeLowerBound
	}
	whole.Warning = strings.Join(warnings[:min(len(warnings), partWarnings)], "; ")
	whole.Hint = strings.Join(hints[:min(len(hints), partWarnings)], "; ")
	return whole
}

// addWorkers adds the workers of a part. A host with a busy worker is busy.
func (r *Reading) addWorkers(workers map[string]bool) {
	if workers != nil && r.Workers == nil {
		r.Workers = make(map[string]bool, len(workers))
	}
	for host, busy := range workers {
		r.Workers[host] = r.Workers[host] || busy
	}
}

// addText appends a text that is not empty and not among texts yet.
func addText(texts []string, text string) []string {
	if text == "" || slices.Contains(texts, text) {
		return texts
	}
	return append(texts, text)
}

// plus returns the sum. It is known only if both counts are; the known part of one is kept.
func (c Count) plus(other Count) Count {
	return Count{N: c.N + other.N, Known: c.Known && other.Known}
}

// or returns the older of two ages; either may be unknown.
func (a Age) or(b Age) Age {
	if a.Kind == AgeUnknown || b.Kind != AgeUnknown && b.Since.Before(a.Since) {
		return b
	}
	return a
}

// earlier returns the earlier of two times, where zero means none.
func earlier(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}
