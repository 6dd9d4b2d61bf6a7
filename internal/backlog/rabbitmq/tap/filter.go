package tap

import (
	"bufio"
	"encoding/binary"
	"io"
	"net"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog/rabbitmq/dialer"
)

// The types of frames, and the frame that means nothing:
// https://www.rabbitmq.com/resources/specs/amqp0-9-1.pdf (4.2.3 and 4.2.7).
const (
	frameMethod    = 1
	frameHeader    = 2
	frameBody      = 3
	frameHeartbeat = 8
	// frameHead is the length of type, channel and size, and frameEnd that of the octet at the end.
	frameHead, frameEnd = 7, 1

	heartbeatFrame = "\x08\x00\x00\x00\x00\x00\x00\xce"
)

// basicDeliver is the class and the method of a delivery.
const basicDeliver = 60<<16 | 60

// A filter is the connection of taps. It reports each delivery by its first two frames and hands
// none of it to the library, which would keep whole bodies. The library sees a heartbeat in place of
// each frame, so that it knows that the server is alive. Writes pass as they are. One goroutine reads.
type filter struct {
	net.Conn

	in *bufio.Reader
	// out is what the library has not read of buffer yet.
	out, buffer []byte
	// foreign reports that the server does not speak in frames, so that everything passes.
	foreign bool
	// tag is the consumer of the delivery that is under way.
	tag string
	// delivered is called with each delivery and the bytes of its body, before they arrive.
	delivered func(tag string, bytes uint64)
}

func newFilter(conn net.Conn, delivered func(tag string, bytes uint64)) *filter {
	return &filter{Conn: conn, in: bufio.NewReaderSize(conn, 16<<10), buffer: make([]byte, 16<<10), delivered: delivered}
}

// Read implements net.Conn.
func (f *filter) Read(p []byte) (int, error) {
	for len(f.out) == 0 {
		if err := f.next(); err != nil {
			return 0, err
		}
	}
	n := copy(p, f.out)
	f.out = f.out[n:]
	return n, nil
}

// next sets out to the next frame.
func (f *filter) next() error {
	if f.foreign {
		n, err := f.in.Read(f.buffer)
		f.out = f.buffer[:n]
		return err
	}
	if _, err := io.ReadFull(f.in, f.buffer[:frameHead]); err != nil {
		return err
	}
	kind, size := f.buffer[0], int(binary.BigEndian.Uint32(f.buffer[3:frameHead]))
	switch {
	case kind != frameMethod && kind != frameHeader && kind != frameBody && kind != frameHeartbeat, size > dialer.FrameSize:
		f.foreign = true
		f.out = f.buffer[:frameHead]
		return nil
	case kind == frameBody:
		f.out = []byte(heartbeatFrame)
		_, err := f.in.Discard(size + frameEnd)
		return err
	}
	whole := frameHead + size + frameEnd
	if whole > len(f.buffer) {
		f.buffer = append(f.buffer, make([]byte, whole-len(f.buffer))...)
	}
	if _, err := io.ReadFull(f.in, f.buffer[frameHead:whole]); err != nil {
		return err
	}
	f.out = f.buffer[:whole]
	if f.isDelivery(kind, f.buffer[frameHead:frameHead+size]) {
		f.out = []byte(heartbeatFrame)
	}
	return nil
}

// isDelivery reports whether a frame belongs to a delivery. With its second frame the delivery is
// reported.
func (f *filter) isDelivery(kind byte, payload []byte) bool {
	const method, bodySize = 4, 4 // where the arguments begin, and the size of the body
	switch {
	case kind == frameMethod && len(payload) > method && binary.BigEndian.Uint32(payload) == basicDeliver:
		tag := payload[method+1:]
		f.tag = string(tag[:min(len(tag), int(payload[method]))])
		return true
	case kind == frameHeader:
		var size uint64
		if len(payload) >= bodySize+8 {
			size = binary.BigEndian.Uint64(payload[bodySize:])
		}
		f.delivered(f.tag, size)
		f.tag = ""
		return true
	default:
		return false
	}
}
