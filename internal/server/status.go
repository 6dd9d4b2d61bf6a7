package server

import (
	"context"
	"errors"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/policy"
	"github.com/backlog-scaler/backlog-scaler/internal/trigger"
)

// toStatus turns an error into the gRPC status that KEDA shows to the user. To
// KEDA all codes are alike: it holds the replicas. They differ for people and
// for metrics.
func toStatus(err error) error {
	var faults trigger.MetadataError
	switch {
	case errors.As(err, &faults):
		return status.Error(codes.InvalidArgument, err.Error())
	case errors.Is(err, trigger.ErrDenied):
		return status.Error(codes.PermissionDenied, err.Error())
	case errors.Is(err, errQuota), errors.Is(err, backlog.ErrExhausted):
		return status.Error(codes.ResourceExhausted, err.Error())
	case errors.Is(err, policy.ErrMissing):
		return status.Error(codes.NotFound, err.Error())
	case errors.Is(err, backlog.ErrMismatch):
		return status.Error(codes.FailedPrecondition, err.Error())
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, policy.ErrUnknown):
		return status.FromContextError(err).Err()
	default:
		return status.Error(codes.Unavailable, err.Error())
	}
}
