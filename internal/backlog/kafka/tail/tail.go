package tail

import (
	"context"
	"errors"
	"math"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/network"
)

const (
	// maxWait is how long a broker holds a fetch without news. A partition that becomes idle
	// meanwhile is part of the next one, so this is also the longest time that it is polled.
	maxWait = 500 * time.Millisecond
	// tailBackoff is the time between a fetch that failed and the next one.
	tailBackoff = 250 * time.Millisecond
	// tailIdle is how long the goroutine of a broker stays without work.
	tailIdle = time.Minute
)

// A Place is a partition of a topic.
type Place struct {
	Topic     string
	Partition int32
}

// A spot is the end of a partition at which the tail of its broker waits.
type spot struct {
	offset int64
	// held reports that a fetch with this offset was sent. From then on the broker reports each
	// change, or the fetch fails.
	held bool
	// queries are woken by a change, with the time of the read that armed each last.
	queries map[backlog.Query]time.Time
}

// A tail waits at the ends of partitions that one broker leads, as a consumer does that belongs to no
// group. One fetch covers all partitions:
//
//  1. A read arms a partition at the end that it has read. The next fetch of the session has it, and
//     from then on the spot is held.
//  2. The broker answers when the end of any partition moves, or after maxWait. A session (KIP-227)
//     names only partitions that changed, in both directions, so thousands of idle ones cost nothing.
//  3. A partition that moved leaves the session, and its queries are woken. They are read, and armed
//     at the new end.
//
// A spot at the end that was read misses nothing: what arrives before the fetch does is reported by
// that fetch at once.
type tail struct {
	broker int32
	all    *Tails
	// signal holds a value while there may be work.
	signal chan struct{}

	// mu guards the fields below: reads arm, the goroutine of the tail sends and clears.
	mu    sync.Mutex
	spots map[Place]*spot
	// dirty are the places that differ from what the session has.
	dirty map[Place]struct{}
	// probes are the ranges of offsets to look into.
	probes map[Span]backlog.Query

	// session and epoch name the next fetch, and holds is whether the session has a place. The
	// goroutine of the tail owns them.
	session, epoch int32
	holds          map[Place]struct{}
}

func newTail(broker int32, all *Tails) *tail {
	return &tail{
		broker: broker, all: all, signal: make(chan struct{}, 1),
		spots: make(map[Place]*spot), dirty: make(map[Place]struct{}), probes: make(map[Span]backlog.Query), holds: make(map[Place]struct{}),
	}
}

// arm notes that a query was read with this end, and reports whether each change after it wakes.
func (t *tail) arm(at Place, offset int64, q backlog.Query, now time.Time) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	known := t.spots[at]
	if known != nil && known.offset == offset {
		known.queries[q] = now
		return known.held
	}
	if known != nil {
		// The end has moved since these were read.
		t.all.wake(known, q)
	}
	t.spots[at] = &spot{offset: offset, queries: map[backlog.Query]time.Time{q: now}}
	t.dirty[at] = struct{}{}
	t.notify()
	return false
}

func (t *tail) notify() {
	select {
	case t.signal <- struct{}{}:
	default:
	}
}

// run waits at the ends until life ends, or until there was nothing to do for long.
func (t *tail) run(life context.Context) {
	idle := time.NewTimer(tailIdle)
	defer idle.Stop()
	for life.Err() == nil {
		if !t.hasWork() {
			idle.Reset(tailIdle)
			select {
			case <-life.Done():
			case <-t.signal:
			case <-idle.C:
				if t.all.remove(t) {
					return
				}
			}
			continue
		}
		if err := t.round(life); err != nil && life.Err() == nil {
			t.fail(life, err)
		}
	}
}

func (t *tail) hasWork() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.spots)+len(t.probes)+len(t.dirty) > 0
}

// round looks into the ranges that were asked for, and then waits once at the ends.
func (t *tail) round(life context.Context) (err error) {
	defer backlog.Contain(&err)
	if err := t.probe(life); err != nil {
		return err
	}
	request := t.request()
	response, err := t.all.brokers.Fetch(life, t.broker, request)
	if err != nil {
		return err
	}
	return t.take(response)
}

// request returns the next fetch: all spots in a new session, else those that differ.
func (t *tail) request() *kmsg.FetchRequest {
	t.mu.Lock()
	defer t.mu.Unlock()
	r := newFetch(maxWait)
	r.SessionID, r.SessionEpoch = t.session, t.epoch
	if t.session == 0 {
		r.SessionEpoch = 0
		clear(t.holds)
		for at := range t.spots {
			t.dirty[at] = struct{}{}
		}
	}
	topics := newFetchTopics(r)
	forgotten := make(map[string][]int32)
	for at := range t.dirty {
		s := t.spots[at]
		if s == nil {
			if _, holds := t.holds[at]; holds {
				forgotten[at.Topic] = append(forgotten[at.Topic], at.Partition)
				delete(t.holds, at)
			}
			continue
		}
		topics.add(at, s.offset, 1)
		s.held = true
		t.holds[at] = struct{}{}
	}
	clear(t.dirty)
	for name, partitions := range forgotten {
		gone := kmsg.NewFetchRequestForgottenTopic()
		gone.Topic, gone.Partitions = name, partitions
		r.ForgottenTopics = append(r.ForgottenTopics, gone)
	}
	return r
}

