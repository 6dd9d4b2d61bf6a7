package kafka

import (
	"errors"
	"fmt"

	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
)

// reasons are those that an error may wrap already.
func reasons() []error {
	return []error{backlog.ErrUnavailable, backlog.ErrDenied, backlog.ErrMismatch, backlog.ErrPartial, backlog.ErrExhausted}
}

// withReason returns err wrapping the reason that a reader of queues needs to know. Each error of a
// broker that says nothing of rights or of the request is an outage.
func withReason(err error) error {
	if err == nil {
		return nil
	}
	for _, reason := range reasons() {
		if errors.Is(err, reason) {
			return err
		}
	}
	switch {
	case isDenial(err):
		return fmt.Errorf("%w: %w", backlog.ErrDenied, err)
	case errors.Is(err, kerr.InvalidTopicException), errors.Is(err, kerr.InvalidGroupID), errors.Is(err, kerr.UnsupportedVersion), isTooOld(err):
		return fmt.Errorf("%w: %w", backlog.ErrMismatch, err)
	default:
		return fmt.Errorf("%w: %w", backlog.ErrUnavailable, err)
	}
}

// isDenial reports whether a broker refuses the login or a right.
func isDenial(err error) bool {
	for _, denial := range []error{
		kerr.TopicAuthorizationFailed, kerr.GroupAuthorizationFailed, kerr.ClusterAuthorizationFailed,
		kerr.SaslAuthenticationFailed, kerr.UnsupportedSaslMechanism, kerr.IllegalSaslState, kerr.SecurityDisabled,
	} {
		if errors.Is(err, denial) {
			return true
		}
	}
	return false
}

// isStale reports whether an error may come from knowledge of leaders, coordinators or topics that is
// out of date, so that a second attempt with fresh knowledge may succeed.
func isStale(err error) bool { return errors.Is(err, backlog.ErrUnavailable) }
