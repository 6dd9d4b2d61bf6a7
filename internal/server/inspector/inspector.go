// Package inspector serves what the scaler knows about each trigger, what it decides and why,
// on the admin address. It has the client too.
package inspector

import (
	"cmp"
	"context"
	"slices"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/timestamppb"

	pb "github.com/backlog-scaler/backlog-scaler/gen/backlogscaler/v1"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/policies"
	"github.com/backlog-scaler/backlog-scaler/internal/server"
)

// A Server has the status of the triggers.
type Server interface {
	// TriggerStatuses returns the triggers whose ScaledObject wanted accepts.
	TriggerStatuses(now time.Time, wanted func(namespace, scaledObject string) bool) []server.TriggerStatus
	// EachTriggerStatus yields the same triggers, each without the parts that complete adds.
	EachTriggerStatus(now time.Time, wanted func(namespace, scaledObject string) bool,
		yield func(key uint64, t *server.TriggerStatus, complete func()) bool)
	// CountRejection counts a call that was rejected because a limit was reached.
	CountRejection(limit string)
}

// Connections have the status of the connections.
type Connections interface {
	// Status returns the status of a connection, from memory; false if there is none.
	Status(connection string) (backlog.Status, bool)
	// Connections returns the state of all connections, ordered by name, from memory.
	Connections() []backlog.ConnectionState
}

// Policies have the status of the AutoscalerPolicies.
type Policies interface {
	// Explain returns everything that is known of a policy; false if there is none.
	Explain(key policies.Key) (policies.Explanation, bool)
	// Keys returns the names of all policies.
	Keys() []policies.Key
}

// An Inspector implements InspectorService, and has what the web page shows.
type Inspector struct {
	server      Server
	connections Connections
	// policies is nil in a scaler that watches none.
	policies Policies
	fault    func() error
	// slots is a semaphore of the calls that visit all triggers.
	slots chan struct{}
	// hub serves those that list or watch all triggers again and again.
	hub *hub
}

// New returns an Inspector of a server, its connections and its policies, which are nil in a
// scaler that watches none. fault returns the faults of the configuration file; nil if it is in
// force.
func New(known Server, connections Connections, decided Policies, fault func() error) *Inspector {
	i := &Inspector{server: known, connections: connections, policies: decided, fault: fault, slots: make(chan struct{}, maxCalls)}
	i.hub = newHub(known, decided, i.explain)
	return i
}

const (
	// maxRequest bounds a request, and its headers, in bytes: it holds three names.
	maxRequest = 1 << 16
	// maxCalls is the number of concurrent calls that visit all triggers; others wait.
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

// ListTriggers returns the triggers.
func (i *Inspector) ListTriggers(ctx context.Context, request *pb.ListTriggersRequest) (*pb.ListTriggersResponse, error) {
	leave, err := i.enter(ctx)
	if err != nil {
		return nil, err
	}
	defer leave()
	type listed struct {
		*pb.Trigger
		lastCall time.Time
	}
	var all []listed
	i.server.EachTriggerStatus(time.Now(), inNamespace(request.GetNamespace()), func(_ uint64, t *server.TriggerStatus, complete func()) bool {
		complete()
		all = append(all, listed{triggerMessage(t), t.LastCall})
		return true
	})
	slices.SortFunc(all, func(a, b listed) int {
		return cmp.Or(
			cmp.Compare(a.GetNamespace(), b.GetNamespace()), cmp.Compare(a.GetScaledObject(), b.GetScaledObject()),
			cmp.Compare(a.GetName(), b.GetName()), b.lastCall.Compare(a.lastCall), cmp.Compare(a.GetId(), b.GetId()),
		)
	})
	response := &pb.ListTriggersResponse{Triggers: make([]*pb.Trigger, len(all))}
	for n := range all {
		response.Triggers[n] = all[n].Trigger
	}
	present(response)
	return response, nil
}

// inNamespace returns a filter for the triggers of a namespace; empty accepts all.
func inNamespace(namespace string) func(string, string) bool {
	return func(n, _ string) bool { return namespace == "" || n == namespace }
}

// Explain returns everything that is known about the triggers of one ScaledObject.
func (i *Inspector) Explain(ctx context.Context, request *pb.ExplainRequest) (*pb.ExplainResponse, error) {
	leave, err := i.enter(ctx)
	if err != nil {
		return nil, err
	}
	defer leave()
	now := time.Now()
	statuses := i.server.TriggerStatuses(now, func(namespace, name string) bool {
		return namespace == request.GetNamespace() && name == request.GetScaledObject()
	})
	if len(statuses) == 0 {
		return nil, status.Error(codes.NotFound, i.unknown(now, request))
	}
	names := make([]string, 0, len(statuses))
	for _, a := range statuses {
		names = append(names, a.Trigger.MetricName)
	}
	if wanted := request.GetTrigger(); wanted != "" {
		statuses = slices.DeleteFunc(statuses, func(a server.TriggerStatus) bool { return a.Trigger.MetricName != wanted })
	}
	if len(statuses) == 0 {
		return nil, status.Error(codes.NotFound, unknownTrigger(request, names))
	}
	response := &pb.ExplainResponse{At: timestamppb.New(now)}
	if err := i.fault(); err != nil {
		response.ConfigurationError = err.Error()
	}
	slices.SortStableFunc(statuses, func(a, b server.TriggerStatus) int { return b.LastCall.Compare(a.LastCall) })
	for _, a := range statuses {
		e := i.explain(a, now)
		if name := a.Trigger.PolicyName; name != "" {
			e.Policy = i.explainPolicy(policies.Key{Namespace: a.Namespace, Name: name}, now)
		}
		response.Explanations = append(response.Explanations, e)
	}
	present(response)
	return response, nil
}
