package rabbitmq

import (
	"fmt"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/rabbitmq/management"
)

const (
	// leaderTimeout is how long a server waits for the leader of a quorum queue before it answers
	// 0 messages and 0 consumers, without an error:
	// https://github.com/rabbitmq/rabbitmq-server/blob/main/deps/rabbit/src/rabbit_quorum_queue.erl (stat/1).
	leaderTimeout = 250 * time.Millisecond
	// emptyFor is for how long a queue that may have no leader has to be empty before it is believed.
	// After the leader of a queue was killed the answer was 0 and 0 at once, for 0.36 s.
	emptyFor = 2 * time.Second
	// emptyUnlisted is the same without a management API, which says whether there is a leader. A
	// frozen leader was replaced after 6.6 s.
	emptyUnlisted = 10 * time.Second
	// slack is added to what the server says about the age of its numbers.
	slack = time.Second
	// proofPatience is for how long an empty queue may stay unproven before that is an error of the
	// server.
	proofPatience = 15 * time.Second
)

// The remarks about a reading.
const (
	unmanaged = "the number of messages in flight is not known without the management API (managementURL)"
	outdated  = "the management API does not answer, so that the number of messages in flight may have changed"
	uncounted = "the management API does not know the number of messages in flight yet"
)

// A verdict is what an answer means. ask demands another listing, after which the verdict may differ.
type verdict struct {
	reading backlog.Reading
	err     error
	// pending reports that the verdict is preliminary.
	pending, ask bool
}

// rules are what judging depends on.
type rules struct {
	managed bool
	// interval is that of listings, tick the age of numbers of quorum queues, and hold that of
	// inFlightHold.
	interval, tick, hold time.Duration
	countsConsumers      bool
}

// judge returns what an answer for a queue means that is no error. The history has it already. l is
// the last listing, nil if there is none, and failure why there is no later one, nil if none failed.
func (r rules) judge(queue string, a answer, h *history, l *management.Listing, failure error) verdict {
	reading := backlog.Reading{At: a.at, Ready: a.ready}
	switch {
	case a.missing:
		return verdict{reading: backlog.Reading{At: a.at, Missing: true, InFlight: backlog.Exactly(0), Consumers: backlog.Exactly(0)}}
	case !r.managed:
		return r.unmanaged(reading, a, h)
	case l == nil && failure != nil:
		return verdict{err: fmt.Errorf("ask the management API: %w", failure)}
	case l == nil:
		return verdict{err: fmt.Errorf("%w: the management API has not answered yet", backlog.ErrUnavailable), pending: true, ask: true}
	}
	one, known := l.Queues[queue]
	switch {
	case !known:
		return r.unlisted(a, h, l, failure)
	case one.Kind == management.TypeStream:
		return verdict{err: errStream}
	default:
		return r.managedReading(reading, a, h, l, one, failure)
	}
}

// errStream is a stream, whose messages stay after they were read. The number of those that a consumer
// has not read follows from the offset that the consumer stores.
var errStream = fmt.Errorf("%w: it is a stream, whose messages stay after they were read, so that their number is no backlog; name it by the layout stream, which measures the lag of a consumer", backlog.ErrMismatch)

// unlisted returns the verdict on a queue that answers and that the listing does not have: it is new,
// or the listing missed it because others were deleted meanwhile.
func (r rules) unlisted(a answer, h *history, l *management.Listing, failure error) verdict {
	err := failure
	if err == nil {
		err = fmt.Errorf("%w: the management API does not list the queue", backlog.ErrPartial)
	}
	recent := l.Began.Before(h.exists) || a.at.Sub(h.exists) < proofPatience
	return verdict{err: err, pending: failure == nil && recent, ask: true}
}

// managedReading returns the verdict on a classic or quorum queue.
func (r rules) managedReading(reading backlog.Reading, a answer, h *history, l *management.Listing, one management.Queue, failure error) verdict {
	reading.Consumers = r.consumers(a, one.Kind)
	if one.Single {
		reading.MaxUseful = 1
	}
	if v, proven := r.prove(a, h, l, one, failure); !proven {
		return v
	}
	old := a.at.Sub(l.Began) > 3*r.interval+slack
	if !one.Counted {
		return withoutCount(reading, failure)
	}
	// What was ready since the numbers were taken and is not any more may be in flight.
	since := l.Began
	if one.Kind != management.TypeClassic {
		since = since.Add(-r.tick - slack)
	}
	inFlight := max(one.Unacked, one.Total-a.ready, h.peakSince(since)-a.ready, 0)
	reading.InFlight = backlog.Exactly(inFlight)
	if inFlight > one.Unacked {
		reading.Quality = backlog.UpperBound
	}
	switch {
	case old && a.ready+inFlight == 0:
		return verdict{err: outdatedError(failure)}
	case old:
		reading.InFlight.Known, reading.Quality, reading.Warning = false, backlog.UpperBound, outdated
	}
	// Nothing is ready any more. Whether it is in flight or done decides whether the workload may go.
	unsettled := a.ready == 0 && inFlight > one.Unacked
	return verdict{reading: reading, pending: unsettled && !old, ask: unsettled}
}

