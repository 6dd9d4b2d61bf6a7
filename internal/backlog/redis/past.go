package redis

import (
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/resp"
)

// A pastStep looks for what an empty queue keeps of its past. Without any of the keys the
// queue does not exist, and the reading warns.
type pastStep struct {
	keys    []string
	reading backlog.Reading
	warning string
}

func (s *pastStep) commands(dst []resp.Command, _ time.Time) []resp.Command {
	for _, key := range s.keys {
		dst = append(dst, resp.Command{Key: key, Args: []any{"EXISTS", key}})
	}
	return dst
}

func (s *pastStep) outcome(replies []resp.Reply, _ time.Time) outcome {
	c := resp.NewDecoder(replies)
	var traces int64
	for range s.keys {
		traces += c.Count()
	}
	if c.Err() != nil {
		return fail(c.Err())
	}
	if traces == 0 {
		s.reading.Missing = true
		s.reading.AddWarning(s.warning)
	}
	return done(s.reading)
}
