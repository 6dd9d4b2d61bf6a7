package network

import (
	"context"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
)

// minPause and maxPause bound the pause between two sessions of Keep.
const minPause, maxPause = 100 * time.Millisecond, 10 * time.Second

// A Kept is a session in the background that is begun again when it ends.
type Kept struct {
	// Wanted reports whether it is of use. A receive from Kick asks again.
	Wanted func() bool
	Kick   <-chan struct{}
	// Serve runs one session until it ends or ctx does. Its panic is an error.
	Serve func(ctx context.Context) error
	// Ended is called with how each session has ended.
	Ended func(err error)
}

// Keep runs sessions one after the other while they are wanted, until ctx ends. The pause between them
// doubles, and is short again after one that has lasted.
func Keep(ctx context.Context, k Kept) {
	pause := minPause
	for {
		if !k.Wanted() {
			select {
			case <-ctx.Done():
				return
			case <-k.Kick:
				continue
			}
		}
		began := time.Now()
		k.Ended(k.contained(ctx))
		if ctx.Err() != nil {
			return
		}
		if time.Since(began) > maxPause {
			pause = minPause
		}
		timer := time.NewTimer(pause)
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-timer.C:
		}
		pause = min(2*pause, maxPause)
	}
}

func (k Kept) contained(ctx context.Context) (err error) {
	defer backlog.Contain(&err)
	return k.Serve(ctx)
}