// consumers returns the number of consumers. Before 4.3 a passive declaration of a quorum queue
// returns the messages in flight in its place:
// https://github.com/rabbitmq/rabbitmq-server/pull/16185.
func (r rules) consumers(a answer, kind string) backlog.Count {
	if kind == management.TypeClassic || r.countsConsumers {
		return backlog.Exactly(a.consumers)
	}
	return backlog.Count{}
}

// withoutCount returns the verdict on a queue whose messages in flight the server does not know, as
// right after its leader has changed.
func withoutCount(reading backlog.Reading, failure error) verdict {
	switch {
	case reading.Ready > 0:
		reading.Quality, reading.Warning = backlog.LowerBound, uncounted
		return verdict{reading: reading, ask: true}
	case failure != nil:
		return verdict{err: outdatedError(failure)}
	default:
		return verdict{err: fmt.Errorf("%w: "+uncounted, backlog.ErrPartial), pending: true, ask: true}
	}
}

func outdatedError(failure error) error {
	if failure == nil {
		return fmt.Errorf("%w: the management API does not answer", backlog.ErrUnavailable)
	}
	return fmt.Errorf("ask the management API: %w", failure)
}

// prove reports whether an answer is that of the queue, and not one that stands for a leader that
// does not answer:
//
//  1. A classic queue answers itself or not at all.
//  2. Any other number than 0 comes from the leader.
//  3. Two zeros are believed where they come sooner than a leader is waited for, and have come for
//     emptyFor, and where a listing that was asked for after the first of them says that the leader
//     runs.
func (r rules) prove(a answer, h *history, l *management.Listing, one management.Queue, failure error) (v verdict, proven bool) {
	if one.Kind == management.TypeClassic || a.ready > 0 || a.consumers > 0 {
		h.unproven = time.Time{}
		return verdict{}, true
	}
	stale := a.at.Sub(l.Began) > 3*r.interval+slack
	if !h.empty.IsZero() && a.at.Sub(h.empty) >= emptyFor && !l.Began.Before(h.empty) && one.Available && !stale {
		h.unproven = time.Time{}
		return verdict{}, true
	}
	if h.unproven.IsZero() {
		h.unproven = a.at
	}
	var why string
	switch {
	case a.took >= leaderTimeout:
		why = "the leader of the queue does not answer"
	case !one.Available && !l.Began.Before(h.empty):
		why = fmt.Sprintf("the queue has no leader that runs (state %q)", backlog.Line(one.State))
	case stale && failure != nil:
		return verdict{err: outdatedError(failure)}, false
	default:
		why = "the queue may be empty, or its leader not answer: that is being verified"
	}
	return verdict{err: fmt.Errorf("%w: %s", backlog.ErrUnavailable, why), pending: a.at.Sub(h.unproven) < proofPatience, ask: true}, false
}

// unmanaged returns the verdict where there is no management API. What kind of queue it is, and what
// is in flight, is unknown.
func (r rules) unmanaged(reading backlog.Reading, a answer, h *history) verdict {
	reading.Quality, reading.Warning = backlog.LowerBound, unmanaged
	if r.countsConsumers {
		reading.Consumers = backlog.Exactly(a.consumers)
	}
	switch {
	case a.ready > 0:
		return verdict{reading: reading}
	case a.consumers > 0:
		// A policy, and no knowledge: the consumers have most likely taken what was ready.
		if h.peakSince(a.at.Add(-r.hold)) > 0 {
			reading.InFlight.N = 1
		}
		return verdict{reading: reading}
	case !h.empty.IsZero() && a.at.Sub(h.empty) >= emptyUnlisted:
		h.unproven = time.Time{}
		return verdict{reading: reading}
	}
	if h.unproven.IsZero() {
		h.unproven = a.at
	}
	why := "the queue may be empty, or its leader not answer: that is being verified"
	if a.took >= leaderTimeout {
		why = "the leader of the queue does not answer, if it is a quorum queue"
	}
	return verdict{err: fmt.Errorf("%w: %s", backlog.ErrUnavailable, why), pending: a.at.Sub(h.unproven) < proofPatience+emptyUnlisted}
}
