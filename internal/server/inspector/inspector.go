// Package inspector tells people what the scaler knows of each trigger, what it
// decides and why: the service on the admin address, and its client.
package inspector

import (
	"context"
	"slices"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/reflection"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/timestamppb"

	pb "github.com/backlog-scaler/backlog-scaler/gen/backlogscaler/v1"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/server"
)

// A Server knows the triggers.
type Server interface {
	// Accounts tells of the triggers of the ScaledObjects that wanted chooses.
	Accounts(now time.Time, wanted func(namespace, scaledObject string) bool) []server.Account
}

// Connections know the connections.
type Connections interface {
	// Status tells how a connection is, from memory, and whether there is one.
	Status(connection string) (backlog.Status, bool)
}

// An Inspector answers people. It implements InspectorService.
type Inspector struct {
	pb.UnimplementedInspectorServiceServer

	server      Server
	connections Connections
	fault       func() error
}

// New returns an Inspector of what server and connections know. fault returns what
// is wrong with the configuration file, nil if it is in force.
func New(known Server, connections Connections, fault func() error) *Inspector {
	return &Inspector{server: known, connections: connections, fault: fault}
}

// NewGRPC returns a gRPC server that serves the Inspector and reflection, and
// nothing else. guards bound what its clients hold open.
func NewGRPC(i *Inspector, guards ...grpc.ServerOption) *grpc.Server {
	g := grpc.NewServer(append(guards, grpc.MaxRecvMsgSize(maxRequest), grpc.StreamInterceptor(server.Briefly))...)
	pb.RegisterInspectorServiceServer(g, i)
	reflection.Register(g)
	return g
}

const (
	// maxRequest bounds a request, in bytes: it holds three names.
	maxRequest = 1 << 16
	// watchInterval is how often the triggers are looked at while somebody watches.
	watchInterval = 500 * time.Millisecond
	// heartbeat is after how long whoever watches is told that nothing has changed.
	heartbeat = 2 * time.Second
	// batch is how many triggers go into one message of a stream, to keep it far below
	// the 4 MiB that gRPC clients take by default.
	batch = 200
)

// ListTriggers names the triggers.
func (i *Inspector) ListTriggers(_ context.Context, request *pb.ListTriggersRequest) (*pb.ListTriggersResponse, error) {
	response := &pb.ListTriggersResponse{}
	for _, a := range i.server.Accounts(time.Now(), of(request.GetNamespace())) {
		response.Triggers = append(response.Triggers, triggerMessage(a))
	}
	return response, nil
}

// of chooses the triggers of a namespace; empty is all.
func of(namespace string) func(string, string) bool {
	return func(n, _ string) bool { return namespace == "" || n == namespace }
}

// Explain tells all about the triggers of one ScaledObject.
func (i *Inspector) Explain(_ context.Context, request *pb.ExplainRequest) (*pb.ExplainResponse, error) {
	now := time.Now()
	accounts := i.server.Accounts(now, func(namespace, name string) bool {
		return namespace == request.GetNamespace() && name == request.GetScaledObject()
	})
	if len(accounts) == 0 {
		return nil, status.Error(codes.NotFound, i.unknown(now, request))
	}
	names := make([]string, 0, len(accounts))
	for _, a := range accounts {
		names = append(names, a.Trigger.MetricName)
	}
	if wanted := request.GetTrigger(); wanted != "" {
		accounts = slices.DeleteFunc(accounts, func(a server.Account) bool { return a.Trigger.MetricName != wanted })
	}
	if len(accounts) == 0 {
		return nil, status.Error(codes.NotFound, unknownTrigger(request, names))
	}
	response := &pb.ExplainResponse{At: timestamppb.New(now)}
	if err := i.fault(); err != nil {
		response.ConfigurationError = err.Error()
	}
	slices.SortStableFunc(accounts, func(a, b server.Account) int { return b.Asked.Compare(a.Asked) })
	for _, a := range accounts {
		response.Explanations = append(response.Explanations, i.explain(a, now))
	}
	return response, nil
}

// WatchDecisions sends all triggers and then those whose decision changes, until
// the client goes.
func (i *Inspector) WatchDecisions(request *pb.WatchDecisionsRequest, stream grpc.ServerStreamingServer[pb.WatchDecisionsResponse]) error {
	ticker := time.NewTicker(watchInterval)
	defer ticker.Stop()
	told := map[string]sight{}
	var sent time.Time
	for {
		now := time.Now()
		changed, gone := i.changes(told, i.server.Accounts(now, of(request.GetNamespace())), now)
		if len(changed) > 0 || len(gone) > 0 || now.Sub(sent) >= heartbeat {
			sent = now
			if err := send(stream, now, changed, gone); err != nil {
				return err
			}
		}
		select {
		case <-ticker.C:
		case <-stream.Context().Done():
			return status.FromContextError(stream.Context().Err()).Err()
		}
	}
}

// send sends what is new, in messages of at most batch triggers. The last one says
// that it is complete.
func send(
	stream grpc.ServerStreamingServer[pb.WatchDecisionsResponse], now time.Time, changed []*pb.Explanation, gone []*pb.Trigger,
) error {
	for {
		n := min(batch, len(changed))
		response := &pb.WatchDecisionsResponse{At: timestamppb.New(now), Changed: changed[:n], Complete: n == len(changed)}
		if response.GetComplete() {
			response.Gone = gone
		}
		if err := stream.Send(response); err != nil {
			return err
		}
		if changed = changed[n:]; len(changed) == 0 {
			return nil
		}
	}
}

// changes returns what differs from what was told, and notes it as told.
func (i *Inspector) changes(told map[string]sight, accounts []server.Account, now time.Time) (changed []*pb.Explanation, gone []*pb.Trigger) {
	known := map[string]bool{}
	for _, a := range accounts {
		known[a.ID] = true
		seen := look(a)
		if before, ok := told[a.ID]; ok && before.state == seen.state {
			continue
		}
		told[a.ID] = seen
		changed = append(changed, i.explain(a, now))
	}
	for id, seen := range told {
		if !known[id] {
			gone = append(gone, seen.trigger)
			delete(told, id)
		}
	}
	return changed, gone
}
