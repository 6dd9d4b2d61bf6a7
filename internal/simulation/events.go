package simulation

import "time"

// A kind is what happens.
type kind uint8

// The kinds of events.
const (
	// finished is a replica that is done with a message.
	finished kind = iota
	// ready is a replica that has started.
	ready
	// killed is a stopped replica whose grace period has ended.
	killed
	// noticed is a read of the queue by the scaler.
	noticed
	// repeated is a stream that may have to send something although no reading is new.
	repeated
	// decided is a policy that may decide otherwise by time alone.
	decided
	// jumped is a write of replicas by the scaler.
	jumped
	// polled is a poll of KEDA, and synced a sync of the HorizontalPodAutoscaler.
	polled
	synced
)

// An event happens at a time. Of those at the same time the first that was added comes first.
type event struct {
	at      time.Duration
	number  uint64
	kind    kind
	replica *replica
	message int32
	// trigger is an index.
	trigger int
}

func (e *event) before(other *event) bool {
	return e.at < other.at || e.at == other.at && e.number < other.number
}

// events is a heap, the next one at its root.
type events struct {
	heap []event
	next uint64
}

// add adds an event.
func (q *events) add(e event) {
	q.next++
	e.number = q.next
	q.heap = append(q.heap, e)
	for i := len(q.heap) - 1; i > 0; {
		parent := (i - 1) / 2
		if !q.heap[i].before(&q.heap[parent]) {
			return
		}
		q.heap[i], q.heap[parent] = q.heap[parent], q.heap[i]
		i = parent
	}
}

// take removes the next event. There has to be one.
func (q *events) take() event {
	first, last := q.heap[0], len(q.heap)-1
	q.heap[0] = q.heap[last]
	q.heap = q.heap[:last]
	for i := 0; ; {
		least := i
		for _, child := range []int{2*i + 1, 2*i + 2} {
			if child < last && q.heap[child].before(&q.heap[least]) {
				least = child
			}
		}
		if least == i {
			return first
		}
		q.heap[i], q.heap[least] = q.heap[least], q.heap[i]
		i = least
	}
}
