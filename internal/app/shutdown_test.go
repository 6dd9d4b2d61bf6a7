package app_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	inspectorpb "github.com/backlog-scaler/backlog-scaler/gen/backlogscaler/v1"
	"github.com/backlog-scaler/backlog-scaler/internal/app"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/redistest"
)

// connect opens a connection to an address and writes text.
func (s *scaler) connect(address net.Addr, text string) net.Conn {
	s.Helper()
	conn, err := (&net.Dialer{}).DialContext(s.Context(), "tcp", address.String())
	if err != nil {
		s.Fatal(err)
	}
	s.Cleanup(func() { _ = conn.Close() })
	if _, err := io.WriteString(conn, text); err != nil {
		s.Fatal(err)
	}
	return conn
}

// TestStopsInTime: whatever clients and brokers do, or do not, a scaler that is asked to stop
// has stopped within the shutdown timeout.
func TestStopsInTime(t *testing.T) {
	t.Parallel()
	const timeout = 2 * time.Second
	for name, hold := range map[string]func(s *scaler, server *redistest.Server){
		"a connection that says nothing": func(s *scaler, _ *redistest.Server) {
			s.connect(s.app.GRPCAddr(), "")
			s.connect(s.app.AdminAddr(), "")
			s.connect(s.app.HTTPAddr(), "")
		},
		"a request without a body": func(s *scaler, _ *redistest.Server) {
			conn := s.connect(s.app.GRPCAddr(), http2.ClientPreface)
			framer := http2.NewFramer(conn, conn)
			if err := framer.WriteSettings(); err != nil {
				s.Fatal(err)
			}
			var header headerBuffer
			packer := hpack.NewEncoder(&header)
			for _, field := range []hpack.HeaderField{
				{Name: ":method", Value: "POST"},
				{Name: ":scheme", Value: "http"},
				{Name: ":path", Value: "/externalscaler.ExternalScaler/IsActive"},
				{Name: ":authority", Value: "scaler"},
				{Name: "content-type", Value: "application/grpc"},
			} {
				if err := packer.WriteField(field); err != nil {
					s.Fatal(err)
				}
			}
			if err := framer.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: header, EndHeaders: true}); err != nil {
				s.Fatal(err)
			}
		},
		"a call that waits for its first reading, of a server that hangs": func(s *scaler, server *redistest.Server) {
			server.Freeze()
			s.Cleanup(server.Thaw)
			for n := range 3 {
				go func() {
					_, _ = s.client.IsActive(context.WithoutCancel(s.Context()), ref(fmt.Sprintf("jobs-%d", n))) // it is cut off
				}()
			}
		},
		"streams, and a client that watches decisions": func(s *scaler, _ *redistest.Server) {
			stream, err := s.client.StreamIsActive(context.WithoutCancel(s.Context()), ref("jobs"))
			if err != nil {
				s.Fatal(err)
			}
			if _, err := stream.Recv(); err != nil {
				s.Fatal(err)
			}
			watch, err := inspectorpb.NewInspectorServiceClient(s.dialAt(s.app.AdminAddr().String())).WatchDecisions(
				context.WithoutCancel(s.Context()), &inspectorpb.WatchDecisionsRequest{})
			if err != nil {
				s.Fatal(err)
			}
			if _, err := watch.Recv(); err != nil {
				s.Fatal(err)
			}
		},
		"a client that does not read the metrics": func(s *scaler, _ *redistest.Server) {
			s.connect(s.app.HTTPAddr(), "GET /metrics HTTP/1.1\r\nHost: scaler\r\n\r\n")
			s.connect(s.app.HTTPAddr(), "GET /metrics HTTP/1.1\r\nHost: sca")
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := redistest.Start(t)
			s := start(t, standalone(server.Addr()), setup{options: func(o *app.Options) {
				o.ShutdownTimeout = timeout
			}})
			if _, _, err := s.ask(ref("first")); err != nil && status.Code(err) != codes.Unavailable {
				t.Fatal(err)
			}
			hold(s, server)
			began := time.Now()
			s.stop()
			// A busy machine is slow to do what is left; without the bound it takes minutes.
			if took := time.Since(began); took > timeout+5*time.Second {
				t.Errorf("it took %s to stop, want at most %s", took, timeout)
			}
		})
	}
}

// A headerBuffer collects what is written to it.
type headerBuffer []byte

func (b *headerBuffer) Write(p []byte) (int, error) {
	*b = append(*b, p...)
	return len(p), nil
}
