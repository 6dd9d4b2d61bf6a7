package tunnel_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/client-go/rest"

	"github.com/backlog-scaler/backlog-scaler/internal/kube/kubetest"
	"github.com/backlog-scaler/backlog-scaler/internal/kube/tunnel"
)

func TestMain(m *testing.M) {
	// A session of spdystream that is closed waits for its peer for a while, in a goroutine of its own.
	goleak.VerifyTestMain(m, goleak.IgnoreTopFunction("github.com/moby/spdystream.(*Connection).shutdown"))
}

// patience bounds what happens at once on an idle machine.
const patience = 30 * time.Second

// echo serves an address that returns what it gets, until the client has sent all.
func echo(t *testing.T) string {
	t.Helper()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var running sync.WaitGroup
	running.Go(func() {
		for {
			c, err := listener.Accept()
			if err != nil {
				return
			}
			running.Go(func() {
				_, _ = io.Copy(c, c)
				_ = c.Close()
			})
		}
	})
	t.Cleanup(func() {
		_ = listener.Close()
		running.Wait()
	})
	return listener.Addr().String()
}

// reach returns the tunnel to port 9091 of the pod shop/one, for the time of a test.
func reach(t *testing.T, server *kubetest.Server) *tunnel.Tunnel {
	t.Helper()
	way, err := tunnel.New(&rest.Config{Host: server.URL()}, "shop", "one", 9091)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := way.Close(); err != nil {
			t.Error(err)
		}
	})
	return way
}

// says sends a text and wants it back.
func says(c net.Conn, text string) error {
	if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
		return err
	}
	sent := make(chan error, 1)
	go func() {
		_, err := io.WriteString(c, text)
		sent <- err
	}()
	got := make([]byte, len(text))
	_, err := io.ReadFull(c, got)
	if err := errors.Join(err, <-sent); err != nil {
		return err
	}
	if string(got) != text {
		return fmt.Errorf("got %.20q, want %.20q", got, text)
	}
	return nil
}

func TestTunnel(t *testing.T) {
	t.Parallel()
	for kind, prepare := range map[string]func(*kubetest.Server){
		"websocket": func(*kubetest.Server) {},
		"spdy":      (*kubetest.Server).RefuseWebSockets,
	} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			server := kubetest.Start(t, kubetest.Pod{Namespace: "shop", Name: "one", Address: echo(t)})
			prepare(server)
			way := reach(t, server)
			var conns []net.Conn
			for i := range 3 {
				c, err := way.Dial(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { _ = c.Close() })
				// More than a window of SPDY.
				if err := says(c, strings.Repeat(string(rune('a'+i)), 300_000)); err != nil {
					t.Error(err)
				}
				conns = append(conns, c)
			}
			for i, c := range conns {
				if err := says(c, "again"); err != nil {
					t.Errorf("connection %d: %v", i, err)
				}
			}
			if err := conns[0].Close(); err != nil {
				t.Error(err)
			}
			if err := says(conns[1], "the others go on"); err != nil {
				t.Error(err)
			}
			if n := count(server.Asked(), "forward "+kind+" shop/one"); n != 1 {
				t.Errorf("%d sessions by %s, want one for all connections: %q", n, kind, server.Asked())
			}
			server.Cut()
			if _, err := conns[1].Read(make([]byte, 1)); err == nil {
				t.Error("the connection outlives the session")
			}
			// The next connection makes another session.
			var last error
			for deadline := time.Now().Add(patience); time.Now().Before(deadline); {
				c, err := way.Dial(t.Context())
				if err != nil {
					last = err
					continue
				}
				last = says(c, "back")
				_ = c.Close()
				if last == nil {
					break
				}
			}
			if last != nil {
				t.Errorf("after the session was lost: %v", last)
			}
		})
	}
}

func count(all []string, one string) (n int) {
	for _, text := range all {
		if text == one {
			n++
		}
	}
	return n
}

func TestFailures(t *testing.T) {
	t.Parallel()
	t.Run("nothing listens", func(t *testing.T) {
		t.Parallel()
		c, err := reach(t, kubetest.Start(t, kubetest.Pod{Namespace: "shop", Name: "one", Address: "127.0.0.1:1"})).Dial(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = c.Close() }()
		_, err = io.ReadAll(c)
		if err == nil || !strings.Contains(err.Error(), "reach port 9091 of pod shop/one: ") || !strings.Contains(err.Error(), "connection refused") {
			t.Errorf("the error is %v", err)
		}
	})
	t.Run("no pod", func(t *testing.T) {
		t.Parallel()
		if _, err := reach(t, kubetest.Start(t)).Dial(t.Context()); !apierrors.IsNotFound(err) {
			t.Errorf("the error is %v", err)
		}
	})
	t.Run("forbidden", func(t *testing.T) {
		t.Parallel()
		server := kubetest.Start(t, kubetest.Pod{Namespace: "shop", Name: "one", Address: echo(t)})
		server.Deny("shop", "get")
		way := reach(t, server)
		// The right to create is enough for SPDY.
		c, err := way.Dial(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if err := says(c, "hello"); err != nil || !slices.Contains(server.Asked(), "forward spdy shop/one") {
			t.Errorf("%v, %q", err, server.Asked())
		}
		_ = c.Close()
		server.Deny("shop", "create")
		if _, err := reach(t, server).Dial(t.Context()); !apierrors.IsForbidden(err) {
			t.Errorf("the error is %v", err)
		}
	})
	t.Run("silent", func(t *testing.T) {
		t.Parallel()
		listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0") // accepts and says nothing
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = listener.Close() }()
		way, err := tunnel.New(&rest.Config{Host: "http://" + listener.Addr().String()}, "shop", "one", 9091)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		if _, err := way.Dial(ctx); err == nil {
			t.Error("a server that says nothing is reached")
		}
		if err := way.Close(); err != nil {
			t.Error(err)
		}
		if _, err := way.Dial(t.Context()); err == nil || !strings.Contains(err.Error(), "the tunnel is closed") {
			t.Errorf("a tunnel that was closed: %v", err)
		}
	})
}
