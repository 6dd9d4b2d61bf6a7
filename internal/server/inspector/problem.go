package inspector

import (
	"errors"

	"google.golang.org/grpc/codes"

	pb "github.com/backlog-scaler/backlog-scaler/gen/backlogscaler/v1"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/policy"
	"github.com/backlog-scaler/backlog-scaler/internal/server"
)

// The reasons of problems that are none of backlog.Reason's.
const (
	reasonInvalid      = "invalid"
	reasonNotAvailable = "not_available"
	reasonMissing      = "missing"
	reasonSettling     = "settling"
	reasonUnknown      = "unknown"
)

// problem is what is wrong with a trigger, or nil.
func problem(a server.Account) *pb.Problem {
	if a.Err == nil && a.Seen.Err == nil {
		return nil
	}
	p := &pb.Problem{Reason: reason(&a), Code: a.Code, Since: moment(a.Seen.FailingSince)}
	if a.Refused {
		p.Since = moment(a.RefusedSince)
	}
	if a.Err != nil {
		p.Message = a.Err.Error()
	}
	if a.Seen.Err != nil {
		// The engine's own words; how old the last reading is, the reading tells.
		p.Message, p.Advice = backlog.Advice(a.Seen.Err)
		if a.Seen.Known() {
			p.BridgedUntil = moment(a.Seen.Latest.At.Add(a.Trigger.Policy.MaxStaleness))
		}
	}
	if p.GetAdvice() == "" {
		p.Advice = advice(p.GetReason())
	} else {
		p.Advice = "Change " + p.GetAdvice() + "; \"scaler check\" tries it."
	}
	return p
}

// reason is a stable word for a problem.
func reason(a *server.Account) string {
	switch {
	case a.Refused && a.Code == codes.PermissionDenied.String():
		return reasonNotAvailable
	case a.Refused:
		return reasonInvalid
	case errors.Is(a.Err, policy.ErrMissing):
		return reasonMissing
	case errors.Is(a.Err, policy.ErrSettling):
		return reasonSettling
	case a.Seen.Err != nil:
		return backlog.Reason(a.Seen.Err)
	default:
		return reasonUnknown
	}
}

// advice is what a person can do about a problem; empty if that is to wait.
func advice(reason string) string {
	switch reason {
	case reasonInvalid:
		return "Correct the trigger in the ScaledObject; the text above names the key and what is allowed."
	case reasonNotAvailable:
		return "Correct the name of the connection or queue, or extend the namespaces or queues of the connection in the configuration of the scaler."
	case reasonMissing:
		return "Create the queue or correct its name; with \"missing: zero\" in the trigger a queue that does not exist counts as empty."
	case reasonSettling:
		return "Nothing: it ends by itself. Until then growth is told and nothing less, for what was needed before the start is not known."
	case backlog.Reason(backlog.ErrMismatch):
		return "Name the layout that the queue really is, or the right queue."
	case backlog.Reason(backlog.ErrDenied):
		return "Give the user of the connection the rights that docs/configuration.md lists, or correct the password; \"scaler check\" tries it."
	case backlog.Reason(backlog.ErrPartial):
		return "A part of the engine does not answer: see whether all its nodes run."
	case backlog.Reason(backlog.ErrExhausted):
		return "Let the triggers of the namespace name fewer queues, or give it a connection of its own."
	case backlog.Reason(backlog.ErrUnavailable):
		return "See whether the server runs and can be reached from the scaler; \"scaler check\" tries it. Nothing has to be done here when it is back."
	default:
		return ""
	}
}
