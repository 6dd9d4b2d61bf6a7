package inspector_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	reflectionpb "google.golang.org/grpc/reflection/grpc_reflection_v1"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/known/timestamppb"

	pb "github.com/backlog-scaler/backlog-scaler/gen/backlogscaler/v1"
	"github.com/backlog-scaler/backlog-scaler/internal/admin"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/server"
	"github.com/backlog-scaler/backlog-scaler/internal/server/inspector"
	"github.com/backlog-scaler/backlog-scaler/internal/trigger"
)

// noConnections knows no connection that works.
type noConnections struct{}

func (noConnections) Status(string) (backlog.Status, bool) { return backlog.Status{}, false }

func (noConnections) Connections() []backlog.ConnectionState {
	return []backlog.ConnectionState{
		{Name: "new", Engine: "redis"},
		{
			Name: "orders", Engine: "redis", Namespaces: []string{"shop"}, Queues: 3, Failing: 1, FailingSince: time.Unix(90, 0), Err: errors.New("refused\nwith two lines"),
			LastContact: time.Unix(99, 0), Took: 1500 * time.Microsecond,
			Status: backlog.Status{Server: "redis 7.0.15", WakeUp: "poll", WakeUpReason: "NOPERM", Risks: []backlog.Risk{{Kind: backlog.RiskEviction, Text: "allkeys-lru", Latent: true}}},
		},
	}
}

// serveInspector serves one without triggers, at the address that it returns.
func serveInspector(t *testing.T) string {
	t.Helper()
	i := inspector.New(server.New(nil, trigger.NewCatalog(nil, nil), server.Options{}), noConnections{}, nil, func() error { return nil })
	s := admin.NewServer(admin.Options{Routes: i.Routes(), Page: http.NotFoundHandler()})
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(listener) }()
	t.Cleanup(func() {
		if err := errors.Join(s.Close(), <-ended); !errors.Is(err, http.ErrServerClosed) {
			t.Error(err)
		}
	})
	return listener.Addr().String()
}

func dial(t *testing.T, address string) *grpc.ClientConn {
	t.Helper()
	conn, err := grpc.NewClient(address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := conn.Close(); err != nil {
			t.Error(err)
		}
	})
	return conn
}

// TestClientsOfGRPC: calls, errors and streams reach clients of gRPC as from a server of grpc-go.
func TestClientsOfGRPC(t *testing.T) {
	t.Parallel()
	client := pb.NewInspectorServiceClient(dial(t, serveInspector(t)))
	if _, err := client.ListTriggers(t.Context(), &pb.ListTriggersRequest{}); err != nil {
		t.Error(err)
	}
	_, err := client.Explain(t.Context(), &pb.ExplainRequest{Namespace: "shop", ScaledObject: "a\nb"})
	if s := status.Convert(err); s.Code() != codes.NotFound || strings.Contains(s.Message(), "\n") {
		t.Errorf("no such ScaledObject: %v", err)
	}
	if _, err := client.ExplainPolicy(t.Context(), &pb.ExplainPolicyRequest{}); status.Code(err) != codes.FailedPrecondition {
		t.Errorf("no policies: %v", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	stream, err := client.WatchDecisions(ctx, &pb.WatchDecisionsRequest{})
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if r, err := stream.Recv(); err != nil || !r.GetComplete() {
			t.Errorf("the watch has %v, %v", r, err)
		}
	}
}

// TestListConnections: a connection has all that is known of it, on lines of their own, and nothing that is
// not.
func TestListConnections(t *testing.T) {
	t.Parallel()
	client, err := inspector.NewClient(serveInspector(t))
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := client.Close(); err != nil {
			t.Error(err)
		}
	}()
	got, err := client.ListConnections(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	want := []*pb.Connection{
		{Name: "new", Engine: "redis"},
		{
			Name: "orders", Engine: "redis", Namespaces: []string{"shop"}, Server: "redis 7.0.15", WakeUpMode: "poll", FallbackReason: "NOPERM",
			Queues: 3, Failing: 1, FailingSince: timestamppb.New(time.Unix(90, 0)), Error: backlog.Line("refused\nwith two lines"),
			LastContactAt: timestamppb.New(time.Unix(99, 0)), LastContactSeconds: new(0.0015),
			Risks: []*pb.Risk{{Kind: "eviction", Message: "allkeys-lru", Latent: true}},
		},
	}
	if diff := cmp.Diff(want, got.GetConnections(), protocmp.Transform()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestReflection lists the service, as grpcurl does.
func TestReflection(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	stream, err := reflectionpb.NewServerReflectionClient(dial(t, serveInspector(t))).ServerReflectionInfo(ctx)
	if err != nil {
		t.Fatal(err)
	}
	for _, request := range []*reflectionpb.ServerReflectionRequest{
		{MessageRequest: &reflectionpb.ServerReflectionRequest_ListServices{}},
		{MessageRequest: &reflectionpb.ServerReflectionRequest_FileContainingSymbol{FileContainingSymbol: "backlogscaler.v1.InspectorService"}},
	} {
		if err := stream.Send(request); err != nil {
			t.Fatal(err)
		}
		reply, err := stream.Recv()
		if err != nil {
			t.Fatal(err)
		}
		if list := reply.GetListServicesResponse(); list != nil && (len(list.GetService()) != 1 || list.GetService()[0].GetName() != "backlogscaler.v1.InspectorService") {
			t.Errorf("services %v", list)
		}
		if reply.GetErrorResponse() != nil {
			t.Errorf("%v", reply)
		}
	}
}

// TestJSON: a call is a POST of JSON over HTTP/1.1, and so is its error.
func TestJSON(t *testing.T) {
	t.Parallel()
	address := serveInspector(t)
	for path, want := range map[string]string{"ListTriggers": "", "ListConnections": "", "Explain": "not_found"} {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+address+"/backlogscaler.v1.InspectorService/"+path, strings.NewReader("{}"))
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("Content-Type", "application/json")
		response, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(request)
		if err != nil {
			t.Fatal(err)
		}
		data, err := io.ReadAll(response.Body)
		if err := errors.Join(err, response.Body.Close()); err != nil {
			t.Fatal(err)
		}
		var got struct{ Code string }
		if err := json.Unmarshal(data, &got); err != nil || got.Code != want {
			t.Errorf("%s: %s, %v", path, data, err)
		}
	}
}
