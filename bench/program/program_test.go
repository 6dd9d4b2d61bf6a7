package program

import (
	"context"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/backlog-scaler/backlog-scaler/internal/childprocess"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestAnnouncement: addresses are found in output that comes in pieces, and later output is discarded.
func TestAnnouncement(t *testing.T) {
	t.Parallel()
	a := &announcement{complete: make(chan struct{})}
	for _, piece := range []string{"starting\nserving grpc=127.0", ".0.1:1 http=127.0.0.1:2", "\nlater grpc=127.0.0.1:3\n"} {
		if n, err := a.Write([]byte(piece)); n != len(piece) || err != nil {
			t.Errorf("%d bytes of %d are written, %v", n, len(piece), err)
		}
	}
	select {
	case <-a.complete:
	default:
		t.Error("the announcement is not complete")
	}
	if a.grpc != "127.0.0.1:1" || a.http != "127.0.0.1:2" {
		t.Errorf("the addresses are %s and %s", a.grpc, a.http)
	}
}

// TestServerThatEnds: the error of a server that does not listen has its last line.
func TestServerThatEnds(t *testing.T) {
	t.Parallel()
	_, err := StartServer(t.Context(), nil, "sh", "-c", "echo no port today >&2")
	if err == nil || !strings.Contains(err.Error(), "it ended before it listened: no port today") {
		t.Errorf("error %v, want its last line", err)
	}
}

// TestBackground: a program is ready when it prints so, and its last line is returned.
func TestBackground(t *testing.T) {
	t.Parallel()
	b, err := StartBackground("ready", "sh", "-c", `trap 'echo 7 requests; exit 0' TERM; echo ready; while :; do sleep 0.01; done`)
	if err != nil {
		t.Fatal(err)
	}
	select {
	case <-b.Ready():
	case <-time.After(time.Minute):
		t.Error("it does not become ready")
	}
	last, err := b.Stop()
	if last != "7 requests" || err != nil {
		t.Errorf("its last line is %q, %v", last, err)
	}
}

// TestConnectionsTo: established connections of the program to an address are counted, and no others.
func TestConnectionsTo(t *testing.T) {
	t.Parallel()
	var listeners [2]net.Listener
	for i := range listeners {
		var err error
		if listeners[i], err = new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0"); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = listeners[i].Close() })
	}
	address := listeners[0].Addr().String()
	for range 2 {
		// The test's own connection does not count.
		conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = conn.Close() })
	}
	_, port, _ := strings.Cut(address, ":")
	process, err := childprocess.Start(childprocess.Command{Path: "bash", Args: []string{"-c", "exec 3<>/dev/tcp/127.0.0.1/" + port + "; sleep 600"}})
	if err != nil {
		t.Skip("bash is not installed")
	}
	defer process.Kill()
	s := &Server{Process: process}
	err = childprocess.Poll(t.Context(), "a connection", time.Minute, 10*time.Millisecond, func(context.Context) error {
		if n, err := s.ConnectionsTo(address); n != 1 || err != nil {
			return fmt.Errorf("%d connections, %w, want 1", n, err)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
	if n, err := s.ConnectionsTo(listeners[1].Addr().String()); n != 0 || err != nil {
		t.Errorf("%d connections to another address, %v", n, err)
	}
	if _, err := s.ConnectionsTo("nowhere"); err == nil {
		t.Error("an address without a port is accepted")
	}
}
