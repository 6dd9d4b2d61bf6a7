package bullmq

import (
	"fmt"
	"strconv"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/layout"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/resp"
)

// An ageStep asks when the jobs were added that stand at the ends of the queue.
type ageStep struct {
	*queueStep
	reading backlog.Reading
	// ids are those of the first and the last job of a list, and of the next
	// prioritized one. A worker takes the last.
	ids     []string
	inOrder bool
}

// Commands implements layout.Step.
func (s *ageStep) Commands(dst []resp.Command, _ time.Time) []resp.Command {
	for _, id := range s.ids {
		key := s.key(id)
		dst = append(dst, resp.Command{Key: key, Args: []any{"HGET", key, "timestamp"}})
	}
	return dst
}

// Outcome implements layout.Step.
func (s *ageStep) Outcome(replies []resp.Reply, _ time.Time) layout.Outcome {
	c := resp.NewDecoder(replies)
	var oldest, last time.Time
	for range s.ids {
		// A job may have been removed between the two round trips.
		text, found := c.Text()
		if !found {
			continue
		}
		ms, err := strconv.ParseFloat(text, 64)
		if err != nil {
			return layout.Fail(fmt.Errorf("%w: %q where the timestamp of a job belongs", resp.ErrReply, text))
		}
		last = layout.Milliseconds.Time(ms)
		oldest = layout.Earlier(oldest, last)
	}
	if c.Err() != nil {
		return layout.Fail(c.Err())
	}
	r := s.reading
	if since := layout.Earlier(oldest, r.Oldest.Since); !since.IsZero() {
		r.Oldest = backlog.Age{Since: since, Kind: backlog.AgeLowerBound}
		if s.inOrder && oldest.Equal(last) && since.Equal(oldest) {
			r.Oldest.Kind = backlog.AgeExact
		}
	}
	return layout.Done(r)
}
