package server_test

import (
	"bytes"
	"context"
	"log/slog"
	"net"
	"regexp"
	"strings"
	"testing"

	pb "github.com/kedacore/keda/v2/pkg/scalers/externalscaler"
	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/test/bufconn"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/backlogtest"
	"github.com/backlog-scaler/backlog-scaler/internal/server"
	"github.com/backlog-scaler/backlog-scaler/internal/trigger"
)

// A panicker is an observer with a bug.
type panicker struct{}

func (panicker) Observe(context.Context, backlog.Interest) (*backlog.Observation, error) {
	panic("a bug")
}

func (panicker) Wake(string, string) int { panic("a bug") }

func (panicker) Subscribe(backlog.Interest) (server.Subscription, error) { panic("a bug") }

func TestPanicIsContained(t *testing.T) {
	t.Parallel()
	engines := []backlog.Engine{backlogtest.NewFake().Engine()}
	var log bytes.Buffer
	s := server.New(panicker{}, trigger.NewCatalog(connections(), engines), server.Options{Logger: slog.New(slog.NewTextHandler(&log, nil))})
	g := server.NewGRPC(s, server.NewHealth(func() error { return nil }), nil, prometheus.NewRegistry())
	listener := bufconn.Listen(1 << 16)
	served := make(chan error, 1)
	go func() { served <- g.Serve(listener) }()
	conn, err := grpc.NewClient("passthrough:///scaler",
		grpc.WithContextDialer(func(context.Context, string) (net.Conn, error) { return listener.Dial() }),
		grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := conn.Close(); err != nil {
			t.Error(err)
		}
		g.Stop()
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
	client := pb.NewExternalScalerClient(conn)
	for range 3 {
		if _, err := client.IsActive(t.Context(), ref("jobs")); status.Code(err) != codes.Internal {
			t.Errorf("a call that panics: %v, want Internal", err)
		}
		stream, err := client.StreamIsActive(t.Context(), ref("jobs"))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := stream.Recv(); status.Code(err) != codes.Internal {
			t.Errorf("a stream that panics: %v, want Internal", err)
		}
	}
	if _, err := client.GetMetricSpec(t.Context(), ref("jobs")); err != nil {
		t.Errorf("after panics: %v", err)
	}
	// The calls are over, so nothing is logged any more.
	g.Stop()
	stack := regexp.MustCompile(`panic="a bug" stack="server_test\.panicker\.Observe bounds_test\.go:\d+ < server\.\(\*Server\)\.decide server\.go:\d+ < [^"\n]*"`)
	if text := log.String(); !stack.MatchString(text) {
		t.Errorf("the log has no stack in one line:\n%s", text)
	}
}

func TestMessagesAreBounded(t *testing.T) {
	inWorld(t, server.Options{}, func(w world) {
		if _, err := w.client.IsActive(w.Context(), ref(strings.Repeat("long", 1<<15))); status.Code(err) != codes.ResourceExhausted {
			t.Errorf("a message of 128 KiB and more: %v, want ResourceExhausted", err)
		}
		if _, err := w.client.IsActive(w.Context(), ref(strings.Repeat("long", 25_000))); status.Code(err) != codes.InvalidArgument {
			t.Errorf("metadata of 100 KB: %v, want InvalidArgument", err)
		}
		if _, err := w.client.IsActive(w.Context(), ref(strings.Repeat("long", 1<<8))); err != nil {
			t.Errorf("a name of 1 KiB: %v", err)
		}
	})
}

// TestErrorsOfTheServerAreShort: what a client sends and the server repeats in an error
// is one short line, also where grpc-go and its standard services make the error.
func TestErrorsOfTheServerAreShort(t *testing.T) {
	inWorld(t, server.Options{}, func(w world) {
		long := strings.Repeat("canary\u202e", 3000)
		for name, call := range map[string]func() error{
			"a method that is not there": func() error {
				return w.conn.Invoke(w.Context(), "/"+strings.Repeat("canary.", 5000)+"/Do", ref("jobs"), &pb.IsActiveResponse{})
			},
			"a service that is not there": func() error {
				_, err := healthpb.NewHealthClient(w.conn).Check(w.Context(), &healthpb.HealthCheckRequest{Service: long})
				return err
			},
			"metadata with faults": func() error {
				_, err := w.client.GetMetrics(w.Context(), &pb.GetMetricsRequest{ScaledObjectRef: ref("jobs", long, long, "target", long)})
				return err
			},
		} {
			err := call()
			text := status.Convert(err).Message()
			if err == nil || text == "" || len(text) > backlog.MaxLine || backlog.Line(text) != text {
				t.Errorf("%s: %s: %d bytes: %.200q", name, status.Code(err), len(text), text)
			}
		}
		huge := metadata.AppendToOutgoingContext(w.Context(), "x", strings.Repeat("x", 1<<20))
		if _, err := w.client.IsActive(huge, ref("jobs")); err == nil {
			t.Error("headers of 1 MiB are accepted")
		}
		if !w.isActive(ref("jobs")) && status.Code(w.conn.Invoke(w.Context(), "/a/b", ref("jobs"), &pb.IsActiveResponse{})) != codes.Unimplemented {
			t.Error("the server does not go on")
		}
	})
}
