package server

import (
	"cmp"
	"slices"
	"strconv"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
)

// The bounds of a page of metrics. A series takes about a kilobyte while the page is built.
const (
	// maxReported is the number of triggers with series.
	maxReported = 20_000
	// maxNamedQueues is the number of queues of a namespace with series of their own, of the
	// triggers that have several.
	maxNamedQueues = 2000
	// maxParts is the number of queues of one trigger with series of their own. All others
	// are summed as one queue, otherQueues.
	maxParts    = 100
	otherQueues = "(others)"
	// labelQueue and labelTrigger are the indexes of these labels.
	labelQueue, labelTrigger = 3, 4
)

// A reported trigger is one with the values of its labels.
type reported struct {
	*liveTrigger

	labels [5]string
}

// labelsOf returns the values of the labels of a trigger.
func labelsOf(t *liveTrigger) [5]string {
	return [5]string{label(t.ref.GetNamespace()), label(t.ref.GetName()), t.trigger.Connection, label(t.trigger.Query.ShownQueue()), t.trigger.MetricName}
}

// onPage returns the triggers that a page reports, always in the same order, and the number
// of omitted ones by namespace. The first triggers of each namespace come first, so that no
// namespace is omitted because others have many.
func onPage(live []*liveTrigger) (shown []reported, omitted map[string]int) {
	shown = labeled(live)
	omitted = map[string]int{}
	if len(shown) <= maxReported {
		return shown, omitted
	}
	ranks, of := make(map[*liveTrigger]int, len(shown)), map[string]int{}
	for _, t := range shown {
		namespace := t.ref.GetNamespace()
		ranks[t.liveTrigger] = of[namespace]
		of[namespace]++
	}
	slices.SortStableFunc(shown, func(a, b reported) int { return cmp.Compare(ranks[a.liveTrigger], ranks[b.liveTrigger]) })
	for _, t := range shown[maxReported:] {
		omitted[t.ref.GetNamespace()]++
	}
	return shown[:maxReported], omitted
}

// labeled returns triggers in the order of their labels. Of several with the same labels it
// returns the most recently called one. Those whose names came from the environment are all
// returned, with numbers, because their labels do not distinguish them.
func labeled(live []*liveTrigger) []reported {
	all := make([]reported, len(live))
	for i, t := range live {
		all[i] = reported{t, labelsOf(t)}
	}
	slices.SortFunc(all, func(a, b reported) int {
		if c := slices.Compare(a.labels[:], b.labels[:]); c != 0 {
			return c
		}
		switch private := a.trigger.Query.Private(); {
		case private != b.trigger.Query.Private():
			return int(2*number(private)) - 1
		case private:
			return cmp.Compare(a.key, b.key)
		default:
			return cmp.Compare(b.lastCall.Load(), a.lastCall.Load())
		}
	})
	shown, same := all[:0], 0
	var last [5]string
	for _, t := range all {
		if t.labels != last {
			last, same = t.labels, 0
		}
		same++
		if same > 1 && !t.trigger.Query.Private() {
			continue
		}
		if same > 1 {
			t.labels[labelTrigger] += "#" + strconv.Itoa(same)
		}
		shown = append(shown, t)
	}
	return shown
}

// queues returns the queues of a reading with their labels as names. Of several, at most most
// have metrics of their own.
func queues(t *liveTrigger, r backlog.Reading, most int) []backlog.Part {
	if r.Parts == nil || t.trigger.Query.QueueFromEnv() {
		return []backlog.Part{{Queue: label(t.trigger.Query.ShownQueue()), Reading: r}}
	}
	most = max(0, min(most, maxParts, len(r.Parts)))
	parts := make([]backlog.Part, 0, most+1)
	for _, part := range r.Parts[:most] {
		parts = append(parts, backlog.Part{Queue: label(part.Queue), Reading: part.Reading})
	}
	if len(r.Parts) > most {
		parts = append(parts, backlog.Part{Queue: otherQueues, Reading: backlog.Aggregate(r.Parts[most:])})
	}
	return parts
}
