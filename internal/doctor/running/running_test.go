package running_test

import (
	"context"
	"errors"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/timestamppb"

	pb "github.com/backlog-scaler/backlog-scaler/gen/backlogscaler/v1"
	"github.com/backlog-scaler/backlog-scaler/internal/doctor/facts"
	"github.com/backlog-scaler/backlog-scaler/internal/doctor/running"
	"github.com/backlog-scaler/backlog-scaler/internal/server/inspector"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// at is a moment, some seconds after the clock of the scaler began.
func at(seconds int64) *timestamppb.Timestamp { return &timestamppb.Timestamp{Seconds: seconds} }

// A service sends two triggers in two messages, and then nothing.
type service struct {
	pb.UnimplementedInspectorServiceServer

	// busy reports that it lists no connections and explains no policy.
	busy bool
}

func (service) WatchDecisions(request *pb.WatchDecisionsRequest, stream grpc.ServerStreamingServer[pb.WatchDecisionsResponse]) error {
	if request.GetNamespace() != "shop" {
		return errors.New("another namespace was asked for")
	}
	first := &pb.Explanation{
		Trigger:    &pb.Trigger{Namespace: "shop", ScaledObject: "billing", Name: "orders-list-jobs", Connection: "orders", Layout: "list", Queue: "jobs"},
		Decision:   &pb.Decision{WantedReplicas: 4},
		Problem:    &pb.Problem{Reason: "unavailable", Message: "refused", Advice: "start it", Since: at(90)},
		Reading:    &pb.Reading{Backlog: 20, Ready: 18, Consumers: new(int64(2)), OldestAgeSeconds: new(1.5)},
		ReadStatus: &pb.ReadStatus{WakeUpMode: "poll", FallbackReason: "NOPERM"},
		CallHistory: &pb.CallHistory{OpenStreams: 2, LastCallAt: at(99), LastResponses: []*pb.LastResponse{
			{Method: "GetMetrics", UnchangedSince: at(60)}, {Method: "IsActive", UnchangedSince: at(30)},
		}},
	}
	second := &pb.Explanation{Trigger: &pb.Trigger{Namespace: "shop", ScaledObject: "frontdesk", Policy: "frontdesk"}, Reading: &pb.Reading{Ready: 1}}
	if err := stream.Send(&pb.WatchDecisionsResponse{At: at(100), Changed: []*pb.Explanation{first}}); err != nil {
		return err
	}
	if err := stream.Send(&pb.WatchDecisionsResponse{At: at(100), Changed: []*pb.Explanation{second}, Complete: true}); err != nil {
		return err
	}
	<-stream.Context().Done()
	return nil
}

func (s service) ListConnections(context.Context, *pb.ListConnectionsRequest) (*pb.ListConnectionsResponse, error) {
	if s.busy {
		return nil, status.Error(codes.Unavailable, "busy")
	}
	return &pb.ListConnectionsResponse{
		ConfigurationError: "config.yaml:3: unknown key",
		Connections: []*pb.Connection{
			{Name: "cache", Risks: []*pb.Risk{{Kind: "eviction", Message: "maxmemory-policy is allkeys-lru"}, {Kind: "clients", Message: "many", Latent: true}}},
			{Name: "orders"},
		},
	}, nil
}

func (s service) ExplainPolicy(_ context.Context, request *pb.ExplainPolicyRequest) (*pb.ExplainPolicyResponse, error) {
	if s.busy {
		return nil, status.Error(codes.Unavailable, "busy with "+request.GetName())
	}
	learned := func(name string, known bool, perSecond float64) *pb.Signal {
		return &pb.Signal{Name: name, Learned: &pb.LearnedThroughput{Known: known, Measured: &perSecond}}
	}
	return &pb.ExplainPolicyResponse{Explanation: &pb.PolicyExplanation{Policy: &pb.Policy{Signals: []*pb.Signal{
		{Name: "stated"}, learned("mails", true, 4), learned("reports", true, 0.5), learned("new", false, 0.1), learned("none", true, 0),
	}}}}, nil
}

func serve(t *testing.T, s service) string {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer()
	pb.RegisterInspectorServiceServer(server, s)
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = server.Serve(listener)
	}()
	t.Cleanup(func() {
		server.Stop()
		<-done
	})
	return listener.Addr().String()
}

// client returns a client of an address, for the time of a test.
func client(t *testing.T, address string) *inspector.Client {
	t.Helper()
	c, err := inspector.NewClient(address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return c
}

// TestAsk: what a scaler reports of its triggers becomes plain values.
func TestAsk(t *testing.T) {
	t.Parallel()
	address := serve(t, service{})
	got, err := running.Ask(t.Context(), client(t, address), address, "shop")
	if err != nil {
		t.Fatal(err)
	}
	want := &facts.Scaler{
		Address: address, At: at(100).AsTime(), ConfigurationError: "config.yaml:3: unknown key",
		Triggers: []facts.Running{
			{
				Namespace: "shop", ScaledObject: "billing", Name: "orders-list-jobs", Connection: "orders", Layout: "list", Queue: "jobs",
				Problem: &facts.Problem{Reason: "unavailable", Message: "refused", Advice: "start it", Since: at(90).AsTime()},
				Reading: &facts.Reading{Backlog: 20, Ready: 18, Consumers: 2, Oldest: 1500 * time.Millisecond},
				Wanted:  4, WakeUp: "poll", Fallback: "NOPERM", Streams: 2, Called: true, Since: at(30).AsTime(),
			},
			{Namespace: "shop", ScaledObject: "frontdesk", Policy: "frontdesk", Reading: &facts.Reading{Ready: 1, Consumers: -1}},
		},
		Connections: []facts.Connection{
			{Name: "cache", Risks: []facts.Risk{{Kind: "eviction", Text: "maxmemory-policy is allkeys-lru"}, {Kind: "clients", Text: "many", Latent: true}}},
			{Name: "orders"},
		},
		Learned: map[string]facts.Throughput{"shop/frontdesk": {Signal: "reports", PerSecond: 0.5}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestAskWithoutConnections: a scaler that lists no connections is no scaler without faults and risks.
func TestAskWithoutConnections(t *testing.T) {
	t.Parallel()
	address := serve(t, service{busy: true})
	got, err := running.Ask(t.Context(), client(t, address), address, "shop")
	if err != nil {
		t.Fatal(err)
	}
	if got.ConfigurationError != "" || !strings.Contains(got.Unlisted, "busy") || len(got.Learned) > 0 {
		t.Errorf("the configuration has %q, learned is %v, and nothing is listed because %q", got.ConfigurationError, got.Learned, got.Unlisted)
	}
}

// TestAskNothing: an address at which nothing answers is an error that says so.
func TestAskNothing(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	if _, err := running.Ask(ctx, client(t, "127.0.0.1:1"), "127.0.0.1:1", ""); !errors.Is(err, inspector.ErrUnreachable) {
		t.Errorf("the error is %v", err)
	}
}
