package jetstream

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
)

// TestGuard: what the library gets to read of what a server sends.
func TestGuard(t *testing.T) {
	t.Parallel()
	const inbox = "_INBOX.mine."
	answer := func(size int) string {
		return fmt.Sprintf("MSG %sx 1 %d\r\n%s\r\n", inbox, size, strings.Repeat("a", size))
	}
	for name, c := range map[string]struct {
		sent, passed string
		budget       int64
		// err is how it ends, and said the errors of the server that were reported.
		err  error
		said string
	}{
		"answers":                   {sent: answer(3) + "PING\r\n" + answer(0), passed: answer(3) + "PING\r\n" + answer(0), budget: 3, err: io.EOF},
		"an answer with a header":   {sent: "HMSG _INBOX.mine.x 1 2 3\r\nabc\r\n", passed: "HMSG _INBOX.mine.x 1 2 3\r\nabc\r\n", budget: 3, err: io.EOF},
		"a message of a queue":      {sent: "MSG orders.new 2 6\r\nsecret\r\nPONG\r\n", passed: "MSG orders.new 2 0\r\n\r\nPONG\r\n", budget: 100, err: io.EOF},
		"one with a reply":          {sent: "MSG orders.new 2 reply.to 6\r\nse\r\net\r\n", passed: "MSG orders.new 2 0\r\n\r\n", budget: 100, err: io.EOF},
		"one with a header":         {sent: "HMSG orders.new 2 4 6\r\nsecret\r\n", passed: "MSG orders.new 2 0\r\n\r\n", budget: 100, err: io.EOF},
		"answers beyond the budget": {sent: answer(5) + answer(5) + answer(5), passed: answer(5) + answer(5) + answer(0), budget: 12, err: io.EOF},
		"a large answer":            {sent: answer(maxAnswer + 1), passed: answer(0), budget: 1 << 40, err: io.EOF},
		"errors":                    {sent: "-ERR 'one'\r\n-ERR 'two'\r\nPONG\r\n", passed: "-ERR 'one'\r\n-ERR 'two'\r\nPONG\r\n", err: io.EOF, said: "one,two,"},
		"another operation":         {sent: "PONG\r\nPUB a 1\r\na\r\n", passed: "PONG\r\n", err: errForeign},
		"lower case":                {sent: "msg a 1 1\r\na\r\n", err: errForeign},
		"a long line":               {sent: "INFO " + strings.Repeat("a", maxLine), err: errForeign},
		"a size that is none":       {sent: "MSG a 1 1x\r\n", err: errForeign},
		"half a payload":            {sent: "MSG a 1 5\r\nab", err: io.EOF},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			near, far := net.Pipe()
			defer near.Close()
			defer far.Close()
			g := newGuard(near, bufio.NewReaderSize(strings.NewReader(c.sent), maxLine), []byte("INFO {}\r\n"), inbox)
			g.allow(c.budget)
			said := ""
			g.onRefusal(func(text string) { said += text + "," })
			var passed strings.Builder
			// A small buffer makes the library read pieces.
			_, err := io.CopyBuffer(&passed, struct{ io.Reader }{g}, make([]byte, 5))
			if err == nil {
				err = io.EOF
			}
			if !errors.Is(err, c.err) {
				t.Errorf("it ends with %v, want %v", err, c.err)
			}
			if want := "INFO {}\r\n" + c.passed; passed.String() != want {
				t.Errorf("%.200q is passed on, want %.200q", passed.String(), want)
			}
			if said != c.said {
				t.Errorf("%q is reported, want %q", said, c.said)
			}
			if end, _ := g.end(); !errors.Is(end, c.err) {
				t.Errorf("the end is %v, want %v", end, c.err)
			}
		})
	}
}
