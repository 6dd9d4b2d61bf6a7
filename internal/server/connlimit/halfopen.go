package connlimit

import (
	"encoding/binary"
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
)

// The limits of half-open requests: those that have begun and not yet ended. gRPC calls no
// handler and no interceptor before the message of a request is complete, so nothing else
// bounds their number, their duration and their memory.
// KEDA sends its requests whole: one is half-open for microseconds, and some hundreds of them
// when it opens all its streams at once (see connWindow of the package server).
const (
	// requestTimeout is how long a request may stay half-open.
	requestTimeout = 10 * time.Second
	// maxHalfOpen is the number of one connection, and maxHalfOpenInAll that of all of them
	// together. Each takes some 12 KiB.
	maxHalfOpen      = 1000
	maxHalfOpenInAll = 4000
	// maxHalfOpenBytes is their size on one connection, and maxHalfOpenBytesInAll that on all
	// of them together.
	maxHalfOpenBytes      = 16 << 20
	maxHalfOpenBytesInAll = 32 << 20
	// floodPause is how long the next connection of a client waits after one was closed at a
	// limit. Otherwise the client could open and lose requests without pause, and each costs
	// the server more than the client.
	floodPause = time.Second
	// spare is the part of its own limits, one in spare, that a connection may use even while
	// all of them together are at theirs, so that a flood on one does not end the others.
	spare = 16
)

// Why a connection is closed.
var (
	errHalfOpen      = errors.New("too many requests of this client have begun and not ended")
	errHalfOpenBytes = errors.New("the requests of this client that have begun and not ended are too large")
	errRequestLate   = errors.New("a request of this client has not ended in time")
)

// HalfOpen limits the half-open requests of all connections of a server. It is the
// TransportCredentials of the server, because these see each connection first, and behind TLS.
// A connection beyond a limit is closed, with all its streams.
type HalfOpen struct {
	credentials.TransportCredentials

	// rejections counts the connections that were closed at a limit.
	rejections      prometheus.Counter
	requests, bytes atomic.Int64
	flooders        flooders
}

// NewHalfOpen returns the limits for connections with the credentials; nil is plain text.
func NewHalfOpen(creds credentials.TransportCredentials, rejections prometheus.Counter) *HalfOpen {
	if creds == nil {
		creds = insecure.NewCredentials()
	}
	return &HalfOpen{TransportCredentials: creds, rejections: rejections}
}

// ServerHandshake returns a connection whose half-open requests are counted.
func (h *HalfOpen) ServerHandshake(raw net.Conn) (net.Conn, credentials.AuthInfo, error) {
	client := host(raw.RemoteAddr())
	if pause := h.flooders.pause(client, time.Now()); pause > 0 {
		<-time.After(pause)
	}
	conn, auth, err := h.TransportCredentials.ServerHandshake(raw)
	if err != nil {
		return nil, nil, err
	}
	c := &halfOpenConn{Conn: conn, limits: h, client: client, open: map[uint32]int64{}}
	c.in.skip = len(clientPreface)
	return c, auth, nil
}

// Clone returns the same limits: a server has one.
func (h *HalfOpen) Clone() credentials.TransportCredentials { return h }

// The parts of HTTP/2 that mark where requests begin and end:
// https://www.rfc-editor.org/rfc/rfc9113#section-4.1
const (
	clientPreface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

	frameHeader                       = 9
	frameData, frameHeaders, frameRST = 0x0, 0x1, 0x3
	flagEndStream                     = 0x1
)

// frames finds the headers of frames in a stream of bytes.
type frames struct {
	// skip is the number of bytes until the next header.
	skip   int
	header [frameHeader]byte
	filled int
}

// each calls do for each header that ends in data.
func (f *frames) each(data []byte, do func(kind, flags byte, stream uint32, length int)) {
	for len(data) > 0 {
		if f.skip > 0 {
			n := min(f.skip, len(data))
			f.skip -= n
			data = data[n:]
			continue
		}
		n := copy(f.header[f.filled:], data)
		f.filled += n
		data = data[n:]
		if f.filled < frameHeader {
			return
		}
		f.filled = 0
		first := binary.BigEndian.Uint32(f.header[:4])
		f.skip = int(first >> 8)
		do(f.header[3], f.header[4], binary.BigEndian.Uint32(f.header[5:])&(1<<31-1), f.skip)
	}
}

