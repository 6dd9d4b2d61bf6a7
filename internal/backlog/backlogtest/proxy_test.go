package backlogtest_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog/backlogtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// echo starts a server that sends back every line, and returns its address.
func echo(t *testing.T) string {
	t.Helper()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer func() { _ = conn.Close() }()
				lines := bufio.NewScanner(conn)
				for lines.Scan() {
					_, _ = fmt.Fprintln(conn, lines.Text())
				}
			}()
		}
	}()
	return listener.Addr().String()
}

// A caller is one connection to the echo server.
type caller struct {
	net.Conn
	lines *bufio.Reader
}

func dial(t *testing.T, p *backlogtest.Proxy) caller {
	t.Helper()
	conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", p.Addr())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return caller{conn, bufio.NewReader(conn)}
}

// call sends a line and returns what became of the answer within limit.
func (c caller) call(limit time.Duration) error {
	_ = c.SetDeadline(time.Now().Add(limit))
	if _, err := fmt.Fprintln(c, "hello"); err != nil {
		return err
	}
	return c.answer(limit)
}

func (c caller) answer(limit time.Duration) error {
	_ = c.SetDeadline(time.Now().Add(limit))
	line, err := c.lines.ReadString('\n')
	if err == nil && line != "hello\n" {
		return fmt.Errorf("answer %q", line)
	}
	return err
}

const (
	soon = 50 * time.Millisecond
	long = 10 * time.Second
)

func TestProxy(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]func(*testing.T, *backlogtest.Proxy, caller){
		"passes": func(t *testing.T, p *backlogtest.Proxy, c caller) {
			t.Helper()
			if p.Connections() != 1 {
				t.Errorf("%d connections", p.Connections())
			}
		},
		"cuts": func(t *testing.T, p *backlogtest.Proxy, c caller) {
			t.Helper()
			p.Cut()
			if err := c.call(long); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("a connection that was cut: %v", err)
			}
			if err := dial(t, p).call(long); err != nil {
				t.Errorf("a new connection: %v", err)
			}
		},
		"refuses": func(t *testing.T, p *backlogtest.Proxy, c caller) {
			t.Helper()
			p.Refuse()
			if err := c.call(long); err == nil {
				t.Error("a connection went on")
			}
			if _, err := new(net.Dialer).DialContext(t.Context(), "tcp", p.Addr()); err == nil {
				t.Error("a new connection was accepted")
			}
			p.Restore()
			if err := dial(t, p).call(long); err != nil {
				t.Errorf("after Restore: %v", err)
			}
		},
		"swallows": func(t *testing.T, p *backlogtest.Proxy, c caller) {
			t.Helper()
			p.BlackHole()
			for _, c := range []caller{c, dial(t, p)} {
				if err := c.call(soon); !errors.Is(err, os.ErrDeadlineExceeded) {
					t.Errorf("in a black hole: %v", err)
				}
			}
			p.Restore()
			if err := c.answer(long); err != nil {
				t.Errorf("what was held back: %v", err)
			}
		},
		"answers nothing": func(t *testing.T, p *backlogtest.Proxy, c caller) {
			t.Helper()
			p.HalfOpen()
			if err := c.call(soon); !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("half open: %v", err)
			}
			p.Restore()
			if err := c.answer(long); err != nil {
				t.Errorf("what was held back: %v", err)
			}
		},
		"cuts replies in half": func(t *testing.T, p *backlogtest.Proxy, c caller) {
			t.Helper()
			p.Halve()
			_ = c.SetDeadline(time.Now().Add(long))
			if _, err := fmt.Fprintln(c, "hello"); err != nil {
				t.Fatal(err)
			}
			if half, err := io.ReadAll(c.lines); err != nil || string(half) != "hel" {
				t.Errorf("half of a reply: %q, %v", half, err)
			}
			p.Restore()
			if err := dial(t, p).call(long); err != nil {
				t.Errorf("after Restore: %v", err)
			}
		},
		"delays": func(t *testing.T, p *backlogtest.Proxy, c caller) {
			t.Helper()
			p.Delay(30 * time.Millisecond)
			begin := time.Now()
			if err := c.call(long); err != nil {
				t.Error(err)
			}
			if took := time.Since(begin); took < 60*time.Millisecond {
				t.Errorf("30 ms in each direction took %s", took)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := backlogtest.NewProxy(t, echo(t))
			c := dial(t, p)
			if err := c.call(long); err != nil {
				t.Fatal(err)
			}
			test(t, p, c)
		})
	}
}
