package layout

import (
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/resp"
)

// An ExistsStep looks for what an empty queue keeps of its past. Without any of the keys the
// queue does not exist, and the reading warns.
type ExistsStep struct {
	Keys    []string
	Reading backlog.Reading
	Warning string
}

// Commands implements Step.
func (s *ExistsStep) Commands(dst []resp.Command, _ time.Time) []resp.Command {
	for _, key := range s.Keys {
		dst = append(dst, resp.Command{Key: key, Args: []any{"EXISTS", key}})
	}
	return dst
}

// Outcome implements Step.
func (s *ExistsStep) Outcome(replies []resp.Reply, _ time.Time) Outcome {
	c := resp.NewDecoder(replies)
	var traces int64
	for range s.Keys {
		traces += c.Count()
	}
	if c.Err() != nil {
		return Fail(c.Err())
	}
	if traces == 0 {
		s.Reading.Missing = true
		s.Reading.AddWarning(s.Warning)
	}
	return Done(s.Reading)
}