// A halfOpenConn follows the frames of a connection, in both directions.
type halfOpenConn struct {
	net.Conn

	limits *HalfOpen
	// client is the address at the other end, without its port.
	client string
	// in belongs to the goroutine that reads, out to the one that writes.
	in, out frames

	// count is the number of half-open requests, so that the goroutine that writes does not
	// need mu while there are none.
	count atomic.Int64

	// mu guards what follows. It is a leaf.
	mu sync.Mutex
	// latest is the most recent request, while it is half-open and none of its data has
	// arrived; else 0. Most requests arrive in one piece and never get into open.
	latest uint32
	// open has the size of the other half-open requests so far, by stream.
	open  map[uint32]int64
	bytes int64
	// timer runs while there are half-open requests. began is the newest stream when it was
	// set.
	timer *time.Timer
	began uint32
	err   error
}

// Read closes the connection if what it read is beyond a limit.
func (c *halfOpenConn) Read(data []byte) (int, error) {
	n, err := c.Conn.Read(data)
	if n == 0 {
		return n, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.in.each(data[:n], c.received)
	c.countLatest()
	if c.err == nil {
		c.err = c.excess()
		if c.err != nil {
			c.limits.rejections.Inc()
			c.limits.flooders.add(c.client, time.Now())
		}
	}
	if c.err != nil {
		return 0, c.err
	}
	return n, err
}

// received counts a frame from the client by its header. mu is held.
func (c *halfOpenConn) received(kind, flags byte, stream uint32, length int) {
	if stream == c.latest && kind == frameData && flags&flagEndStream != 0 {
		c.latest = 0
		return
	}
	c.countLatest()
	switch {
	case kind == frameRST, kind == frameHeaders && flags&flagEndStream != 0, kind == frameData && flags&flagEndStream != 0:
		c.end(stream)
	case kind == frameHeaders:
		if _, twice := c.open[stream]; !twice {
			c.latest = stream
		}
	case kind == frameData:
		if before, ok := c.open[stream]; ok {
			c.open[stream] = before + int64(length)
			c.bytes += int64(length)
			c.limits.bytes.Add(int64(length))
		}
	}
}

// countLatest moves the latest request to open. mu is held.
func (c *halfOpenConn) countLatest() {
	stream := c.latest
	c.latest = 0
	if stream == 0 || c.open == nil {
		return
	}
	c.open[stream] = 0
	c.count.Add(1)
	c.limits.requests.Add(1)
	if c.timer == nil {
		c.began = stream
		c.timer = time.AfterFunc(requestTimeout, c.late)
	}
}

// end removes a request that has ended. mu is held.
func (c *halfOpenConn) end(stream uint32) {
	bytes, ok := c.open[stream]
	if !ok {
		return
	}
	delete(c.open, stream)
	c.count.Add(-1)
	c.bytes -= bytes
	c.limits.bytes.Add(-bytes)
	c.limits.requests.Add(-1)
}

// excess returns an error if a limit is exceeded. mu is held.
func (c *halfOpenConn) excess() error {
	n := len(c.open)
	switch {
	case n > maxHalfOpen, n > maxHalfOpen/spare && c.limits.requests.Load() > maxHalfOpenInAll:
		return errHalfOpen
	case c.bytes > maxHalfOpenBytes, c.bytes > maxHalfOpenBytes/spare && c.limits.bytes.Load() > maxHalfOpenBytesInAll:
		return errHalfOpenBytes
	default:
		return nil
	}
}

// late closes the connection if a request has been half-open since the timer was set.
// Otherwise it sets the timer again for the requests that have begun since. So a request
// is late between once and twice requestTimeout.
func (c *halfOpenConn) late() {
	if c.isLate() {
		// Without mu, because closing TLS sends and may wait. The reading goroutine sees the end.
		_ = c.Conn.Close()
	}
}

func (c *halfOpenConn) isLate() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.timer = nil
	if c.err != nil || len(c.open) == 0 {
		return false
	}
	newest, late := uint32(0), false
	for stream := range c.open {
		newest = max(newest, stream)
		late = late || stream <= c.began
	}
	if !late {
		c.began = newest
		c.timer = time.AfterFunc(requestTimeout, c.late)
		return false
	}
	c.err = errRequestLate
	c.limits.rejections.Inc()
	return true
}

// Write ends requests by what the server sends: a request with a complete response is no
// longer half-open, even if its client never ends it.
func (c *halfOpenConn) Write(data []byte) (int, error) {
	c.out.each(data, func(kind, flags byte, stream uint32, _ int) {
		ends := kind == frameRST || flags&flagEndStream != 0 && (kind == frameHeaders || kind == frameData)
		if ends && c.count.Load() > 0 {
			c.mu.Lock()
			c.end(stream)
			c.mu.Unlock()
		}
	})
	return c.Conn.Write(data)
}

// Close ends all requests of the connection.
func (c *halfOpenConn) Close() error {
	c.mu.Lock()
	for stream := range c.open {
		c.end(stream)
	}
	c.open = nil
	if c.timer != nil {
		c.timer.Stop()
		c.timer = nil
	}
	c.mu.Unlock()
	return c.Conn.Close()
}
