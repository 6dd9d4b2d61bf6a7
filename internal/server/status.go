package server

import (
	"context"
	"errors"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/decision"
	"github.com/backlog-scaler/backlog-scaler/internal/policies"
	"github.com/backlog-scaler/backlog-scaler/internal/trigger"
)

// toStatus turns an error into the gRPC status that KEDA shows in its events. Its text is a
// backlog.Line. KEDA treats all codes alike and holds the replicas; they differ for authors,
// operators and metrics.
func toStatus(err error) error {
	return status.Error(code(err), backlog.Line(err.Error()))
}

// code returns the gRPC code of an error.
func code(err error) codes.Code {
	var faults trigger.MetadataError
	switch {
	case errors.As(err, &faults):
		return codes.InvalidArgument
	case errors.Is(err, trigger.ErrDenied):
		return codes.PermissionDenied
	case errors.Is(err, errQuota), errors.Is(err, backlog.ErrExhausted):
		return codes.ResourceExhausted
	case errors.Is(err, decision.ErrMissing), errors.Is(err, policies.ErrNoPolicy):
		return codes.NotFound
	case errors.Is(err, policies.ErrInvalid), errors.Is(err, policies.ErrNotAnswering):
		return codes.FailedPrecondition
	case errors.Is(err, errNoReplicas):
		return codes.Unavailable
	case errors.Is(err, backlog.ErrMismatch):
		return codes.FailedPrecondition
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, decision.ErrUnknown):
		return status.FromContextError(err).Code()
	default:
		return codes.Unavailable
	}
}

// presentable returns the error of a call with a text that may leave the process. Errors of
// grpc-go and of the standard services have other texts.
func presentable(err error) error {
	if err == nil {
		return nil
	}
	s := status.Convert(err)
	text := backlog.Line(s.Message())
	if text == s.Message() {
		return err
	}
	return status.Error(s.Code(), text)
}
