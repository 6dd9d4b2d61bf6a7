package jetstream

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog/network"
)

const (
	// maxLine bounds a line of the protocol in bytes. The longest is INFO with the addresses of a
	// cluster.
	maxLine = 128 << 10
	// maxAnswer bounds one answer in bytes. The largest is that of a stream with the counts of 100,000
	// subjects.
	maxAnswer = 8 << 20
)

// A guard is a connection between the server and the client library. The library believes what the
// server says of sizes, so the guard checks each line of the protocol before it passes it on:
//
//  1. A line has at most maxLine bytes and begins with an operation of a server.
//  2. The payload of a message is passed on if it is an answer, within maxAnswer and the budget. That
//     of any other message is dropped: the messages of queues only wake, and their contents never
//     enter the memory.
//  3. An error of the server is reported before the library sees what follows it. So an
//     answer to a PING proves which of the subscriptions before it were refused.
//
// The library reads, one goroutine at a time; what is guarded by mu may be read by any.
type guard struct {
	net.Conn

	in *bufio.Reader
	// line is the rest of a line that the library has not read yet, and pass the number of bytes of
	// its payload that follow.
	line []byte
	pass int64
	// inbox is the beginning of the subjects of answers.
	inbox []byte
	// login reports that the library logs in, so that one goroutine reads and writes.
	login atomic.Bool
	// budget is how many bytes of answers the server may still send.
	budget atomic.Int64

	mu sync.Mutex
	// refused is called with each error of the server; nil until there is a session.
	refused func(text string)
	// err is why reading ended, and said the last error of the server.
	err  error
	said string
}

// errForeign is a server that does not speak the protocol.
var errForeign = errors.New("the server does not speak the protocol of NATS")

// newGuard returns a guard for an open connection, whose first line was read before.
func newGuard(conn net.Conn, in *bufio.Reader, first []byte, inbox string) *guard {
	return &guard{Conn: conn, in: in, line: first, inbox: []byte(inbox)}
}

// allow lets the server send so many bytes of answers from now on.
func (g *guard) allow(size int64) { g.budget.Store(size) }

// onRefusal sets what is called with each error of the server.
func (g *guard) onRefusal(refused func(text string)) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.refused = refused
}

// end returns why reading ended, nil if it did not, and the last error of the server.
func (g *guard) end() (err error, said string) { //nolint:revive,staticcheck // the error is what is asked for
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.err, g.said
}

// Read implements net.Conn.
func (g *guard) Read(p []byte) (int, error) {
	for len(g.line) == 0 && g.pass == 0 {
		if err := g.next(); err != nil {
			return 0, g.note(err)
		}
	}
	if len(g.line) > 0 {
		n := copy(p, g.line)
		g.line = g.line[n:]
		return n, nil
	}
	n, err := g.in.Read(p[:min(int64(len(p)), g.pass)])
	g.pass -= int64(n)
	return n, g.note(err)
}

// lastWords is how long a server is given to say why it ends a connection.
const lastWords = 100 * time.Millisecond

// Write implements net.Conn. A server that refuses the client certificate says so after the handshake,
// which the library does not read if it finds the connection closed.
func (g *guard) Write(p []byte) (int, error) {
	n, err := g.Conn.Write(p)
	if err != nil && g.login.Load() {
		_ = g.SetReadDeadline(time.Now().Add(lastWords)) // a closed connection fails next
		if _, why := g.in.Peek(1); why != nil && !network.IsTimeout(why) {
			_ = g.note(why)
		}
	}
	return n, err
}

func (g *guard) note(err error) error {
	if err == nil {
		return nil
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.err == nil {
		g.err = err
	}
	return err
}

// next reads the next line, and drops its payload unless that is an answer.
func (g *guard) next() error {
	line, err := readLine(g.in)
	if err != nil {
		return err
	}
	g.line = line
	operation, rest, _ := bytes.Cut(bytes.TrimRight(line, "\r\n"), []byte(" "))
	switch string(operation) {
	case "PING", "PONG", "+OK", "INFO":
		return nil
	case "-ERR":
		g.fail(strings.Trim(string(rest), "' "))
		return nil
	case "MSG":
		return g.message(rest, 1)
	case "HMSG":
		return g.message(rest, 2)
	default:
		return errForeign
	}
}

// readLine reads a line that begins with an operation of a server. It is valid until the next read.
func readLine(in *bufio.Reader) ([]byte, error) {
	first, err := in.Peek(1)
	if err != nil {
		return nil, err
	}
	if !bytes.ContainsAny(first, "IPMH+-") {
		return nil, errForeign
	}
	line, err := in.ReadSlice('\n')
	if errors.Is(err, bufio.ErrBufferFull) {
		return nil, errForeign
	}
	return line, err
}

// fail notes an error of the server.
func (g *guard) fail(text string) {
	g.mu.Lock()
	g.said = text
	refused := g.refused
	g.mu.Unlock()
	if refused != nil {
		refused(text)
	}
}

// message reads the arguments of a message: the subject, the number of the subscription, maybe a subject
// for replies, and one or two sizes. The last size is that of the payload.
func (g *guard) message(arguments []byte, sizes int) error {
	fields := bytes.Fields(arguments)
	if len(fields) != 2+sizes && len(fields) != 3+sizes {
		return errForeign
	}
	size, err := strconv.ParseInt(string(fields[len(fields)-1]), 10, 64)
	if err != nil || size < 0 || size > 1<<40 {
		return errForeign
	}
	if sizes == 2 {
		header, err := strconv.ParseInt(string(fields[len(fields)-2]), 10, 64)
		if err != nil || header < 0 || header > size {
			return errForeign
		}
	}
	const end = int64(len("\r\n"))
	if bytes.HasPrefix(fields[0], g.inbox) && size <= maxAnswer && g.budget.Add(-size) >= 0 {
		g.pass = size + end
		return nil
	}
	g.line = fmt.Appendf(nil, "MSG %s %s 0\r\n\r\n", fields[0], fields[1])
	_, err = io.CopyN(io.Discard, g.in, size+end)
	return err
}
