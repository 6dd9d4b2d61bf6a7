package stream

import "fmt"

// A Request is a question to the server, and its answer once Conn.Do has returned without an error.
type Request interface {
	// build appends the frames, whose correlation ids begin with first, and returns their number.
	build(w *frameWriter, first uint32, subscription uint8) (frames uint32)
	// take takes over the answer to the frame with that key.
	take(key uint16, code Code, r *frameReader) error
}

// An OffsetQuery asks which offset is stored for a consumer of a stream.
type OffsetQuery struct {
	Stream, Reference string

	// Code is OK, NoOffset or why there is no answer, and Offset what is stored.
	Code   Code
	Offset int64
}

func (q *OffsetQuery) build(w *frameWriter, first uint32, _ uint8) uint32 {
	w.begin(commandQueryOffset)
	w.uint32(first)
	w.text(q.Reference)
	w.text(q.Stream)
	w.end()
	return 1
}

func (q *OffsetQuery) take(key uint16, code Code, r *frameReader) error {
	q.Code, q.Offset = code, r.int64()
	if q.Offset < 0 {
		return fmt.Errorf("%w: the stored offset is %d", ErrProtocol, q.Offset)
	}
	return r.err(key)
}

// maxStatistics is how many statistics of a stream are accepted. RabbitMQ has three.
const maxStatistics = 64

// None is the id of a chunk that does not exist.
const None = -1

// A StatsQuery asks for the bounds of a stream (RabbitMQ 3.11 and later).
type StatsQuery struct {
	Stream string

	Code Code
	// First and Last are the offsets at which the first chunk and the last one begin, and Committed that
	// of the last one that a majority of the members has; None where there is none. Each may be a chunk
	// without messages, such as one that holds stored offsets. Last is None, too, where the server does
	// not say it.
	First, Committed, Last int64
}

func (q *StatsQuery) build(w *frameWriter, first uint32, _ uint8) uint32 {
	w.begin(commandStreamStats)
	w.uint32(first)
	w.text(q.Stream)
	w.end()
	return 1
}

func (q *StatsQuery) take(key uint16, code Code, r *frameReader) error {
	q.Code, q.Last = code, None
	hasFirst, hasCommitted := false, false
	n := r.count(2 + 8)
	if n > maxStatistics {
		return fmt.Errorf("%w: %d statistics of a stream", ErrProtocol, n)
	}
	for range n {
		name, value := r.text(), r.int64()
		switch name {
		case "first_chunk_id":
			q.First, hasFirst = value, true
		case "committed_chunk_id":
			q.Committed, hasCommitted = value, true
		case "last_chunk_id":
			q.Last = max(value, None)
		}
	}
	if code == OK && !r.short && (!hasFirst || !hasCommitted || q.First < None || q.Committed < None) {
		return fmt.Errorf("%w: the statistics of a stream have no first_chunk_id or committed_chunk_id", ErrProtocol)
	}
	return r.err(key)
}

// A Chunk is the head of messages that are stored together.
type Chunk struct {
	// First is the offset of the first message, and Records the number of messages.
	First, Records int64
	// Bytes is the size of the whole.
	Bytes int64
}

// Last returns the offset of the last message.
func (c Chunk) Last() int64 { return c.First + c.Records - 1 }

// A ChunkQuery asks for the head of a chunk with messages that a majority of the members has. It
// subscribes with credit for one chunk and unsubscribes at once. The server handles
// both in order, so that the chunk comes between the two answers, or there is none.
type ChunkQuery struct {
	Stream string
	// From is an offset: the chunk is that with it, or the next one with messages. None is the last
	// chunk with messages.
	From int64

	Code Code
	// Chunk is nil where there is none, or where a majority does not have it yet.
	Chunk *Chunk
}

// The specifications of an offset.
const (
	offsetLast  = 2
	offsetExact = 4
)

func (q *ChunkQuery) build(w *frameWriter, first uint32, subscription uint8) uint32 {
	w.begin(commandSubscribe)
	w.uint32(first)
	w.uint8(subscription)
	w.text(q.Stream)
	if q.From == None {
		w.uint16(offsetLast)
	} else {
		w.uint16(offsetExact)
		w.uint64(uint64(max(q.From, 0)))
	}
	w.uint16(1) // credit
	w.count(0)  // properties
	w.end()
	w.begin(commandUnsubscribe)
	w.uint32(first + 1)
	w.uint8(subscription)
	w.end()
	return 2
}

func (q *ChunkQuery) take(key uint16, code Code, r *frameReader) error {
	// The answer to the second frame is that the subscription does not exist where the first failed.
	if key == response|commandSubscribe {
		q.Code = code
	}
	return r.err(key)
}

// deliver takes over the chunk.
func (q *ChunkQuery) deliver(c Chunk) error {
	if q.Chunk != nil || q.Code != OK {
		return fmt.Errorf("%w: a chunk that was not asked for", ErrProtocol)
	}
	q.Chunk = &c
	return nil
}

// An Endpoint is where a node listens, as it advertises it.
type Endpoint struct {
	Host string
	Port uint32
}

// A Leader is which node writes a stream.
type Leader struct {
	// Code is OK or why the leader is not known.
	Code Code
	Endpoint
	// Alone reports that the stream has no other members.
	Alone bool
}

// maxNodes bounds the nodes of a cluster.
const maxNodes = 1024

// A LeaderQuery asks for the leaders of streams.
type LeaderQuery struct {
	Streams []string

	// Leaders are those of the streams, by name. None is missing.
	Leaders map[string]Leader
}

func (q *LeaderQuery) build(w *frameWriter, first uint32, _ uint8) uint32 {
	w.begin(commandMetadata)
	w.uint32(first)
	w.count(len(q.Streams))
	for _, stream := range q.Streams {
		w.text(stream)
	}
	w.end()
	return 1
}

// take has no code: each stream has its own.
func (q *LeaderQuery) take(key uint16, _ Code, r *frameReader) error {
	brokers := r.count(2 + 2 + 4)
	if brokers > maxNodes {
		return fmt.Errorf("%w: %d nodes", ErrProtocol, brokers)
	}
	nodes := make(map[uint16]Endpoint, brokers)
	for range brokers {
		reference := r.uint16()
		nodes[reference] = Endpoint{Host: r.text(), Port: r.uint32()}
	}
	wanted := make(map[string]bool, len(q.Streams))
	for _, stream := range q.Streams {
		wanted[stream] = true
	}
	q.Leaders = make(map[string]Leader, len(q.Streams))
	for range r.count(2 + 2 + 2 + 4) {
		stream := r.text()
		leader := Leader{Code: Code(r.uint16())}
		reference := r.uint16()
		replicas := r.count(2)
		r.next(2 * replicas)
		leader.Alone = replicas == 0
		if leader.Code == OK {
			node, known := nodes[reference]
			if !known || node.Host == "" {
				leader.Code = StreamNotAvailable // there is no leader at present
			}
			leader.Endpoint = node
		}
		if wanted[stream] {
			q.Leaders[stream] = leader
		}
	}
	if err := r.err(key); err != nil {
		return err
	}
	if len(q.Leaders) != len(wanted) {
		return fmt.Errorf("%w: the leaders of %d streams were asked for, %d were answered", ErrProtocol, len(wanted), len(q.Leaders))
	}
	return nil
}
