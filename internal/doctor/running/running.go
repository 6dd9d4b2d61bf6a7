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
	"github.com/backlog-scaler/backlog-scaler/internal/doctor"
	"github.com/backlog-scaler/backlog-scaler/internal/server/inspector"
)

// maxTriggers bounds the triggers that are kept; a scaler holds no more by default.
const maxTriggers = 100_000

// errComplete ends the watch after its first set of messages.
var errComplete = errors.New("complete")

// An Inspector is a running scaler, or all replicas of one.
type Inspector interface {
	Watch(ctx context.Context, request *pb.WatchDecisionsRequest, show func(*pb.WatchDecisionsResponse) error) error
	Explain(ctx context.Context, request *pb.ExplainRequest) (*pb.ExplainResponse, error)
}

// Ask returns what a scaler reports of the triggers of a namespace, or of all if it is empty. The address names
// the scaler in what is found. The error is one of the inspector's client.
func Ask(ctx context.Context, client Inspector, address, namespace string) (*doctor.Scaler, error) {
	s := &doctor.Scaler{Address: address}
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
	askConfiguration(ctx, client, s)
	return s, nil
}

// attempts is how many triggers are tried: one may be gone by now.
const attempts = 3

// askConfiguration asks for the faults of the configuration, which are in the explanation of any trigger.
func askConfiguration(ctx context.Context, client Inspector, s *doctor.Scaler) {
	s.ConfigurationUnread = "needs a scaler with a trigger, whose explanation says whether its configuration has faults"
	for i := range s.Triggers[:min(len(s.Triggers), attempts)] {
		t := &s.Triggers[i]
		response, err := client.Explain(ctx, &pb.ExplainRequest{Namespace: t.Namespace, ScaledObject: t.ScaledObject})
		if err == nil {
			s.ConfigurationError, s.ConfigurationUnread = response.GetConfigurationError(), ""
			return
		}
		s.ConfigurationUnread = "the scaler does not say whether its configuration has faults: " + backlog.Line(err.Error())
	}
}

func convert(e *pb.Explanation) doctor.Running {
	t, status, calls := e.GetTrigger(), e.GetReadStatus(), e.GetCallHistory()
	r := doctor.Running{
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
		r.Problem = &doctor.Problem{Reason: p.GetReason(), Message: p.GetMessage(), Advice: p.GetAdvice()}
		earliest(&r.Problem.Since, p.GetSince())
	}
	if reading := e.GetReading(); reading != nil {
		r.Reading = &doctor.Reading{
			Backlog: reading.GetBacklog(), Ready: reading.GetReady(), Consumers: -1,
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
