package sampler

import (
	"errors"
	"math/rand/v2"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
)

// recordFailures records which watches find the engine unavailable. mu is held.
func (l *connectionLoop) recordFailures(batch []*watch, results []backlog.Result) {
	wasFailing := len(l.failing) > 0
	unavailable := 0
	var cause error
	for i, w := range batch {
		switch {
		case isPending(results[i]):
			// It says nothing about the engine.
		case isUnavailable(results[i].Err):
			l.failing[w] = struct{}{}
			cause = results[i].Err
			unavailable++
		default:
			delete(l.failing, w)
		}
	}
	switch {
	case len(l.failing) == 0:
		l.failures = 0
		if wasFailing {
			l.logger.Info("connection recovered")
		}
	case unavailable > 0:
		l.failures++
		if !wasFailing {
			l.logger.Warn("connection unavailable", "queues", unavailable, "error", cause)
		}
	}
}

// isPending reports whether a queue is unknown only because the source has not searched for it
// yet. Such a result says nothing about the engine.
func isPending(result backlog.Result) bool { return result.Pending && result.Err != nil }

// isUnavailable reports whether an error concerns the engine and not one queue.
func isUnavailable(err error) bool {
	return err != nil && !errors.Is(err, backlog.ErrDenied) && !errors.Is(err, backlog.ErrMismatch) && !errors.Is(err, backlog.ErrExhausted)
}

// backoff returns the wait after the batches that failed so far: it doubles with each, with a
// jitter of a fifth either way. mu is held.
func (l *connectionLoop) backoff() time.Duration {
	wait := l.options.MinBackoff << min(max(l.failures-1, 0), 16)
	wait = min(wait, l.options.MaxBackoff)
	return time.Duration(float64(wait) * (0.8 + 0.4*rand.Float64())) //nolint:gosec // jitter is no secret
}
