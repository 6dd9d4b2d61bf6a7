package tail

import (
	"context"
	"encoding/binary"
	"errors"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
)

const (
	// probeBytes bounds what is fetched of one partition, and probeTotal of all. Control batches
	// have 78 bytes.
	probeBytes = 16 << 10
	probeTotal = 1 << 20
	// maxProbes is how many ranges one fetch looks into.
	maxProbes = 100
	// probeRetry is how long a range that was not seen to its end is left alone.
	probeRetry = 30 * time.Second
)

// A Span is a range of offsets of a partition, whose end is not part of it, as consumers with or
// without the isolation level read_committed see it.
type Span struct {
	Place

	// Life names the life of the topic's data: in another one an offset is that of another message.
	Life      string
	From, To  int64
	Committed bool
}

// A Finding is what is in a span.
type Finding struct {
	// Empty reports that no consumer gets a message from it: it has control records, messages of
	// aborted transactions for consumers that do not get them, or nothing that compaction left.
	Empty bool
	// Denied reports that the user may not read the topic.
	Denied bool
	// at is when it was looked into, and used when it was asked for last.
	at, used time.Time
}

// Look returns what is in a span. What is not known yet is looked into in the background, and the
// query is woken then.
func (a *Tails) Look(broker int32, s Span, q backlog.Query, now time.Time) (f Finding, known bool) {
	a.mu.Lock()
	f, known = a.found[s]
	if known {
		f.used = now
		a.found[s] = f
	}
	a.mu.Unlock()
	if known && (f.Empty || now.Sub(f.at) < probeRetry) {
		return f, true
	}
	if t := a.of(broker); t != nil {
		t.mu.Lock()
		t.probes[s] = q
		t.mu.Unlock()
		t.notify()
	}
	return f, known
}

// probe fetches what is in the spans that were asked for.
func (t *tail) probe(life context.Context) error {
	for _, committed := range []bool{false, true} {
		r := newFetch(0)
		r.SessionEpoch = -1
		r.MaxBytes = probeTotal
		if committed {
			r.IsolationLevel = 1
		}
		asked := make(map[Place]Span)
		queries := make(map[Place]backlog.Query)
		topics := newFetchTopics(r)
		t.mu.Lock()
		for s, q := range t.probes {
			// A partition may be part of a fetch once.
			if _, twice := asked[s.Place]; twice || s.Committed != committed || len(asked) == maxProbes {
				continue
			}
			asked[s.Place], queries[s.Place] = s, q
			topics.add(s.Place, s.From, probeBytes)
			delete(t.probes, s)
		}
		t.mu.Unlock()
		if len(asked) == 0 {
			continue
		}
		response, err := t.all.brokers.Fetch(life, t.broker, r)
		if err != nil {
			return err
		}
		if err := kerr.ErrorForCode(response.ErrorCode); err != nil {
			return err
		}
		t.all.conclude(response, asked, queries)
	}
	return nil
}

// conclude notes what is in the spans, and wakes the queries of those that hold nothing.
func (a *Tails) conclude(response *kmsg.FetchResponse, asked map[Place]Span, queries map[Place]backlog.Query) {
	now := time.Now()
	var woken []backlog.Query
	a.mu.Lock()
	for i := range response.Topics {
		topic := &response.Topics[i]
		for j := range topic.Partitions {
			p := &topic.Partitions[j]
			s, known := asked[Place{topic.Topic, p.Partition}]
			if !known {
				continue
			}
			err := kerr.ErrorForCode(p.ErrorCode)
			f := Finding{at: now, used: now, Denied: errors.Is(err, kerr.TopicAuthorizationFailed)}
			f.Empty = err == nil && holdsNothing(p, s)
			a.found[s] = f
			woken = append(woken, queries[s.Place])
		}
	}
	a.mu.Unlock()
	a.wakes.Wake(woken)
}

// The layout of a batch: https://kafka.apache.org/documentation/#recordbatch.
const (
	batchLength     = 8
	batchMagic      = 16
	batchAttributes = 21
	batchLastDelta  = 23
	batchProducer   = 43
	batchCount      = 57
	batchHeader     = 61

	attributeTransactional = 1 << 4
	attributeControl       = 1 << 5
)

// holdsNothing reports whether the batches of an answer reach to the end of a span, and no consumer
// gets a message from it.
//
// Worked example: a transaction of 3 messages is at 0 to 2 and its marker at 3. A consumer that has
// committed 3 has lag 1: the span from 3 to 4 has one control batch, so it holds nothing.
func holdsNothing(p *kmsg.FetchResponseTopicPartition, s Span) bool {
	aborted := make(map[int64][]int64)
	for _, a := range p.AbortedTransactions {
		aborted[a.ProducerID] = append(aborted[a.ProducerID], a.FirstOffset)
	}
	next := s.From
	for data := p.RecordBatches; len(data) >= batchHeader && next < s.To; {
		first := int64At(data, 0)
		size := int32At(data, batchLength) + batchLength + 4
		last := first + int32At(data, batchLastDelta)
		if data[batchMagic] != 2 || size < batchHeader || size > int64(len(data)) || last < first {
			return false
		}
		attributes := binary.BigEndian.Uint16(data[batchAttributes:])
		producer := int64At(data, batchProducer)
		begins := aborted[producer]
		isAborted := attributes&attributeTransactional != 0 && len(begins) > 0 && begins[0] <= first
		switch {
		case attributes&attributeControl != 0:
			// It ends the transaction of its producer.
			if isAborted {
				aborted[producer] = begins[1:]
			}
		case last >= s.From && int32At(data, batchCount) > 0 && !isAborted:
			return false
		}
		next = max(next, last+1)
		data = data[size:]
	}
	return next >= s.To
}

func int64At(data []byte, i int) int64 {
	return int64(binary.BigEndian.Uint64(data[i:])) //nolint:gosec // the protocol's numbers are signed
}

func int32At(data []byte, i int) int64 {
	return int64(int32(binary.BigEndian.Uint32(data[i:]))) //nolint:gosec // the protocol's numbers are signed
}
