package redis

import (
	"fmt"
	"strconv"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
)

// A bullmqAgeStep asks when the jobs were added that stand at the ends of the queue.
type bullmqAgeStep struct {
	*bullmqStep
	reading backlog.Reading
	// ids are those of the first and the last job of a list, and of the next
	// prioritized one. A worker takes the last.
	ids     []string
	inOrder bool
}

func (s *bullmqAgeStep) commands(dst []command, _ time.Time) []command {
	for _, id := range s.ids {
		key := s.key(id)
		dst = append(dst, command{key: key, args: []any{"HGET", key, "timestamp"}})
	}
	return dst
}

func (s *bullmqAgeStep) outcome(replies []reply, _ time.Time) outcome {
	c := &counts{replies: replies}
	var oldest, last time.Time
	for range s.ids {
		// A job may have been removed between the two round trips.
		text, found := c.text()
		if !found {
			continue
		}
		ms, err := strconv.ParseFloat(text, 64)
		if err != nil {
			return fail(fmt.Errorf("%w: %q where the timestamp of a job belongs", errReply, text))
		}
		last = clockMilliseconds.time(ms)
		oldest = earlier(oldest, last)
	}
	if c.err != nil {
		return fail(c.err)
	}
	r := s.reading
	if since := earlier(oldest, r.Oldest.Since); !since.IsZero() {
		r.Oldest = backlog.Age{Since: since, Kind: backlog.AgeLowerBound}
		if s.inOrder && oldest.Equal(last) && since.Equal(oldest) {
			r.Oldest.Kind = backlog.AgeExact
		}
	}
	return done(r)
}
