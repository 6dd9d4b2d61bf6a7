package redis

import (
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
)

// A pastStep looks for what an empty queue keeps of its past. Without any of the keys the
// queue does not exist, and the reading warns.
type pastStep struct {
	keys    []string
	reading backlog.Reading
	warning string
}

func (s *pastStep) commands(dst []command, _ time.Time) []command {
	for _, key := range s.keys {
		dst = append(dst, command{key: key, args: []any{"EXISTS", key}})
	}
	return dst
}

func (s *pastStep) outcome(replies []reply, _ time.Time) outcome {
	c := &counts{replies: replies}
	var traces int64
	for range s.keys {
		traces += c.number()
	}
	if c.err != nil {
		return fail(c.err)
	}
	if traces == 0 {
		s.reading.Missing = true
		s.reading.AddWarning(s.warning)
	}
	return done(s.reading)
}
