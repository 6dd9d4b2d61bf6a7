// Package running asks a running scaler what it knows, for scaler doctor.
package running

import (
	"context"
	"errors"
	"fmt"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	pb "github.com/backlog-scaler/backlog-scaler/gen/backlogscaler/v1"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/doctor/facts"
	"github.com/backlog-scaler/backlog-scaler/internal/server/inspector"
)

// maxTriggers bounds the triggers that are kept; a scaler holds no more by default.
const maxTriggers = 100_000

// errComplete ends the watch after its first set of messages.
var errComplete = errors.New("complete")

// An Inspector is a running scaler, or all replicas of one.
type Inspector interface {
	Watch(ctx context.Context, request *pb.WatchDecisionsRequest, show func(*pb.WatchDecisionsResponse) error) error
	ListConnections(ctx context.Context) (*pb.ListConnectionsResponse, error)
	ExplainPolicy(ctx context.Context, request *pb.ExplainPolicyRequest) (*pb.ExplainPolicyResponse, error)
}

// Ask returns what a scaler reports of the triggers of a namespace, or of all if it is empty. The address names
// the scaler in what is found. The error is one of the inspector's client.
func Ask(ctx context.Context, client Inspector, address, namespace string) (*facts.Scaler, error) {
	s := &facts.Scaler{Address: address}
	err := client.Watch(ctx, &pb.WatchDecisionsRequest{Namespace: namespace}, func(r *pb.WatchDecisionsResponse) error {
		s.At = r.GetAt().AsTime()
		for _, e := range r.GetChanged() {
			if len(s.Triggers) < maxTriggers {
				s.Triggers = append(s.Triggers, convert(e))
			}
		}
		if r.GetComplete() {
			return errComplete
		}
		return nil
	})
	switch {
	case errors.Is(err, errComplete):
	case ctx.Err() != nil:
		return nil, fmt.Errorf("%w at %s within the timeout", inspector.ErrUnreachable, address)
	case err != nil:
		return nil, err
	}
	addConnections(ctx, client, s)
	addThroughputs(ctx, client, s)
	return s, nil
}

// addConnections adds the connections, and the faults of the configuration.
func addConnections(ctx context.Context, client Inspector, s *facts.Scaler) {
	response, err := client.ListConnections(ctx)
	if err != nil {
		s.Unlisted = "the scaler lists no connections: " + backlog.Line(err.Error())
		return
	}
	s.ConfigurationError = response.GetConfigurationError()
	for _, c := range response.GetConnections() {
		known := facts.Connection{Name: c.GetName()}
		for _, risk := range c.GetRisks() {
			known.Risks = append(known.Risks, facts.Risk{Kind: risk.GetKind(), Text: risk.GetMessage(), Latent: risk.GetLatent()})
		}
		s.Connections = append(s.Connections, known)
	}
}

// maxPolicies bounds the policies that are asked for, one call each.
const maxPolicies = 200

// addThroughputs adds what the scaler has measured for the policies that its triggers name. What it does not
// say is unknown.
func addThroughputs(ctx context.Context, client Inspector, s *facts.Scaler) {
	asked := 0
	for i := range s.Triggers {
		t := &s.Triggers[i]
		key := t.Namespace + "/" + t.Policy
		if _, known := s.Learned[key]; known || t.Policy == "" || asked == maxPolicies {
			continue
		}
		asked++
		response, err := client.ExplainPolicy(ctx, &pb.ExplainPolicyRequest{Namespace: t.Namespace, Name: t.Policy})
		if err != nil {
			continue
		}
		for _, signal := range response.GetExplanation().GetPolicy().GetSignals() {
			learned := signal.GetLearned()
			if !learned.GetKnown() || learned.Measured == nil || learned.GetMeasured() <= 0 {
				continue
			}
			slowest, known := s.Learned[key]
			if s.Learned == nil {
				s.Learned = make(map[string]facts.Throughput)
			}
			if !known || learned.GetMeasured() < slowest.PerSecond {
				s.Learned[key] = facts.Throughput{Signal: signal.GetName(), PerSecond: learned.GetMeasured()}
			}
		}
	}
}

func convert(e *pb.Explanation) facts.Running {
	t, status, calls := e.GetTrigger(), e.GetReadStatus(), e.GetCallHistory()
	r := facts.Running{
		Namespace: t.GetNamespace(), ScaledObject: t.GetScaledObject(), Name: t.GetName(),
		Connection: t.GetConnection(), Layout: t.GetLayout(), Queue: t.GetQueue(), Policy: t.GetPolicy(),
		Wanted: e.GetDecision().GetWantedReplicas(), WakeUp: status.GetWakeUpMode(), Fallback: status.GetFallbackReason(),
		Streams: int(calls.GetOpenStreams()), Called: calls.GetLastCallAt() != nil,
	}
	earliest(&r.Since, e.GetProblem().GetSince(), status.GetBecameNonempty().GetAt(), status.GetLastChangeAt())
	for _, response := range calls.GetLastResponses() {
		earliest(&r.Since, response.GetUnchangedSince())
	}
	if p := e.GetProblem(); p != nil {
		r.Problem = &facts.Problem{Reason: p.GetReason(), Message: p.GetMessage(), Advice: p.GetAdvice()}
		earliest(&r.Problem.Since, p.GetSince())
	}
	if reading := e.GetReading(); reading != nil {
		r.Reading = &facts.Reading{
			Backlog: reading.GetBacklog(), Ready: reading.GetReady(), Consumers: -1, MaxUseful: reading.GetMaxUsefulWorkers(),
			Oldest: time.Duration(reading.GetOldestAgeSeconds() * float64(time.Second)),
		}
		if reading.Consumers != nil {
			r.Reading.Consumers = reading.GetConsumers()
		}
	}
	return r
}

// earliest sets at to the earliest of the moments that are known and itself.
func earliest(at *time.Time, moments ...*timestamppb.Timestamp) {
	for _, moment := range moments {
		if moment == nil {
			continue
		}
		if t := moment.AsTime(); at.IsZero() || t.Before(*at) {
			*at = t
		}
	}
}
