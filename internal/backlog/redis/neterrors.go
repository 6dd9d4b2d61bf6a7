package redis

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/resp"
)

var errClosed = errors.New("the source is closed")

// isTimeout reports whether err is an answer that did not come in time.
func isTimeout(err error) bool {
	var network net.Error
	return errors.Is(err, context.DeadlineExceeded) || errors.As(err, &network) && network.Timeout()
}

// isFlush reports whether err is what go-redis makes of an invalidation without keys,
// which a server sends when it was emptied: its payload is null.
func isFlush(err error) bool {
	return err != nil && strings.Contains(err.Error(), "unsupported pubsub message payload: <nil>")
}

// refusedOr returns err, as a refusal of what if the server answered it. Managed
// servers refuse in words of their own, so what is not known to pass is a refusal.
func refusedOr(err error, what string) error {
	switch {
	case err == nil:
		return nil
	case resp.IsServerError(err) && !resp.IsTransient(err), errors.Is(err, resp.ErrReply):
		return refusal{what + ": " + err.Error()}
	default:
		return fmt.Errorf("%s: %w", what, err)
	}
}
