package reads_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/reads"
)

// TestGate: Close ends the calls that are under way and waits for them, and admits no others.
func TestGate(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		opening, opened := context.WithCancel(t.Context())
		g, life := reads.NewGate(opening)
		opened()
		ctx, leave, err := g.Enter(t.Context())
		if err != nil || ctx.Err() != nil || life.Err() != nil {
			t.Fatalf("a gate that is open: %v, %v, %v", err, ctx.Err(), life.Err())
		}
		closed := make(chan struct{})
		go func() {
			g.Close()
			close(closed)
		}()
		<-ctx.Done()
		time.Sleep(time.Minute)
		select {
		case <-closed:
			t.Error("Close has returned while a call is under way")
		default:
		}
		if _, _, err := g.Enter(t.Context()); !errors.Is(err, backlog.ErrUnavailable) {
			t.Errorf("a call after Close: %v, want ErrUnavailable", err)
		}
		leave()
		<-closed
		g.Close()
	})
}
