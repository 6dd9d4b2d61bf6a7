package stream

import (
	"encoding/binary"
	"fmt"
	"io"
)

// chunkHead is the size of the head of a chunk in a delivery, with the subscription before it.
const chunkHead = 1 + 1 + 1 + 2 + 4 + 8 + 8 + 8 + 4 + 4 + 4 + 4

// passedOver is how much of a chunk is passed over before that counts as a sign of life.
const passedOver = 256 << 10

// deliver takes over the head of a chunk, and passes its messages over.
func (c *Conn) deliver(size int64) error {
	if size < chunkHead {
		return fmt.Errorf("%w: a chunk of %d bytes", ErrProtocol, size)
	}
	head, err := readBody(c.in, chunkHead)
	if err != nil {
		return err
	}
	first := int64(binary.BigEndian.Uint64(head[25:]))                                               //nolint:gosec // checked below
	chunk := Chunk{First: first, Records: int64(binary.BigEndian.Uint32(head[5:])), Bytes: size + 8} // with the size and the head of the frame
	if head[2] != 0 || chunk.Records == 0 || chunk.First < 0 || chunk.First > maxOffset {
		return fmt.Errorf("%w: a chunk of type %d with %d messages at %d", ErrProtocol, head[2], chunk.Records, chunk.First)
	}
	asked, err := c.delivered(head[0], chunk)
	if err != nil {
		return err
	}
	for left := size - chunkHead; left > 0; left -= passedOver {
		if _, err := io.CopyN(io.Discard, c.in, min(left, passedOver)); err != nil {
			return fmt.Errorf("receive: %w", err)
		}
		if asked != nil {
			asked.note()
		}
	}
	return nil
}

// maxOffset leaves room for the messages of a chunk.
const maxOffset = 1 << 62

// delivered gives a chunk to the question for it, and returns the call that waits for it; nil if none
// does any more.
func (c *Conn) delivered(subscription uint8, chunk Chunk) (*call, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	q := c.subscribed[subscription]
	if q == nil {
		return nil, fmt.Errorf("%w: a chunk that was not asked for", ErrProtocol)
	}
	last, ok := q.request.(*ChunkQuery)
	if q.call == nil || !ok {
		return nil, nil //nolint:nilnil // the call was given up
	}
	return q.call, last.deliver(chunk)
}
