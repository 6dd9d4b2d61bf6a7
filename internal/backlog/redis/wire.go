package redis

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"
)

const (
	// wireBuffer is the size of a wire's buffer of what comes in, in bytes; a line is
	// never longer. Errors, the longest lines, are a few hundred.
	wireBuffer = 16 << 10
	// maxBulk is the longest text that a server sends, proto-max-bulk-len by default.
	maxBulk = 512 << 20
	// maxDepth is how deep arrays lie in arrays; XINFO STREAM FULL has five.
	maxDepth = 16
)

// A wire runs pipelines on a connection on which go-redis has logged in. It speaks
// RESP2 itself because go-redis makes an object of each command: two fifths of the
// garbage of a batch of 10,000 queues (docs/performance.md).
// https://redis.io/docs/latest/develop/reference/protocol-spec/
type wire struct {
	conn net.Conn
	in   *bufio.Reader
	out  []byte
}

func newWire(conn net.Conn) *wire {
	return &wire{conn: conn, in: bufio.NewReaderSize(conn, wireBuffer)}
}

// A commandError is an error that the server answered with.
type commandError string

func (e commandError) Error() string { return string(e) }

// RedisError makes it one of go-redis's kind of error.
func (commandError) RedisError() {}

// run sends commands as one pipeline and fills in replies, one for each. The error is
// that of the connection, which is of no use afterwards.
func (w *wire) run(deadline time.Time, commands []command, replies []reply) error {
	w.out = w.out[:0]
	for i := range commands {
		if commands[i].asking {
			w.out = append(w.out, "*1\r\n$6\r\nASKING\r\n"...)
		}
		var err error
		if w.out, err = appendCommand(w.out, commands[i].args); err != nil {
			return err
		}
	}
	if err := w.conn.SetDeadline(deadline); err != nil {
		return fmt.Errorf("send commands: %w", err)
	}
	if _, err := w.conn.Write(w.out); err != nil {
		return fmt.Errorf("send commands: %w", err)
	}
	for i := range commands {
		if commands[i].asking {
			// What it is refused for, the command after it is refused for as well.
			if _, err := w.reply(0); err != nil && !isServerError(err) {
				return err
			}
		}
		replies[i].value, replies[i].err = w.reply(0)
		if err := replies[i].err; err != nil && !isServerError(err) {
			return err
		}
	}
	return nil
}

// appendCommand adds a command in the form of the protocol: an array of texts.
func appendCommand(out []byte, args []any) ([]byte, error) {
	out = appendHead(out, '*', len(args))
	for _, arg := range args {
		var number [32]byte
		var text []byte
		switch a := arg.(type) {
		case string:
			out = appendHead(out, '$', len(a))
			out = append(append(out, a...), "\r\n"...)
			continue
		case int:
			text = strconv.AppendInt(number[:0], int64(a), 10)
		case int64:
			text = strconv.AppendInt(number[:0], a, 10)
		case uint64:
			text = strconv.AppendUint(number[:0], a, 10)
		case float64:
			text = strconv.AppendFloat(number[:0], a, 'f', -1, 64)
		default:
			return nil, fmt.Errorf("send %v: a command has no arguments of type %T", args[0], arg)
		}
		out = appendHead(out, '$', len(text))
		out = append(append(out, text...), "\r\n"...)
	}
	return out, nil
}

func appendHead(out []byte, kind byte, n int) []byte {
	out = strconv.AppendInt(append(out, kind), int64(n), 10)
	return append(out, "\r\n"...)
}

// reply reads one reply: a string, an int64 or a []any of these, of nil and of errors.
// The error is redis.Nil, a commandError, or that of the connection.
func (w *wire) reply(depth int) (any, error) {
	line, err := w.line()
	if err != nil {
		return nil, err
	}
	kind, rest := line[0], line[1:]
	switch kind {
	case '+':
		return string(rest), nil
	case '-':
		return nil, commandError(rest)
	}
	n, ok := parseNumber(rest)
	switch {
	case !ok:
	case kind == ':':
		return n, nil
	case n == -1 && (kind == '$' || kind == '*'):
		return nil, redis.Nil
	case kind == '$' && n >= 0 && n <= maxBulk:
		return w.bulk(int(n))
	case kind == '*' && n >= 0 && depth < maxDepth:
		return w.array(n, depth)
	}
	return nil, fmt.Errorf("read a reply: %w: %.20q", errProtocol, line)
}

// errProtocol is what no server answers: the other end is something else.
var errProtocol = errors.New("this is not the protocol of Redis")

// line reads up to the end of a line, which it leaves out. It has at least one byte,
// and is valid until the next read.
func (w *wire) line() ([]byte, error) {
	line, err := w.in.ReadSlice('\n')
	if err != nil && !errors.Is(err, bufio.ErrBufferFull) {
		return nil, fmt.Errorf("read a reply: %w", err)
	}
	if n := len(line); err == nil && n >= 3 && line[n-2] == '\r' {
		return line[:n-2], nil
	}
	return nil, fmt.Errorf("read a reply: %w: %.20q", errProtocol, line)
}

func (w *wire) bulk(n int) (any, error) {
	text := make([]byte, n+2)
	if _, err := io.ReadFull(w.in, text); err != nil {
		return nil, fmt.Errorf("read a reply: %w", err)
	}
	if string(text[n:]) != "\r\n" {
		return nil, fmt.Errorf("read a reply: %w: a text without an end", errProtocol)
	}
	return string(text[:n]), nil
}

func (w *wire) array(n int64, depth int) (any, error) {
	list := make([]any, 0, min(n, 1024))
	for range n {
		value, err := w.reply(depth + 1)
		switch {
		case errors.Is(err, redis.Nil):
			value = nil
		case isServerError(err):
			value = err
		case err != nil:
			return nil, err
		}
		list = append(list, value)
	}
	return list, nil
}

// parseNumber is strconv.ParseInt without an allocation.
func parseNumber(text []byte) (n int64, ok bool) {
	negative := len(text) > 0 && text[0] == '-'
	if negative {
		text = text[1:]
	}
	if len(text) == 0 || len(text) > 18 {
		// Longer numbers of 64 bits are rare enough.
		return parseLong(text, negative)
	}
	for _, digit := range text {
		if digit < '0' || digit > '9' {
			return 0, false
		}
		n = n*10 + int64(digit-'0')
	}
	if negative {
		n = -n
	}
	return n, true
}

func parseLong(text []byte, negative bool) (int64, bool) {
	sign := ""
	if negative {
		sign = "-"
	}
	n, err := strconv.ParseInt(sign+string(text), 10, 64)
	return n, err == nil
}
