package stream

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
)

// The commands that are used. The bit of a response is set in answers.
const (
	commandSubscribe        = 0x0007
	commandDeliver          = 0x0008
	commandQueryOffset      = 0x000b
	commandUnsubscribe      = 0x000c
	commandMetadata         = 0x000f
	commandMetadataUpdate   = 0x0010
	commandPeerProperties   = 0x0011
	commandSaslHandshake    = 0x0012
	commandSaslAuthenticate = 0x0013
	commandTune             = 0x0014
	commandOpen             = 0x0015
	commandClose            = 0x0016
	commandHeartbeat        = 0x0017
	commandStreamStats      = 0x001c

	response = 0x8000
	// version is that of all commands here.
	version = 1
)

const (
	// maxFrame is the largest frame that is received whole, that which RabbitMQ proposes itself.
	maxFrame = 1 << 20
	// maxChunk is the largest chunk whose messages are passed over. RabbitMQ makes one of what arrives
	// together, which is kilobytes.
	maxChunk = 256 << 20
	// MaxName is the longest name of a stream or consumer, in bytes.
	MaxName = 255
	// frameHead is the size of the key and the version of a frame.
	frameHead = 4
)

// ErrProtocol is a server that does not follow the protocol.
var ErrProtocol = errors.New("the server does not follow the stream protocol")

// A frameWriter builds frames, one after the other.
type frameWriter struct {
	data []byte
	// start is where the frame begins that is being built.
	start int
}

// begin begins a frame of a command.
func (w *frameWriter) begin(key uint16) {
	w.start = len(w.data)
	w.data = append(w.data, 0, 0, 0, 0)
	w.uint16(key)
	w.uint16(version)
}

// end writes the size of the frame.
func (w *frameWriter) end() {
	binary.BigEndian.PutUint32(w.data[w.start:], uint32(len(w.data)-w.start-4)) //nolint:gosec // a request is far below 4 GiB
}

func (w *frameWriter) uint8(n uint8)   { w.data = append(w.data, n) }
func (w *frameWriter) uint16(n uint16) { w.data = binary.BigEndian.AppendUint16(w.data, n) }
func (w *frameWriter) uint64(n uint64) { w.data = binary.BigEndian.AppendUint64(w.data, n) }
func (w *frameWriter) uint32(n uint32) { w.data = binary.BigEndian.AppendUint32(w.data, n) }

// text writes a string. What its length cannot say is left out.
func (w *frameWriter) text(s string) {
	s = s[:min(len(s), math.MaxInt16)]
	w.uint16(uint16(len(s))) //nolint:gosec // bounded by the line above
	w.data = append(w.data, s...)
}

// bytes writes bytes with their length.
func (w *frameWriter) bytes(b []byte) {
	w.uint32(uint32(len(b))) //nolint:gosec // credentials
	w.data = append(w.data, b...)
}

// count writes the number of elements that follow.
func (w *frameWriter) count(n int) { w.uint32(uint32(n)) } //nolint:gosec // bounded by the callers

// A frameReader takes a frame apart. After the first value that is not there all others are zero.
type frameReader struct {
	data  []byte
	short bool
}

// next returns the next n bytes.
func (r *frameReader) next(n int) []byte {
	if r.short || n > len(r.data) {
		r.short = true
		return nil
	}
	b := r.data[:n]
	r.data = r.data[n:]
	return b
}

func (r *frameReader) uint16() uint16 {
	if b := r.next(2); b != nil {
		return binary.BigEndian.Uint16(b)
	}
	return 0
}

func (r *frameReader) uint32() uint32 {
	if b := r.next(4); b != nil {
		return binary.BigEndian.Uint32(b)
	}
	return 0
}

func (r *frameReader) int64() int64 {
	if b := r.next(8); b != nil {
		return int64(binary.BigEndian.Uint64(b)) //nolint:gosec // the sign is checked where it matters
	}
	return 0
}

// text reads a string. A length of -1 is none.
func (r *frameReader) text() string {
	n := r.uint16()
	switch {
	case n == math.MaxUint16:
		return ""
	case n > math.MaxInt16:
		r.short = true
		return ""
	}
	return string(r.next(int(n)))
}

// count reads how many elements follow, each of at least so many bytes. What the frame cannot hold is
// no number.
func (r *frameReader) count(least int) int {
	n := r.uint32()
	if int64(n)*int64(least) > int64(len(r.data)) {
		r.short = true
		return 0
	}
	return int(n)
}

// err reports a frame that ended too soon.
func (r *frameReader) err(key uint16) error {
	if r.short {
		return fmt.Errorf("%w: the answer to command %#x is too short", ErrProtocol, key&^response)
	}
	return nil
}

// readHead reads the size of what follows the head of a frame, and the key of its command.
func readHead(in *bufio.Reader) (size uint32, key uint16, err error) {
	var head [4 + frameHead]byte
	if _, err := io.ReadFull(in, head[:]); err != nil {
		return 0, 0, fmt.Errorf("receive: %w", err)
	}
	r := frameReader{data: head[:]}
	size, key = r.uint32(), r.uint16()
	largest := uint32(maxFrame)
	if key == commandDeliver {
		largest = maxChunk
	}
	if size < frameHead || size > largest || r.uint16() == 0 {
		return 0, 0, fmt.Errorf("%w: a frame of %d bytes with the key %#x", ErrProtocol, size, key)
	}
	return size - frameHead, key, nil
}

func readBody(in *bufio.Reader, size uint32) ([]byte, error) {
	body := make([]byte, size)
	if _, err := io.ReadFull(in, body); err != nil {
		return nil, fmt.Errorf("receive: %w", err)
	}
	return body, nil
}
