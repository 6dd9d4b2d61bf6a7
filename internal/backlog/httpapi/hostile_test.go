package httpapi_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/httpapi"
)

// repeat sends a text until the connection ends.
func repeat(text string) func(context.Context, net.Conn) {
	return func(_ context.Context, to net.Conn) {
		for {
			if _, err := io.WriteString(to, text); err != nil {
				return
			}
		}
	}
}

// send sends texts one after the other and then closes the connection.
func send(texts ...string) func(context.Context, net.Conn) {
	return func(_ context.Context, to net.Conn) {
		for _, text := range texts {
			if _, err := io.WriteString(to, text); err != nil {
				return
			}
		}
	}
}

// sendAndRepeat sends a text once and another one until the connection ends.
func sendAndRepeat(first, then string) func(context.Context, net.Conn) {
	return func(ctx context.Context, to net.Conn) {
		send(first)(ctx, to)
		repeat(then)(ctx, to)
	}
}

// TestHostileServers has servers that send without an end, or something else than an answer. None
// of them takes more time or memory than the bounds, and each is an error of one kind.
func TestHostileServers(t *testing.T) {
	t.Parallel()
	const ok = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
	block := strings.Repeat("x", 64<<10)
	for name, c := range map[string]struct {
		talk func(context.Context, net.Conn)
		want error
		text string
	}{
		"endless body":              {sendAndRepeat(ok+"\r\n", block), backlog.ErrMismatch, "more than 1048576 bytes"},
		"endless chunks":            {sendAndRepeat(ok+"Transfer-Encoding: chunked\r\n\r\n", fmt.Sprintf("%x\r\n%s\r\n", len(block), block)), backlog.ErrMismatch, "more than 1048576 bytes"},
		"endless header":            {sendAndRepeat(ok+"X-Long: ", block), backlog.ErrUnavailable, "bytes of headers"},
		"endless headers":           {sendAndRepeat(ok, "X-Many: "+strings.Repeat("y", 4096)+"\r\n"), backlog.ErrUnavailable, "bytes of headers"},
		"endless interim answers":   {repeat("HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n"), backlog.ErrUnavailable, ""},
		"endless status line":       {sendAndRepeat("HTTP/1.1 200 ", block), backlog.ErrUnavailable, ""},
		"huge length, then silence": {send(ok + "Content-Length: 9223372036854775807\r\n\r\n{"), backlog.ErrUnavailable, "ends the connection"},
		"cut in the middle":         {send(ok + "Content-Length: 100\r\n\r\n{\"status\":"), backlog.ErrUnavailable, "ends the connection"},
		"cut in a chunk":            {send(ok + "Transfer-Encoding: chunked\r\n\r\nff\r\n{"), backlog.ErrUnavailable, "ends the connection"},
		"cut in the headers":        {send(ok), backlog.ErrUnavailable, "ends the connection"},
		"closed at once":            {send(), backlog.ErrUnavailable, "ends the connection"},
		"garbage":                   {repeat("\x00\xff"), backlog.ErrUnavailable, ""},
		"lines of garbage":          {repeat("garbage\r\n"), backlog.ErrUnavailable, "not HTTP"},
		"redis":                     {send("-ERR unknown command 'GET'\r\n"), backlog.ErrUnavailable, "not HTTP"},
		"tls":                       {send("\x15\x03\x01\x00\x02\x02\x16"), backlog.ErrUnavailable, "speaks TLS"},
		"wrong chunks":              {send(ok + "Transfer-Encoding: chunked\r\n\r\nzz\r\n"), backlog.ErrUnavailable, ""},
		"wrong length":              {send(ok + "Content-Length: -5\r\n\r\n"), backlog.ErrUnavailable, "not HTTP"},
		"wrong compression":         {send(ok + "Content-Encoding: gzip\r\nContent-Length: 20\r\n\r\nthis is not compress"), backlog.ErrUnavailable, "compressed"},
		"switching protocols":       {send("HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n"), backlog.ErrMismatch, "101"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			client := open(t, talking(t, c.talk), nil)
			response, err := client.Do(t.Context(), httpapi.Request{Path: "/api"})
			if !errors.Is(reason(t, err), c.want) || !strings.Contains(err.Error(), c.text) {
				t.Errorf("got %v, want %v with %q", err, c.want, c.text)
			}
			if response.Status != 0 || response.Body != nil {
				t.Errorf("got an answer with the error: %+v", response)
			}
			if err != nil && (len(err.Error()) > 500 || strings.Contains(err.Error(), "xxxx") || strings.Contains(err.Error(), "garbage")) {
				t.Errorf("the error repeats what the server sent: %v", err)
			}
		})
	}
}

