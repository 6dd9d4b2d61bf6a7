package childprocess_test

import (
	"context"
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/backlog-scaler/backlog-scaler/internal/childprocess"
)

func TestMain(m *testing.M) {
	if os.Getenv(portsVariable) != "" {
		os.Exit(ownPorts())
	}
	goleak.VerifyTestMain(m)
}

// patience bounds every wait.
const patience = 20 * time.Second

func start(t *testing.T, s *childprocess.Supervisor, name, script string) *childprocess.Process {
	t.Helper()
	p, err := s.Start(childprocess.Command{Name: name, Path: "/bin/sh", Args: []string{"-c", script}, Grace: 100 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func supervisor(t *testing.T) (*childprocess.Supervisor, context.Context) {
	t.Helper()
	s, ctx, err := childprocess.NewSupervisor(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s, ctx
}

func wait(t *testing.T, what string, done <-chan struct{}) {
	t.Helper()
	select {
	case <-done:
	case <-time.After(patience):
		t.Fatalf("%s did not happen within %s", what, patience)
	}
}

func TestDeathEndsTheRun(t *testing.T) {
	t.Parallel()
	s, ctx := supervisor(t)
	p := start(t, s, "crasher", "echo the last words; exit 3")
	wait(t, "the end of the run", ctx.Done())
	cause := context.Cause(ctx).Error()
	for _, word := range []string{"crasher", "exit status 3", "the last words"} {
		if !strings.Contains(cause, word) {
			t.Errorf("cause %q does not hold %q", cause, word)
		}
	}
	wait(t, "the exit", p.Exited())
	if got := p.ExitCode(); got != 3 {
		t.Errorf("exit code is %d, want 3", got)
	}
}

func TestStop(t *testing.T) {
	t.Parallel()
	for name, script := range map[string]string{
		"one that obeys":                 "sleep 600",
		"one that ignores SIGTERM":       "trap '' TERM; sleep 600; sleep 600",
		"one with children of its own":   "sleep 600 & sleep 600 & wait",
		"one that is gone at that point": "exit 0",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, _ := supervisor(t)
			p := start(t, s, "server", script)
			done := make(chan struct{})
			go func() { defer close(done); p.Stop(); p.Stop() }()
			wait(t, "the stop", done)
			wait(t, "the exit", p.Exited())
		})
	}
}

func TestCloseStopsInReverse(t *testing.T) {
	t.Parallel()
	s, ctx := supervisor(t)
	first, second := start(t, s, "first", "sleep 600"), start(t, s, "second", "sleep 600")
	s.Close()
	wait(t, "the exit of the first", first.Exited())
	wait(t, "the exit of the second", second.Exited())
	if cause := context.Cause(ctx); !errors.Is(cause, context.Canceled) {
		t.Errorf("the run ended with %v, want %v", cause, context.Canceled)
	}
	if _, err := s.Start(childprocess.Command{Name: "late", Path: "/bin/true"}); err == nil {
		t.Error("a closed supervisor started a process")
	}
	s.Close() // twice is fine
}
