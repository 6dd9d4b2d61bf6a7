package inspector

import (
	"errors"

	"google.golang.org/grpc/codes"

	pb "github.com/backlog-scaler/backlog-scaler/gen/backlogscaler/v1"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/decision"
	"github.com/backlog-scaler/backlog-scaler/internal/policies"
	"github.com/backlog-scaler/backlog-scaler/internal/server"
)

// The reasons of problems that backlog.Reason does not have.
const (
	reasonInvalid      = "invalid"
	reasonNotAvailable = "not_available"
	reasonMissing      = "missing"
	reasonWarmingUp    = "warming_up"
	reasonUnknown      = "unknown"

	// Those of a trigger that names a policy.
	reasonNoPolicy      = "no_policy"
	reasonInvalidPolicy = "invalid_policy"
	reasonNotAnswering  = "not_answering"
)

// problem returns what is wrong with a trigger; nil if nothing is.
func problem(t server.TriggerStatus) *pb.Problem {
	if t.Err == nil && t.Observation.Err == nil {
		return nil
	}
	p := &pb.Problem{Reason: reason(&t), Code: t.Code, Since: moment(t.Observation.FailingSince)}
	if t.Rejected {
		p.Since = moment(t.RejectedSince)
	}
	if t.Err != nil {
		p.Message = t.Err.Error()
	}
	if t.Observation.Err != nil {
		// The error of the engine alone, because the reading has its age.
		p.Message, p.Advice = backlog.Advice(t.Observation.Err)
		if t.Observation.Known() {
			p.ReadingUsedUntil = moment(t.Observation.Latest.At.Add(t.Trigger.Policy.MaxStaleness))
		}
	}
	if p.GetAdvice() == "" {
		p.Advice = advice(p.GetReason())
	} else {
		p.Advice = "Change " + p.GetAdvice() + "; \"scaler check\" tries it."
	}
	return p
}

// reason returns a stable word for a problem.
func reason(t *server.TriggerStatus) string {
	switch {
	case t.Rejected && t.Code == codes.PermissionDenied.String():
		return reasonNotAvailable
	case t.Rejected:
		return reasonInvalid
	case errors.Is(t.Err, policies.ErrNoPolicy):
		return reasonNoPolicy
	case errors.Is(t.Err, policies.ErrInvalid):
		return reasonInvalidPolicy
	case errors.Is(t.Err, policies.ErrNotAnswering):
		return reasonNotAnswering
	case errors.Is(t.Err, decision.ErrMissing):
		return reasonMissing
	case errors.Is(t.Err, decision.ErrWarmingUp):
		return reasonWarmingUp
	case t.Observation.Err != nil:
		return backlog.Reason(t.Observation.Err)
	default:
		return reasonUnknown
	}
}

// advice returns what to do about a problem; empty if waiting is enough.
func advice(reason string) string {
	switch reason {
	case reasonInvalid:
		return "Correct the trigger in the ScaledObject; the text above names the key and what is allowed."
	case reasonNotAvailable:
		return "Correct the name of the connection or queue, or extend the namespaces or queues of the connection in the configuration of the scaler."
	case reasonNoPolicy:
		return "Create the AutoscalerPolicy in the namespace of the ScaledObject, or correct its name in the trigger."
	case reasonInvalidPolicy:
		return "Correct the AutoscalerPolicy; the text above names the field and what is allowed."
	case reasonNotAnswering:
		return "Remove the trigger, or have the policy answer it with mode: Enforce and via: KEDA."
	case reasonMissing:
		return "Create the queue or correct its name; with \"missing: zero\" in the trigger a queue that does not exist counts as empty."
	case reasonWarmingUp:
		return "No action needed. Until the hold window fills, only growth is reported, because the values before the start are unknown."
	case backlog.Reason(backlog.ErrMismatch):
		return "Correct the layout or the name of the queue in the trigger."
	case backlog.Reason(backlog.ErrDenied):
		return "Grant the user of the connection the rights that docs/configuration.md lists, or correct the password; \"scaler check\" tries it."
	case backlog.Reason(backlog.ErrPartial):
		return "Check that all nodes of the engine run: a part of it does not answer."
	case backlog.Reason(backlog.ErrExhausted):
		return "Name fewer queues in the triggers of the namespace, or give it a connection of its own."
	case backlog.Reason(backlog.ErrUnavailable):
		return "Check that the server runs and that the scaler can reach it; \"scaler check\" tries it. The scaler recovers by itself."
	default:
		return ""
	}
}
