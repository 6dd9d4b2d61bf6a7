package server

import (
	"cmp"
	"fmt"
	"hash/fnv"
	"slices"
	"strings"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
)

// The bounds of a page of metrics. A series takes about a kilobyte while the page is made.
const (
	// maxReported is how many triggers have series.
	maxReported = 20_000
	// maxNamedQueues is how many queues of a namespace have series of their own, of the
	// triggers that ask for several.
	maxNamedQueues = 2000
	// maxParts is how many queues of one trigger have series of their own. All that have
	// none are one more together, named otherQueues.
	maxParts    = 100
	otherQueues = "(others)"
	// maxLabel is how long the value of a label may be, in bytes.
	maxLabel = 200
	// labelQueue is the place of the label queue.
	labelQueue = 3
)

// labelsOf are the values of the labels of a trigger.
func labelsOf(t *liveTrigger) [5]string {
	return [5]string{t.ref.GetNamespace(), t.ref.GetName(), t.trigger.Connection, label(t.trigger.Query.Queue), t.trigger.MetricName}
}

// label is the name of a queue, or of several, as the value of a label: a long one is cut
// and ends with a hash of it, so that different ones stay different.
func label(queue string) string {
	if len(queue) <= maxLabel {
		return queue
	}
	sum := fnv.New64a()
	_, _ = sum.Write([]byte(queue)) // a hash takes everything
	return fmt.Sprintf("%s...%016x", strings.ToValidUTF8(queue[:maxLabel-20], ""), sum.Sum64())
}

// onPage returns the triggers that a page reports, always in the same order, and how many
// of each namespace it leaves out. The first ones of each namespace come first, so that
// none is left out because others have many.
func onPage(live []*liveTrigger) (shown []*liveTrigger, left map[string]int) {
	slices.SortFunc(live, func(a, b *liveTrigger) int {
		x, y := labelsOf(a), labelsOf(b)
		return cmp.Or(slices.Compare(x[:], y[:]), cmp.Compare(b.asked.Load(), a.asked.Load()))
	})
	live = slices.CompactFunc(live, func(a, b *liveTrigger) bool { return labelsOf(a) == labelsOf(b) })
	left = map[string]int{}
	if len(live) <= maxReported {
		return live, left
	}
	ranks, of := make(map[*liveTrigger]int, len(live)), map[string]int{}
	for _, t := range live {
		namespace := t.ref.GetNamespace()
		ranks[t] = of[namespace]
		of[namespace]++
	}
	slices.SortStableFunc(live, func(a, b *liveTrigger) int { return cmp.Compare(ranks[a], ranks[b]) })
	for _, t := range live[maxReported:] {
		left[t.ref.GetNamespace()]++
	}
	return live[:maxReported], left
}

// queues are the queues of a reading, of which each has its metrics; of several at most so
// many have their own.
func queues(t *liveTrigger, r backlog.Reading, most int) []backlog.Part {
	most = max(0, min(most, maxParts))
	switch {
	case r.Parts == nil:
		return []backlog.Part{{Queue: t.trigger.Query.Queue, Reading: r}}
	case len(r.Parts) <= most:
		return r.Parts
	default:
		// A slice of its own: observations share the reading.
		parts := slices.Clone(r.Parts[:most])
		return append(parts, backlog.Part{Queue: otherQueues, Reading: backlog.Together(r.Parts[most:])})
	}
}
