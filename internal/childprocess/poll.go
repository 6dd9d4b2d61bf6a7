package childprocess

import (
	"context"
	"fmt"
	"time"
)

// Poll calls check every interval until it returns nil. When within has passed it returns the last error
// of check; when ctx ends, the cause of ctx.
func Poll(ctx context.Context, what string, within, interval time.Duration, check func(context.Context) error) error {
	deadline, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	var last error
	for {
		err := check(deadline)
		if err == nil {
			return nil
		}
		if last == nil || deadline.Err() == nil { // "deadline exceeded" would hide what check found before
			last = err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for %s: %w", what, context.Cause(ctx))
		case <-deadline.Done():
			return fmt.Errorf("wait for %s for %s: %w", what, within, last)
		case <-ticker.C:
		}
	}
}
