package redis

import (
	"fmt"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/resp"
)

// A typeStep finds out what a key is that is not what its layout wants.
type typeStep struct{ key, layout string }

func isTypeStep(s step) bool {
	_, is := s.(*typeStep)
	return is
}

// Commands implements step.
func (t *typeStep) Commands(dst []resp.Command, _ time.Time) []resp.Command {
	return append(dst, resp.Command{Key: t.key, Args: []any{"TYPE", t.key}})
}

// Conclude implements step.
func (t *typeStep) Conclude(replies []resp.Reply, _ time.Time, o *outcome) {
	found := "something else"
	if r := replies[0]; r.Err == nil {
		found = "a " + resp.Text(r.Value)
	}
	o.fail(fmt.Errorf("%w: the key %q holds %s, which is not what the layout %s reads", backlog.ErrMismatch, t.key, found, t.layout))
}
