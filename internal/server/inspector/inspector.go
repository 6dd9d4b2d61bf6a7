// Package inspector tells people what the scaler knows of each trigger, what it
// decides and why: the service on the admin address, and its client.
package inspector

import (
	"context"
	"slices"
	"sync/atomic"
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
	// Accounts returns the triggers of the ScaledObjects that wanted chooses.
	Accounts(now time.Time, wanted func(namespace, scaledObject string) bool) []server.Account
	// EachAccount yields the same ones, each without what complete adds to it.
	EachAccount(now time.Time, wanted func(namespace, scaledObject string) bool,
		yield func(key uint64, a *server.Account, complete func()) bool)
	// CountRefusal counts a call that is refused because a limit is reached, by its kind.
	CountRefusal(kind string)
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
	// slots bounds the calls that look at all triggers, and watchers those that go on.
	slots    chan struct{}
	watchers atomic.Int32
}

// New returns an Inspector of what server and connections know. fault returns what
// is wrong with the configuration file, nil if it is in force.
func New(known Server, connections Connections, fault func() error) *Inspector {
	return &Inspector{server: known, connections: connections, fault: fault, slots: make(chan struct{}, maxCalls)}
}

// NewGRPC returns a gRPC server that serves the Inspector and reflection, and
// nothing else. guards bound what its clients hold open.
func NewGRPC(i *Inspector, guards ...grpc.ServerOption) *grpc.Server {
	g := grpc.NewServer(append(guards, grpc.MaxRecvMsgSize(maxRequest), grpc.UnaryInterceptor(presentUnary), grpc.ChainStreamInterceptor(presentStream, server.Briefly))...)
	pb.RegisterInspectorServiceServer(g, i)
	reflection.Register(g)
	return g
}

const (
	// maxRequest bounds a request, and its headers, in bytes: it holds three names.
	maxRequest = 1 << 16
	// maxCalls is how many calls that look at all triggers work at a time; others wait.
	maxCalls = 4
)

// enter waits for a slot. The error is a status.
func (i *Inspector) enter(ctx context.Context) (leave func(), err error) {
	select {
	case i.slots <- struct{}{}:
		return func() { <-i.slots }, nil
	case <-ctx.Done():
		return nil, status.FromContextError(ctx.Err()).Err()
	}
}

// ListTriggers names the triggers.
func (i *Inspector) ListTriggers(ctx context.Context, request *pb.ListTriggersRequest) (*pb.ListTriggersResponse, error) {
	leave, err := i.enter(ctx)
	if err != nil {
		return nil, err
	}
	defer leave()
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
func (i *Inspector) Explain(ctx context.Context, request *pb.ExplainRequest) (*pb.ExplainResponse, error) {
	leave, err := i.enter(ctx)
	if err != nil {
		return nil, err
	}
	defer leave()
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
