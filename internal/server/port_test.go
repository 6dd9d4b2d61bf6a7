package server_test

import (
	"context"
	"errors"
	"io"
	"net"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/backlog-scaler/backlog-scaler/internal/sampler"
	"github.com/backlog-scaler/backlog-scaler/internal/server"
	"github.com/backlog-scaler/backlog-scaler/internal/trigger"
)

// dialFrom connects from an address of the loopback network.
func dialFrom(t *testing.T, from string, to net.Addr) net.Conn {
	t.Helper()
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
	conn, err := dialer.DialContext(t.Context(), "tcp", to.String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

// hangsUp reports whether the other side closes the connection, and not the test.
func hangsUp(t *testing.T, conn net.Conn) bool {
	t.Helper()
	if err := conn.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	_, err := conn.Read(make([]byte, 1))
	return err != nil && !errors.Is(err, context.DeadlineExceeded) && !isTimeout(err)
}

func isTimeout(err error) bool {
	var timeout net.Error
	return errors.As(err, &timeout) && timeout.Timeout()
}

// TestConnectionsAreBounded: beyond the limit, in all or from one address, a connection is
// closed at once; others get in, and one that ends makes room.
func TestConnectionsAreBounded(t *testing.T) {
	t.Parallel()
	registry := prometheus.NewRegistry()
	s := server.New(observer{sampler.New(nil, sampler.Options{})}, trigger.NewCatalog(nil, nil), server.Options{MaxConnections: 6})
	registry.MustRegister(s.Collectors()...)
	var listen net.ListenConfig
	listener, err := listen.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := s.NewPort(server.PortGRPC, listener)
	accepted := make(chan net.Conn, 10)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			conn, err := port.Accept()
			if err != nil {
				return
			}
			accepted <- conn
		}
	}()
	admit := func(from string) (client, admitted net.Conn) {
		t.Helper()
		client = dialFrom(t, from, port.Addr())
		select {
		case admitted = <-accepted:
		case <-time.After(time.Minute):
			t.Fatalf("a connection from %s did not get in", from)
		}
		return client, admitted
	}
	_, first := admit("127.0.0.1")
	admit("127.0.0.1")
	admit("127.0.0.1")
	if !hangsUp(t, dialFrom(t, "127.0.0.1", port.Addr())) {
		t.Error("a fourth connection from an address got in")
	}
	admit("127.0.0.2")
	admit("127.0.0.2")
	probe, _ := admit("127.0.0.3")
	if !hangsUp(t, dialFrom(t, "127.0.0.4", port.Addr())) {
		t.Error("a seventh connection got in")
	}
	if open := scrape(t, registry, "backlog_scaler_open_connections"); len(open) != 1 || open[0] != 6 {
		t.Errorf("the metrics have %v open connections, want 6", open)
	}
	if n := rejectedBy(t, registry, "grpc_connections"); n != 2 {
		t.Errorf("the metrics have %v rejections, want 2", n)
	}
	if err := first.Close(); err != nil {
		t.Error(err)
	}
	_ = first.Close() // twice makes room once
	admit("127.0.0.1")
	if !hangsUp(t, dialFrom(t, "127.0.0.4", port.Addr())) {
		t.Error("one that was closed twice made room twice")
	}
	port.CloseConnections()
	if _, err := io.ReadAll(probe); isTimeout(err) {
		t.Errorf("read a connection that is closed: %v", err)
	}
	if !hangsUp(t, dialFrom(t, "127.0.0.5", port.Addr())) {
		t.Error("a connection got in after all were closed")
	}
	if err := port.Close(); err != nil {
		t.Error(err)
	}
	<-ended
}
