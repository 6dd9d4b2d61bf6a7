package server_test

import (
	"bytes"
	"encoding/binary"
	"net"
	"testing"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// A rawClient speaks HTTP/2 frame by frame, as no library of gRPC would.
type rawClient struct {
	*testing.T

	conn   net.Conn
	framer *http2.Framer
	header bytes.Buffer
	packer *hpack.Encoder
	stream uint32
	// closed is closed when the server has closed the connection.
	closed chan struct{}
}

const methodIsActive = "/externalscaler.ExternalScaler/IsActive"

// newRawClient greets the server, and reads whatever it says until the end of the test.
func newRawClient(t *testing.T, conn net.Conn) *rawClient {
	t.Helper()
	c := &rawClient{T: t, conn: conn, framer: http2.NewFramer(conn, conn), stream: 1, closed: make(chan struct{})}
	c.packer = hpack.NewEncoder(&c.header)
	c.must(write(conn, []byte(http2.ClientPreface)))
	c.must(c.framer.WriteSettings())
	go func() {
		defer close(c.closed)
		for {
			if _, err := c.framer.ReadFrame(); err != nil {
				return
			}
		}
	}()
	t.Cleanup(c.close)
	return c
}

func write(conn net.Conn, data []byte) error {
	_, err := conn.Write(data)
	return err
}

func (c *rawClient) must(err error) {
	c.Helper()
	if err != nil {
		c.Fatal(err)
	}
}

func (c *rawClient) close() {
	_ = c.conn.Close()
	<-c.closed
}

// begin sends the headers of a request and nothing of its body.
func (c *rawClient) begin(method string) (stream uint32, err error) {
	c.header.Reset()
	fields := []hpack.HeaderField{
		{Name: ":method", Value: "POST"},
		{Name: ":scheme", Value: "http"},
		{Name: ":path", Value: method},
		{Name: ":authority", Value: "scaler"},
		{Name: "content-type", Value: "application/grpc"},
		{Name: "te", Value: "trailers"},
	}
	for _, field := range fields {
		if err := c.packer.WriteField(field); err != nil {
			return 0, err
		}
	}
	stream = c.stream
	c.stream += 2
	return stream, c.framer.WriteHeaders(http2.HeadersFrameParam{StreamID: stream, BlockFragment: c.header.Bytes(), EndHeaders: true})
}

// body sends a part of a message that is said to be of length.
func (c *rawClient) body(stream uint32, length int, part []byte, end bool) error {
	prefix := []byte{0, 0, 0, 0, 0}
	binary.BigEndian.PutUint32(prefix[1:], uint32(length))
	return c.framer.WriteData(stream, end, append(prefix, part...))
}
