package redis

import (
	"bytes"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/redis/go-redis/v9"
)

// A canned is a connection whose other end says what it says, and is gone then.
type canned struct {
	net.Conn

	in   io.Reader
	sent bytes.Buffer
}

func (c *canned) Read(p []byte) (int, error)  { return c.in.Read(p) }
func (c *canned) Write(p []byte) (int, error) { return c.sent.Write(p) }
func (c *canned) SetDeadline(time.Time) error { return nil }

func newCanned(text string) *canned { return &canned{in: strings.NewReader(text)} }

func TestReply(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		text string
		want any
		err  error
	}{
		"status":          {"+OK\r\n", "OK", nil},
		"empty status":    {"+\r\n", "", nil},
		"number":          {":42\r\n", int64(42), nil},
		"negative":        {":-7\r\n", int64(-7), nil},
		"largest":         {":9223372036854775807\r\n", int64(9223372036854775807), nil},
		"smallest":        {":-9223372036854775808\r\n", int64(-9223372036854775808), nil},
		"too large":       {":9223372036854775808\r\n", nil, errProtocol},
		"text":            {"$5\r\na\r\nbc\r\n", "a\r\nbc", nil},
		"empty text":      {"$0\r\n\r\n", "", nil},
		"null":            {"$-1\r\n", nil, redis.Nil},
		"null array":      {"*-1\r\n", nil, redis.Nil},
		"error":           {"-WRONGTYPE of no use\r\n", nil, commandError("WRONGTYPE of no use")},
		"array":           {"*5\r\n:1\r\n$1\r\nx\r\n$-1\r\n-ERR no\r\n*1\r\n:2\r\n", []any{int64(1), "x", nil, commandError("ERR no"), []any{int64(2)}}, nil},
		"empty array":     {"*0\r\n", []any{}, nil},
		"nothing":         {"", nil, io.EOF},
		"half a line":     {":4", nil, io.EOF},
		"half a text":     {"$5\r\nab", nil, io.ErrUnexpectedEOF},
		"half an array":   {"*2\r\n:1\r\n", nil, io.EOF},
		"no end":          {"$1\r\nabc", nil, errProtocol},
		"no number":       {":x\r\n", nil, errProtocol},
		"no length":       {"$\r\n", nil, errProtocol},
		"negative length": {"$-2\r\n", nil, errProtocol},
		"huge text":       {"$600000000\r\n", nil, errProtocol},
		"bare line feed":  {":1\n", nil, errProtocol},
		"empty line":      {"\r\n", nil, errProtocol},
		"another kind":    {"%1\r\n", nil, errProtocol},
		"another program": {"HTTP/1.1 400 Bad Request\r\n", nil, errProtocol},
		"an endless line": {"+" + strings.Repeat("x", 2*wireBuffer), nil, errProtocol},
		"too deep":        {strings.Repeat("*1\r\n", 2*maxDepth) + ":1\r\n", nil, errProtocol},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := newWire(newCanned(test.text)).reply(0)
			if !errors.Is(err, test.err) || (err == nil) != (test.err == nil) {
				t.Fatalf("error %v, want %v", err, test.err)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestRun: what is refused is in its reply, and what follows is not confused by it.
func TestRun(t *testing.T) {
	t.Parallel()
	conn := newCanned(":3\r\n-NOPERM no\r\n+OK\r\n$-1\r\n")
	replies := make([]reply, 3)
	err := newWire(conn).run(time.Time{}, []command{
		{args: []any{"LLEN", "a"}},
		{args: []any{"ZRANGE", "é", 0, int64(-1), uint64(7), 0.5}},
		{args: []any{"GET", "c"}, asking: true},
	}, replies)
	if err != nil {
		t.Fatal(err)
	}
	want := "*2\r\n$4\r\nLLEN\r\n$1\r\na\r\n" +
		"*6\r\n$6\r\nZRANGE\r\n$2\r\né\r\n$1\r\n0\r\n$2\r\n-1\r\n$1\r\n7\r\n$3\r\n0.5\r\n" +
		"*1\r\n$6\r\nASKING\r\n*2\r\n$3\r\nGET\r\n$1\r\nc\r\n"
	if diff := cmp.Diff(want, conn.sent.String()); diff != "" {
		t.Errorf("sent (-want +got):\n%s", diff)
	}
	if n, err := replies[0].count(); n != 3 || err != nil {
		t.Errorf("LLEN: %d, %v", n, err)
	}
	if !hasCode(replies[1].err, "NOPERM") {
		t.Errorf("ZRANGE: %v", replies[1].err)
	}
	if !errors.Is(replies[2].err, redis.Nil) {
		t.Errorf("GET: %v", replies[2].err)
	}
}

// TestRunFails: a connection that ends or says what is no reply fails the whole run.
func TestRunFails(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{"ends": ":3\r\n", "other": ":3\r\n?\r\n"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			commands := []command{{args: []any{"LLEN", "a"}}, {args: []any{"LLEN", "b"}}}
			if err := newWire(newCanned(text)).run(time.Time{}, commands, make([]reply, 2)); err == nil || isServerError(err) {
				t.Errorf("error %v, want one of the connection", err)
			}
		})
	}
	if err := newWire(newCanned("")).run(time.Time{}, []command{{args: []any{"GET", []int{1}}}}, make([]reply, 1)); err == nil {
		t.Error("an argument of no known type is sent")
	}
}

// FuzzReply: whatever comes in, reading ends and does not panic.
func FuzzReply(f *testing.F) {
	for _, text := range []string{"+OK\r\n", ":1\r\n", "$1\r\nx\r\n", "*2\r\n:1\r\n$-1\r\n", "-ERR\r\n", "*9999999999\r\n", "$99999\r\n"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		w := newWire(newCanned(text))
		for range len(text) + 1 {
			value, err := w.reply(0)
			if err != nil && !isServerError(err) {
				return
			}
			if err == nil && value == nil {
				t.Fatal("nil is no reply")
			}
		}
		t.Fatalf("%q has more replies than bytes", text)
	})
}
