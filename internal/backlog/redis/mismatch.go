package redis

import (
	"fmt"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
)

// A typeStep finds out what a key is that is not what its layout wants.
type typeStep struct{ key, layout string }

func isTypeStep(s step) bool {
	_, is := s.(*typeStep)
	return is
}

func (t *typeStep) commands(dst []command, _ time.Time) []command {
	return append(dst, command{key: t.key, args: []any{"TYPE", t.key}})
}

func (t *typeStep) outcome(replies []reply, _ time.Time) outcome {
	found := "something else"
	if r := replies[0]; r.err == nil {
		found = "a " + text(r.value)
	}
	return fail(fmt.Errorf("%w: the key %q holds %s, which is not what the layout %s reads", backlog.ErrMismatch, t.key, found, t.layout))
}
