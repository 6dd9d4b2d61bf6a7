package dialer

import (
	"bytes"
	"net"
	"sync"
	"time"
)

// firstBytes is how much of what a server sends is kept, to recognise one that does not speak AMQP.
const firstBytes = 8

// A Wire is a connection that remembers how it ended, which the library does not report. The
// library's goroutines and the one that dials use it at the same time.
type Wire struct {
	net.Conn

	mu sync.Mutex
	// received are the first bytes from the server, err is why reading ended, and quiet is how long
	// the server was silent before that.
	received []byte
	err      error
	quiet    time.Duration
	last     time.Time
}

// NewWire returns a wire for an open connection, which it owns from now on.
func NewWire(conn net.Conn) *Wire { return &Wire{Conn: conn, last: time.Now()} }

// Read implements net.Conn.
func (w *Wire) Read(p []byte) (int, error) {
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

// End returns why reading ended, nil if it did not, and how long the server was silent before.
func (w *Wire) End() (err error, quiet time.Duration) { //nolint:revive,staticcheck // the error is what is asked for
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.err, w.quiet
}

// Silence returns how long the server has been silent.
func (w *Wire) Silence() time.Duration {
	w.mu.Lock()
	defer w.mu.Unlock()
	return time.Since(w.last)
}

// Began reports whether the server's first bytes are these.
func (w *Wire) Began(with string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return bytes.HasPrefix(w.received, []byte(with))
}

// Heard reports whether the server has sent anything.
func (w *Wire) Heard() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.received) > 0
}
