package layouttest

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"testing"
	"time"

	pb "github.com/kedacore/keda/v2/pkg/scalers/externalscaler"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	inspectorpb "github.com/backlog-scaler/backlog-scaler/gen/backlogscaler/v1"
	"github.com/backlog-scaler/backlog-scaler/internal/app"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/backlogtest"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/redistest"
	"github.com/backlog-scaler/backlog-scaler/internal/server/inspector"
	"github.com/backlog-scaler/backlog-scaler/internal/telemetry"
)

// A scaler is a whole one, as it runs in a cluster, that reads one server. Calls are
// those of KEDA.
type scaler struct {
	client pb.ExternalScalerClient
	admin  *inspector.Client
}

// startScaler runs a scaler on real ports until the test ends.
func startScaler(t testing.TB, server *redistest.Server) *scaler {
	t.Helper()
	config := filepath.Join(t.TempDir(), "scaler.yaml")
	connections := fmt.Sprintf("connections:\n  main: {engine: redis, namespaces: ['*'], addresses: [%q]}\n", server.Addr())
	if err := os.WriteFile(config, []byte(connections), 0o600); err != nil {
		t.Fatal(err)
	}
	a, err := app.New(t.Context(), app.Options{
		Config: config, GRPCAddress: "127.0.0.1:0", HTTPAddress: "127.0.0.1:0", AdminAddress: "127.0.0.1:0", ShutdownTimeout: 5 * time.Second,
		Engines: []backlog.Engine{redis.Engine()}, Build: telemetry.NewBuild("test", ""), Logger: backlogtest.Logger(t),
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	ended := make(chan error, 1)
	go func() { ended <- a.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("run the scaler: %v", err)
		}
	})
	conn, err := grpc.NewClient(a.GRPCAddr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	admin, err := inspector.NewClient(a.AdminAddr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = admin.Close() })
	return &scaler{client: pb.NewExternalScalerClient(conn), admin: admin}
}

// wokenBy returns what caused the read that found work in a queue after there was none.
func (s *scaler) wokenBy(t testing.TB, q backlog.Query) string {
	t.Helper()
	r := ref(t, q)
	response, err := s.admin.Explain(t.Context(), &inspectorpb.ExplainRequest{Namespace: r.GetNamespace(), ScaledObject: r.GetName()})
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range response.GetExplanations() {
		if e.GetTrigger().GetQueue() == q.Queue {
			return e.GetReadStatus().GetBecameNonempty().GetCause()
		}
	}
	t.Fatalf("the scaler does not explain queue %q", q.Queue)
	return ""
}

// ref is a trigger on a queue.
func ref(t testing.TB, q backlog.Query) *pb.ScaledObjectRef {
	t.Helper()
	params, err := url.ParseQuery(string(q.Params))
	if err != nil {
		t.Fatal(err)
	}
	metadata := map[string]string{"connection": "main", q.Layout: q.Queue}
	for name := range params {
		metadata[name] = params.Get(name)
	}
	return &pb.ScaledObjectRef{Name: "worker", Namespace: "shop", ScalerMetadata: metadata}
}

// A message is what a stream reported, or why it ended, and when.
type message struct {
	active bool
	err    error
	at     time.Time
}

// stream opens KEDA's stream of a trigger until the test ends.
func (s *scaler) stream(t testing.TB, q backlog.Query) <-chan message {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(cancel)
	stream, err := s.client.StreamIsActive(ctx, ref(t, q))
	if err != nil {
		t.Fatal(err)
	}
	// The scaler tells a state at most once a second, and a test takes less than a minute.
	messages := make(chan message, 100)
	go func() {
		defer close(messages)
		for {
			answer, err := stream.Recv()
			messages <- message{answer.GetResult(), err, time.Now()}
			if err != nil {
				return
			}
		}
	}()
	return messages
}

// next waits for a message, which must not be the end.
func next(t testing.TB, messages <-chan message) message {
	t.Helper()
	select {
	case m := <-messages:
		if m.err != nil {
			t.Fatalf("the stream ended: %v", m.err)
		}
		return m
	case <-time.After(Patience):
		t.Fatalf("the stream reported nothing within %s", Patience)
		return message{}
	}
}
