package server_test

import (
	"context"
	"net"
	"strings"
	"testing"

	pb "github.com/kedacore/keda/v2/pkg/scalers/externalscaler"
	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/test/bufconn"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/backlogtest"
	"github.com/backlog-scaler/backlog-scaler/internal/server"
	"github.com/backlog-scaler/backlog-scaler/internal/trigger"
)

// A panicker is an observer with a bug.
type panicker struct{}

func (panicker) Observe(context.Context, backlog.Interest) (backlog.Observation, error) {
	panic("a bug")
}

func (panicker) Subscribe(backlog.Interest) (server.Subscription, error) { panic("a bug") }

func TestPanicIsContained(t *testing.T) {
	t.Parallel()
	engines := []backlog.Engine{backlogtest.NewFake().Engine()}
	s := server.New(panicker{}, trigger.NewCatalog(connections(), engines), server.Options{})
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
