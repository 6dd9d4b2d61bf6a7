package server_test

import (
	"errors"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/net/http2"
	reflectionpb "google.golang.org/grpc/reflection/grpc_reflection_v1"
	"google.golang.org/protobuf/proto"

	"github.com/backlog-scaler/backlog-scaler/internal/server"
)

func (w world) rawClient() *rawClient {
	w.Helper()
	conn, err := w.dial()
	if err != nil {
		w.Fatal(err)
	}
	return newRawClient(w.T, conn)
}

// isClosed reports whether the server has closed the connection.
func (c *rawClient) isClosed() bool {
	synctest.Wait()
	select {
	case <-c.closed:
		return true
	default:
		return false
	}
}

// TestRequestsWithoutBodyAreBounded: requests that begin and never end close the connection
// that they came on, before they are many. Those of others go on.
func TestRequestsWithoutBodyAreBounded(t *testing.T) {
	inWorld(t, server.Options{}, func(w world) {
		flood := w.rawClient()
		sent := 0
		for ; sent < 100_000; sent++ {
			if _, err := flood.begin(methodIsActive); err != nil {
				break
			}
		}
		if !flood.isClosed() || sent > 10_000 {
			w.Errorf("%d requests without a body were sent on a connection", sent)
		}
		w.isActive(ref("jobs"))
		if n := rejectedBy(w.T, w.registry, "grpc_requests"); n != 1 {
			w.Errorf("the metrics have %v rejections, want 1", n)
		}
	})
}

// TestRequestsWithoutEndAreBounded does the same for requests whose messages are large and
// lack the last byte, which the server has to keep.
func TestRequestsWithoutEndAreBounded(t *testing.T) {
	inWorld(t, server.Options{}, func(w world) {
		flood := w.rawClient()
		part := make([]byte, 15<<10)
		sent := 0
		for ; sent < 2000; sent++ {
			stream, err := flood.begin(methodIsActive)
			if err != nil || flood.body(stream, 100<<10, part, false) != nil {
				break
			}
		}
		if !flood.isClosed() || sent*len(part) > 17<<20 {
			w.Errorf("%d requests without an end were sent on a connection", sent)
		}
		w.isActive(ref("jobs"))
	})
}

// TestLateRequestEndsItsConnection: of all kinds of calls, and also if other requests of the
// connection end in time.
func TestLateRequestEndsItsConnection(t *testing.T) {
	t.Parallel()
	for _, method := range []string{
		methodIsActive, "/externalscaler.ExternalScaler/StreamIsActive", "/externalscaler.ExternalScaler/StreamMetricSpec", "/grpc.health.v1.Health/Watch",
	} {
		t.Run(method, func(t *testing.T) {
			inWorld(t, server.Options{}, func(w world) {
				late := w.rawClient()
				if _, err := late.begin(method); err != nil {
					w.Fatal(err)
				}
				message, err := proto.Marshal(ref("jobs"))
				if err != nil {
					w.Fatal(err)
				}
				began := time.Now()
				for !late.isClosed() && time.Since(began) < time.Minute {
					time.Sleep(time.Second)
					if stream, err := late.begin(methodIsActive); err == nil {
						_ = late.body(stream, len(message), message, true) // the connection may be closed by now
					}
				}
				if took := time.Since(began); took < 10*time.Second || took > 21*time.Second {
					w.Errorf("the connection was closed after %s, want 10 s to 20 s", took)
				}
			})
		})
	}
}

// TestRequestsThatEndKeepTheirConnection: however many there are, and although a client need
// not end a request that is answered or given up.
func TestRequestsThatEndKeepTheirConnection(t *testing.T) {
	inWorld(t, server.Options{}, func(w world) {
		client := w.rawClient()
		message, err := proto.Marshal(ref("jobs"))
		client.must(err)
		for range 100 {
			for range 30 {
				whole, err := client.begin(methodIsActive)
				client.must(err)
				client.must(client.body(whole, len(message), message, true))
				_, err = client.begin("/externalscaler.ExternalScaler/Unknown")
				client.must(err)
				cancelled, err := client.begin(methodIsActive)
				client.must(err)
				client.must(client.framer.WriteRSTStream(cancelled, http2.ErrCodeCancel))
			}
			time.Sleep(time.Second)
		}
		if client.isClosed() {
			w.Error("the connection was closed")
		}
	})
}

// TestAllStreamsMayComeBackAtOnce: a KEDA that finds the scaler again opens all its streams at
// once, on one connection. If the server let it send no more than gRPC does by itself, the
// headers of thousands would come before their messages, and close the connection. With
// 10,000 ScaledObjects the benchmark of streams does it.
func TestAllStreamsMayComeBackAtOnce(t *testing.T) {
	inWorld(t, server.Options{}, func(w world) {
		conn, err := w.dial()
		if err != nil {
			w.Fatal(err)
		}
		defer conn.Close()
		framer := http2.NewFramer(conn, conn)
		if err := errors.Join(write(conn, []byte(http2.ClientPreface)), framer.WriteSettings()); err != nil {
			w.Fatal(err)
		}
		for {
			frame, err := framer.ReadFrame()
			if err != nil {
				w.Fatalf("no window for the connection: %v", err)
			}
			if update, is := frame.(*http2.WindowUpdateFrame); is && update.StreamID == 0 {
				if update.Increment < 15<<20 {
					w.Errorf("a client may send %d bytes more at once", update.Increment)
				}
				return
			}
		}
	})
}

// TestReflectionIsBrief: its requests stay open as long as their clients like, so the server
// ends them, and not the connection.
func TestReflectionIsBrief(t *testing.T) {
	inWorld(t, server.Options{}, func(w world) {
		for range 3 {
			stream, err := reflectionpb.NewServerReflectionClient(w.conn).ServerReflectionInfo(w.Context())
			if err != nil {
				w.Fatal(err)
			}
			if err := stream.Send(&reflectionpb.ServerReflectionRequest{MessageRequest: &reflectionpb.ServerReflectionRequest_ListServices{}}); err != nil {
				w.Fatal(err)
			}
			if reply, err := stream.Recv(); err != nil || len(reply.GetListServicesResponse().GetService()) == 0 {
				w.Errorf("reflection answers %v, %v", reply, err)
			}
			if _, err := stream.Recv(); !errors.Is(err, io.EOF) {
				w.Errorf("the stream ended with %v, want EOF", err)
			}
		}
		if n := rejectedBy(w.T, w.registry, "grpc_requests"); n != 0 {
			w.Errorf("%v connections were closed", n)
		}
	})
}
