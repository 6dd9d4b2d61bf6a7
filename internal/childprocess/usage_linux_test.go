package childprocess_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/childprocess"
)

func TestUsage(t *testing.T) {
	t.Parallel()
	s, ctx := supervisor(t)
	idle := start(t, s, "idle", "sleep 600")
	busy := start(t, s, "busy", "while :; do :; done")
	for _, p := range []*childprocess.Process{idle, busy} {
		// A process that has just begun may have read nothing of its program yet.
		if err := childprocess.Poll(ctx, "its program", patience, time.Millisecond, func(context.Context) error {
			memory, err := p.Resident()
			if err != nil {
				return err
			}
			own, err := p.Anonymous()
			if err == nil && (own < 4096 || own >= memory) {
				err = fmt.Errorf("it has %v bytes of memory, %v of its own", memory, own)
			}
			return err
		}); err != nil {
			t.Error(err)
		}
	}
	const least = 100 * time.Millisecond
	if err := childprocess.Poll(ctx, "processor time", patience, 10*time.Millisecond, func(context.Context) error {
		spent, err := busy.CPU()
		if err == nil && spent < least {
			err = fmt.Errorf("it has %s", spent)
		}
		return err
	}); err != nil {
		t.Error(err)
	}
	if spent, err := idle.CPU(); err != nil || spent <= 0 || spent >= least {
		t.Errorf("a process that sleeps has used %s, %v", spent, err)
	}
	busy.Kill()
	if _, err := busy.CPU(); err == nil {
		t.Error("a process that is gone has processor time")
	}
	if _, err := busy.Resident(); err == nil {
		t.Error("a process that is gone has memory")
	}
}
