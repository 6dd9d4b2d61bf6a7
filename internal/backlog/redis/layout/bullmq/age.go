package bullmq

import (
	"fmt"
	"strconv"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/layout"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/resp"
)

// askAge asks when the jobs were added that stand at the ends of the queue: the first and the
// last job of a list, and the next prioritized one. A worker takes the last.
func (q *queue) askAge(trips *layout.RoundTrips, r *backlog.Reading, ids []string, inOrder bool) error {
	commands := make([]resp.Command, len(ids))
	for i, id := range ids {
		commands[i] = resp.Command{Key: q.key(id), Args: []any{"HGET", q.key(id), "timestamp"}}
	}
	c := trips.Ask(commands...)
	var oldest, last time.Time
	for range ids {
		// A job may have been removed between the two round trips.
		text, found := c.Text()
		if !found {
			continue
		}
		ms, err := strconv.ParseFloat(text, 64)
		if err != nil {
			return fmt.Errorf("%w: %q where the timestamp of a job belongs", resp.ErrReply, text)
		}
		last = layout.Milliseconds.Time(ms)
		oldest = layout.Earlier(oldest, last)
	}
	if c.Err() != nil {
		return c.Err()
	}
	if since := layout.Earlier(oldest, r.Oldest.Since); !since.IsZero() {
		r.Oldest = backlog.Age{Since: since, Kind: backlog.AgeLowerBound}
		if inOrder && oldest.Equal(last) && since.Equal(oldest) {
			r.Oldest.Kind = backlog.AgeExact
		}
	}
	return nil
}
