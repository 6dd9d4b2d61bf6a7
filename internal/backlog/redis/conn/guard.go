package conn

import (
	"errors"
	"fmt"
	"net"
	"strings"
	"sync/atomic"
)

// The bounds of what a server may send. They are far above what any command of the scaler
// is answered, and so far below what the process may use that a server cannot end it.
const (
	// maxLine is the length of a line, in bytes: an error, a status, a number or a length.
	maxLine = 64 << 10
	// maxBulk is the length of a text, in bytes, such as a job.
	maxBulk = 32 << 20
	// maxElements is the number of elements in a reply, those of arrays in it included. The
	// slots of a cluster that is divided as finely as possible take a third of it.
	maxElements = 1 << 20
	// maxDepth is how deep arrays may be nested. The slots of a cluster take four.
	maxDepth = 8
	// maxReceived is how much is received for the commands that are sent at once, in bytes,
	// and for one message on a subscription. Each element counts elementSize further bytes.
	maxReceived = 64 << 20
	// elementSize is what an element takes in memory apart from its text, in bytes: an
	// interface in the slice of its array, and the header of a string or a slice behind it.
	// An empty text is six bytes on the wire.
	elementSize = 40
	// shownStart is how much an error repeats of what is no reply, in bytes.
	shownStart = 16
)

// ErrHostileReply is a reply that is larger or deeper than any that is asked for, or none
// of the protocol. The connection is of no use afterwards.
var ErrHostileReply = errors.New("the server sends what no command is answered")

// A replyGuard checks the bytes of replies before the client library sees them, because
// the library allocates what a header announces. It knows RESP2, in which all connections
// speak: https://redis.io/docs/latest/develop/reference/protocol-spec/
type replyGuard struct {
	// messages reports that messages of a subscription are received. Each is counted by itself,
	// because nothing is sent for them.
	messages bool
	// remaining are the numbers of elements that are missing, of each open array.
	remaining []int64
	// kind is the first byte of the line that is being received; 0 between two lines.
	kind byte
	// line is the length of that line, and number the number in it.
	line   int
	number int64
	signed bool
	// skip is how much of a text is still to come, with the end of its line.
	skip int64
	// elements are those that the arrays of the reply announce. received is counted since
	// the last reset, with the size of the elements that were announced since.
	elements int64
	received int64
}

// reset begins to count again what is received.
func (g *replyGuard) reset() { g.received = 0 }

// check takes the next bytes.
func (g *replyGuard) check(p []byte) error {
	if err := g.receive(int64(len(p))); err != nil {
		return err
	}
	for len(p) > 0 {
		if g.skip > 0 {
			n := min(g.skip, int64(len(p)))
			g.skip -= n
			p = p[n:]
			if g.skip == 0 {
				g.ended()
			}
			continue
		}
		if g.kind == 0 && !strings.ContainsRune("+-:$*", rune(p[0])) {
			return fmt.Errorf("%w: a reply that begins with %q", ErrHostileReply, p[:min(len(p), shownStart)])
		}
		if err := g.next(p[0]); err != nil {
			return err
		}
		p = p[1:]
	}
	return nil
}

// receive counts n bytes.
func (g *replyGuard) receive(n int64) error {
	g.received += n
	if g.received > maxReceived {
		return fmt.Errorf("%w: more than %d bytes at once", ErrHostileReply, maxReceived)
	}
	return nil
}

// next takes one byte of a line.
func (g *replyGuard) next(b byte) error {
	if g.kind == 0 {
		g.kind, g.line, g.number, g.signed = b, 0, 0, false
		return nil
	}
	g.line++
	if g.line > maxLine {
		return fmt.Errorf("%w: a line of more than %d bytes", ErrHostileReply, maxLine)
	}
	if b == '\n' {
		return g.header()
	}
	if g.kind == '$' || g.kind == '*' {
		return g.digit(b)
	}
	return nil
}

// digit takes one byte of a length.
func (g *replyGuard) digit(b byte) error {
	switch {
	case b == '\r':
	case b == '-' && g.line == 1:
		g.signed = true
	case b >= '0' && b <= '9' && g.number <= maxBulk:
		g.number = 10*g.number + int64(b-'0')
	default:
		return fmt.Errorf("%w: a length that is no number or too large", ErrHostileReply)
	}
	return nil
}

// header ends a line, and begins what it announces.
func (g *replyGuard) header() error {
	kind, n := g.kind, g.number
	g.kind = 0
	if g.signed {
		// A text or an array that is not there.
		n = -1
	}
	switch {
	case kind == '$' && n > maxBulk:
		return fmt.Errorf("%w: a text of %d bytes, want at most %d", ErrHostileReply, n, maxBulk)
	case kind == '*' && n > maxElements-g.elements:
		return fmt.Errorf("%w: %d elements in arrays, want at most %d in all", ErrHostileReply, g.elements+n, maxElements)
	case kind == '$' && n >= 0:
		g.skip = n + int64(len("\r\n"))
		return nil
	case kind == '*' && n > 0:
		if len(g.remaining) == maxDepth {
			return fmt.Errorf("%w: arrays nested more than %d deep", ErrHostileReply, maxDepth)
		}
		g.elements += n
		g.remaining = append(g.remaining, n)
		return g.receive(n * elementSize)
	}
	g.ended()
	return nil
}

// ended ends an element, and the arrays whose last element it is.
func (g *replyGuard) ended() {
	for len(g.remaining) > 0 {
		last := len(g.remaining) - 1
		g.remaining[last]--
		if g.remaining[last] > 0 {
			return
		}
		g.remaining = g.remaining[:last]
	}
	g.elements = 0
	if g.messages {
		g.reset()
	}
}

// A guardedConn is a connection whose replies are checked as they come in.
type guardedConn struct {
	net.Conn

	// guard belongs to the goroutine that reads.
	guard replyGuard
	// restart makes it begin to count again.
	restart atomic.Bool
}

// guard checks what is received on a connection; messages reports that it is a subscription.
func guard(inner net.Conn, messages bool) *guardedConn {
	return &guardedConn{Conn: inner, guard: replyGuard{messages: messages}}
}

// Read receives. Bytes that may not be passed on end the connection.
func (c *guardedConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if c.restart.CompareAndSwap(true, false) {
		c.guard.reset()
	}
	if problem := c.guard.check(p[:n]); problem != nil {
		_ = c.Close()
		return 0, problem
	}
	return n, err
}

// Write sends. What is received afterwards is counted from zero.
func (c *guardedConn) Write(p []byte) (int, error) {
	c.restart.Store(true)
	return c.Conn.Write(p)
}
