package tap

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog/rabbitmq/dialer"
)

// frame returns a frame of channel 1.
func frame(kind byte, payload string) string {
	head := binary.BigEndian.AppendUint32([]byte{kind, 0, 1}, uint32(len(payload)))
	return string(head) + payload + "\xce"
}

// delivery returns the frames of a delivery to a consumer.
func delivery(tag string, body ...string) string {
	size := len(strings.Join(body, ""))
	var text strings.Builder
	text.WriteString(frame(frameMethod, "\x00\x3c\x00\x3c"+string(rune(len(tag)))+tag+"\x00\x00\x00\x00\x00\x00\x00\x01\x00\x01x\x01k") +
		frame(frameHeader, "\x00\x3c\x00\x00"+string(binary.BigEndian.AppendUint64(nil, uint64(size)))+"\x00\x00"))
	for _, part := range body {
		text.WriteString(frame(frameBody, part))
	}
	return text.String()
}

// A reader is a connection that only reads.
type reader struct {
	net.Conn

	io.Reader
}

// Read implements net.Conn.
func (r reader) Read(p []byte) (int, error) { return r.Reader.Read(p) }

// TestTapFilter: deliveries are reported and replaced by heartbeats, however the bytes arrive. All else
// passes.
func TestTapFilter(t *testing.T) {
	t.Parallel()
	const beat = heartbeatFrame
	bindOk, cancel := frame(frameMethod, "\x00\x32\x00\x15"), frame(frameMethod, "\x00\x3c\x00\x1e\x01t\x00")
	large := strings.Repeat("x", dialer.FrameSize-8)
	long := frame(frameMethod, "\x00\x0a\x00\x0a"+strings.Repeat("p", 40<<10))
	type heard struct {
		Tag   string
		Bytes uint64
	}
	for name, c := range map[string]struct {
		in, out string
		heard   []heard
	}{
		"nothing":             {},
		"methods":             {in: bindOk + cancel + bindOk, out: bindOk + cancel + bindOk},
		"a long method":       {in: long + bindOk, out: long + bindOk},
		"heartbeats":          {in: beat + beat, out: beat + beat},
		"an empty message":    {in: bindOk + delivery("tag") + bindOk, out: bindOk + beat + beat + bindOk, heard: []heard{{"tag", 0}}},
		"a message":           {in: delivery("a", "body") + cancel, out: beat + beat + beat + cancel, heard: []heard{{"a", 4}}},
		"several frames":      {in: delivery("a", large, large, "x") + delivery("b", "y"), out: strings.Repeat(beat, 8), heard: []heard{{"a", 2*(dialer.FrameSize-8) + 1}, {"b", 1}}},
		"a body alone":        {in: frame(frameBody, "x") + bindOk, out: beat + bindOk},
		"a header alone":      {in: frame(frameHeader, "short"), out: beat, heard: []heard{{"", 0}}},
		"a tag that is cut":   {in: frame(frameMethod, "\x00\x3c\x00\x3c\xffab") + frame(frameHeader, ""), out: beat + beat, heard: []heard{{"ab", 0}}},
		"an end in a frame":   {in: bindOk + bindOk[:9], out: bindOk},
		"another protocol":    {in: "HTTP/1.1 400 Bad Request\r\n\r\n", out: "HTTP/1.1 400 Bad Request\r\n\r\n"},
		"a frame without end": {in: "\x03\x00\x01\xff\xff\xff\xff" + delivery("a", "b"), out: "\x03\x00\x01\xff\xff\xff\xff" + delivery("a", "b")},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for way, source := range map[string]io.Reader{"whole": strings.NewReader(c.in), "in bytes": iotest.OneByteReader(strings.NewReader(c.in))} {
				var got []heard
				filter := newFilter(reader{Reader: source}, func(tag string, bytes uint64) { got = append(got, heard{tag, bytes}) })
				out, err := io.ReadAll(filter)
				if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
					t.Errorf("%s: %v", way, err)
				}
				if !bytes.Equal(out, []byte(c.out)) {
					t.Errorf("%s: %d bytes pass, want %d: %.60q", way, len(out), len(c.out), out)
				}
				if diff := cmp.Diff(c.heard, got); diff != "" {
					t.Errorf("%s: the deliveries differ (-want +got):\n%s", way, diff)
				}
				if size := cap(filter.buffer); size > 2*dialer.FrameSize {
					t.Errorf("%s: the filter holds %d bytes", way, size)
				}
			}
		})
	}
}

// FuzzTapFilter: no bytes of a server make the filter panic or keep more than a frame.
func FuzzTapFilter(f *testing.F) {
	f.Add([]byte(delivery("tag", "body") + heartbeatFrame))
	f.Add([]byte("AMQP\x00\x00\x09\x01"))
	f.Add([]byte("\x02\x00\x01\x00\x00\x00\x00\xce\x01\x00\x01\x00\x02\x00\x00"))
	f.Fuzz(func(t *testing.T, sent []byte) {
		filter := newFilter(reader{Reader: bytes.NewReader(sent)}, func(string, uint64) {})
		if _, err := io.Copy(io.Discard, filter); err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Error(err)
		}
		if size := cap(filter.buffer); size > 2*dialer.FrameSize {
			t.Errorf("the filter holds %d bytes", size)
		}
	})
}
