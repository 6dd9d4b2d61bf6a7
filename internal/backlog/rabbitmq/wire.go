package rabbitmq

import (
	"bytes"
	"net"
	"sync"
	"time"
)

// firstBytes is how much of what a server sends is kept, to recognise one that does not speak AMQP.
const firstBytes = 8

// A wire is a connection that remembers how it ended, which the library does not report. The
// library's goroutines and the one that dials use it at the same time.
type wire struct {
	net.Conn

	mu sync.Mutex
	// received are the first bytes from the server, err is why reading ended, and quiet is how long
	// the server was silent before that.
	received []byte
	err      error
	quiet    time.Duration
	last     time.Time
}

// newWire returns a wire for an open connection.
func newWire(conn net.Conn) *wire { return &wire{Conn: conn, last: time.Now()} }

// Read implements net.Conn.
func (w *wire) Read(p []byte) (int, error) {
	n, err := w.Conn.Read(p)
	w.mu.Lock()
	defer w.mu.Unlock()
	now := time.Now()
	if missing := firstBytes - len(w.received); missing > 0 {
		w.received = append(w.received, p[:min(n, missing)]...)
	}
	if err != nil && w.err == nil {
		w.err, w.quiet = err, now.Sub(w.last)
	}
	w.last = now
	return n, err
}

// end returns why reading ended, nil if it did not, and how long the server was silent before.
func (w *wire) end() (err error, quiet time.Duration) { //nolint:revive,staticcheck // the error is what is asked for
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.err, w.quiet
}

// silence returns how long the server has been silent.
func (w *wire) silence() time.Duration {
	w.mu.Lock()
	defer w.mu.Unlock()
	return time.Since(w.last)
}

// began reports whether the server's first bytes are these.
func (w *wire) began(with string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return bytes.HasPrefix(w.received, []byte(with))
}

// heard reports whether the server has sent anything.
func (w *wire) heard() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.received) > 0
}
