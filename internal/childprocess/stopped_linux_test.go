package childprocess_test

import (
	"syscall"
	"testing"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/childprocess"
)

// TestFreeze: once Signal has returned, a process that was busy on another processor uses no more time, and
// neither do its children.
func TestFreeze(t *testing.T) {
	t.Parallel()
	s, _ := supervisor(t)
	busy := start(t, s, "busy", "(while :; do :; done) & while :; do :; done")
	var children []int
	for deadline := time.Now().Add(patience); len(children) == 0; time.Sleep(time.Millisecond) {
		var err error
		if children, err = childprocess.Children(busy.PID()); err != nil || time.Now().After(deadline) {
			t.Fatalf("children %v, %v", children, err)
		}
	}
	for range 20 {
		if err := busy.Signal(syscall.SIGSTOP); err != nil {
			t.Fatal(err)
		}
		before, err := busy.CPU()
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(5 * time.Millisecond)
		if after, err := busy.CPU(); err != nil || after != before {
			t.Fatalf("a stopped process has used %s, then %s, %v", before, after, err)
		}
		if err := childprocess.AwaitStopped(children...); err != nil {
			t.Fatal(err)
		}
		if err := busy.Signal(syscall.SIGCONT); err != nil {
			t.Fatal(err)
		}
	}
}
