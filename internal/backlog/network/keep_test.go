package network_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/network"
)

// TestKeep: sessions follow each other with pauses that grow, a panic is an error, a session that has
// lasted makes the next pause short, and there is none while none is wanted.
func TestKeep(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		start := time.Now()
		var begins []time.Duration
		var ends []error
		wanted, kick, done := false, make(chan struct{}), make(chan struct{})
		go func() {
			defer close(done)
			network.Keep(ctx, network.Kept{
				Wanted: func() bool { return wanted },
				Kick:   kick,
				Serve: func(ctx context.Context) error {
					begins = append(begins, time.Since(start))
					switch len(begins) {
					case 2:
						panic("of a library")
					case 4:
						time.Sleep(time.Minute)
					case 5:
						<-ctx.Done()
					}
					return backlog.ErrUnavailable
				},
				Ended: func(err error) { ends = append(ends, err) },
			})
		}()
		time.Sleep(time.Hour)
		synctest.Wait()
		if len(begins) > 0 {
			t.Fatal("a session begins that is not wanted")
		}
		start, wanted = time.Now(), true
		kick <- struct{}{}
		time.Sleep(time.Hour)
		cancel()
		<-done
		want := []time.Duration{0, 100 * time.Millisecond, 300 * time.Millisecond, 700 * time.Millisecond, time.Minute + 800*time.Millisecond}
		if len(begins) != len(want) || len(ends) != len(want) {
			t.Fatalf("sessions begin at %v and end by %v, want %d of them", begins, ends, len(want))
		}
		for i, at := range want {
			if begins[i] != at || i == 1 != errors.Is(ends[i], backlog.ErrPanic) {
				t.Errorf("session %d begins at %s and ends by %v, want %s", i+1, begins[i], ends[i], at)
			}
		}
	})
}
