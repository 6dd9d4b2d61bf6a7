package network

import (
	"errors"
	"net"
	"sync/atomic"
)

// A Budget bounds what a server may send until it is asked again, for client libraries that would
// receive without end. Several goroutines may use it. The zero value allows nothing.
type Budget struct{ left atomic.Int64 }

// ErrTooMuch is a server that sends more than its budget.
var ErrTooMuch = errors.New("the server sends more than it was asked for")

// Allow lets the server send so many bytes from now on.
func (b *Budget) Allow(bytes int64) { b.left.Store(bytes) }

// Bound returns a connection that receives no more than what is left.
func (b *Budget) Bound(conn net.Conn) net.Conn { return &bounded{Conn: conn, budget: b} }

type bounded struct {
	net.Conn

	budget *Budget
}

// Read implements net.Conn.
func (c *bounded) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if c.budget.left.Add(int64(-n)) < 0 {
		return 0, ErrTooMuch
	}
	return n, err
}