// take takes over an answer.
func (t *tail) take(response *kmsg.FetchResponse) error {
	switch err := kerr.ErrorForCode(response.ErrorCode); {
	case errors.Is(err, kerr.FetchSessionIDNotFound), errors.Is(err, kerr.InvalidFetchSessionEpoch):
		// The broker has dropped the session. A new one begins at the same offsets.
		t.session, t.epoch = 0, 0
		return nil
	case err != nil:
		return err
	}
	switch {
	case response.SessionID == 0:
		// The broker has no room for a session, so that each fetch names all partitions.
		t.session, t.epoch = 0, 0
	case response.SessionID != t.session:
		t.session, t.epoch = response.SessionID, 1
	case t.epoch == math.MaxInt32:
		t.epoch = 1
	default:
		t.epoch++
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	for i := range response.Topics {
		topic := &response.Topics[i]
		for j := range topic.Partitions {
			t.report(Place{topic.Topic, topic.Partitions[j].Partition}, &topic.Partitions[j])
		}
	}
	return nil
}

// report wakes the queries of a partition that has changed, or cannot be waited at. mu is held.
func (t *tail) report(at Place, p *kmsg.FetchResponseTopicPartition) {
	s := t.spots[at]
	if s == nil {
		return
	}
	err := kerr.ErrorForCode(p.ErrorCode)
	// A spot that is not held was moved while the fetch waited at the old offset.
	if err == nil && p.HighWatermark <= s.offset && (!s.held || len(p.RecordBatches) == 0) {
		return
	}
	if errors.Is(err, kerr.TopicAuthorizationFailed) {
		t.all.deny(at.Topic)
	}
	delete(t.spots, at)
	t.dirty[at] = struct{}{}
	t.all.wake(s, backlog.Query{})
}

// fail gives up all spots after a failed fetch, because changes may have been missed.
func (t *tail) fail(life context.Context, err error) {
	t.session, t.epoch = 0, 0
	clear(t.holds)
	t.mu.Lock()
	lost := len(t.spots) > 0
	clear(t.spots)
	clear(t.dirty)
	clear(t.probes)
	t.mu.Unlock()
	if lost {
		t.all.wakes.WakeAll()
	}
	if network.IsTimeout(err) || errors.Is(err, context.DeadlineExceeded) {
		t.all.brokers.Silence(t.broker)
	}
	timer := time.NewTimer(tailBackoff)
	defer timer.Stop()
	select {
	case <-life.Done():
	case <-timer.C:
	}
}

// sweep drops queries that are not read any more.
func (t *tail) sweep(before time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for at, s := range t.spots {
		for q, armed := range s.queries {
			if armed.Before(before) {
				delete(s.queries, q)
			}
		}
		if len(s.queries) == 0 {
			delete(t.spots, at)
			t.dirty[at] = struct{}{}
		}
	}
}

// newFetch returns a fetch without partitions, that asks for as little as there is.
func newFetch(wait time.Duration) *kmsg.FetchRequest {
	r := kmsg.NewPtrFetchRequest()
	r.ReplicaID = -1
	r.MaxWaitMillis = int32(wait.Milliseconds()) //nolint:gosec // less than a second
	r.MinBytes, r.MaxBytes = 1, 1
	return r
}

// fetchTopics adds partitions to a fetch, by topic.
type fetchTopics struct {
	request *kmsg.FetchRequest
	index   map[string]int
}

func newFetchTopics(r *kmsg.FetchRequest) *fetchTopics {
	return &fetchTopics{request: r, index: make(map[string]int)}
}

func (f *fetchTopics) add(at Place, offset int64, maxBytes int32) {
	i, known := f.index[at.Topic]
	if !known {
		i = len(f.request.Topics)
		f.index[at.Topic] = i
		topic := kmsg.NewFetchRequestTopic()
		topic.Topic = at.Topic
		f.request.Topics = append(f.request.Topics, topic)
	}
	p := kmsg.NewFetchRequestTopicPartition()
	p.Partition, p.FetchOffset, p.PartitionMaxBytes = at.Partition, offset, maxBytes
	f.request.Topics[i].Partitions = append(f.request.Topics[i].Partitions, p)
}
