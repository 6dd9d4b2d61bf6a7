package backlog_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
)

// TestContain: a panic becomes an error that names its line, whatever panicked.
func TestContain(t *testing.T) {
	t.Parallel()
	var none []int
	var nothing func() map[string]int
	for name, cause := range map[string]func(){
		"of ours":        func() { panic("broken") },
		"of the runtime": func() { _ = none[cap(none)] },
		"nil":            func() { _ = nothing() },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := func() (err error) {
				defer backlog.Contain(&err)
				cause()
				return nil
			}()
			if !errors.Is(err, backlog.ErrPanic) || !strings.Contains(err.Error(), "TestContain") {
				t.Errorf("got %v", err)
			}
		})
	}
	t.Run("none", func(t *testing.T) {
		t.Parallel()
		err := func() (err error) {
			defer backlog.Contain(&err)
			return errors.ErrUnsupported
		}()
		if !errors.Is(err, errors.ErrUnsupported) {
			t.Errorf("got %v", err)
		}
	})
}