// TestSlowServers has servers that send so slowly that only the bound of an answer ends them.
func TestSlowServers(t *testing.T) {
	t.Parallel()
	drip := func(first, then string) func(context.Context, net.Conn) {
		return func(ctx context.Context, to net.Conn) {
			send(first)(ctx, to)
			ticker := time.NewTicker(5 * time.Millisecond)
			defer ticker.Stop()
			for {
				select {
				case <-ctx.Done():
					return
				case <-ticker.C:
				}
				if _, err := io.WriteString(to, then); err != nil {
					return
				}
			}
		}
	}
	for name, talk := range map[string]func(context.Context, net.Conn){
		"silent":        func(ctx context.Context, _ net.Conn) { <-ctx.Done() },
		"slow body":     drip("HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n", "x"),
		"slow header":   drip("HTTP/1.1 200 OK\r\nX-Slow: ", "x"),
		"slow interims": drip("", "HTTP/1.1 100 Continue\r\n\r\n"),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			client := open(t, talking(t, talk), map[string]any{"answerTimeout": 100 * time.Millisecond})
			began := time.Now()
			_, err := client.Do(t.Context(), httpapi.Request{Path: "/"})
			if !errors.Is(reason(t, err), backlog.ErrUnavailable) || !strings.Contains(err.Error(), "within 100ms") && !strings.Contains(err.Error(), "not HTTP") {
				t.Errorf("got %v, want ErrUnavailable with the bound", err)
			}
			if took := time.Since(began); took > patience/2 {
				t.Errorf("it took %s", took)
			}
		})
	}
}

// TestCompressedBomb has a server whose answer of 64 KiB becomes 64 MiB.
func TestCompressedBomb(t *testing.T) {
	t.Parallel()
	var bomb bytes.Buffer
	writer := gzip.NewWriter(&bomb)
	zeros := make([]byte, 1<<20)
	for range 64 {
		if _, err := writer.Write(zeros); err != nil {
			t.Fatal(err)
		}
	}
	if err := writer.Close(); err != nil {
		t.Fatal(err)
	}
	url := answering(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Encoding", "gzip")
		_, _ = w.Write(bomb.Bytes())
	})
	client := open(t, url, nil)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, err := client.Do(t.Context(), httpapi.Request{Path: "/"})
	runtime.ReadMemStats(&after)
	if !errors.Is(reason(t, err), backlog.ErrMismatch) {
		t.Errorf("got %v, want ErrMismatch", err)
	}
	// Other tests allocate at the same time, so the bound is that of no more than a hint.
	if grown := after.TotalAlloc - before.TotalAlloc; grown > 1<<30 {
		t.Errorf("%d bytes were allocated", grown)
	}
}

// TestBodyOfTheLimit has a body of exactly MaxBody bytes, which is read whole.
func TestBodyOfTheLimit(t *testing.T) {
	t.Parallel()
	body := bytes.Repeat([]byte("1"), httpapi.MaxBody)
	url := answering(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(body) })
	response, err := open(t, url, nil).Do(t.Context(), httpapi.Request{Path: "/"})
	if err != nil || !bytes.Equal(response.Body, body) {
		t.Errorf("got %d bytes and %v, want %d", len(response.Body), err, len(body))
	}
}
