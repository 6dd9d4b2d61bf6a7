package resque

import (
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/layout"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/resp"
)

// delayedJobs finds the queues of delayed jobs: one that never had another job is not in the
// registry. It asks for the moments that have come, and for the next one.
type delayedJobs struct{ namespace string }

// Commands implements layout.Reader.
func (d *delayedJobs) Commands(dst []resp.Command, now time.Time) []resp.Command {
	key, limit := d.namespace+":delayed_queue_schedule", layout.Seconds.Due(now)
	return append(dst,
		resp.Command{Key: key, KeyType: 'z', Args: layout.ByScore(key, "-inf", limit, maxMoments, false)},
		resp.Command{Key: key, KeyType: 'z', Args: layout.ByScore(key, "("+limit, "+inf", 1, true)},
	)
}

// Read implements layout.Reader.
func (d *delayedJobs) Read(trips *layout.RoundTrips) (backlog.Reading, error) {
	c := trips.First()
	times, next := c.Strings(-1), c.Strings(-1)
	var found backlog.Reading
	if len(next) == 2 {
		// A member is the moment itself. Then there is another one to be looked at.
		times, found.NextDue = append(times, next[0]), layout.Seconds.Parse(c, next[1])
	}
	if c.Err() != nil {
		return found, c.Err()
	}
	err := d.askQueues(trips, &found, times)
	return found, err
}

// askQueues asks for the jobs of moments, and adds the queues that they name.
func (d *delayedJobs) askQueues(trips *layout.RoundTrips, found *backlog.Reading, times []string) error {
	var commands []resp.Command
	for _, at := range times {
		key := d.namespace + ":delayed:" + at
		commands = append(commands, resp.Command{Key: key, Args: []any{"LRANGE", key, 0, maxJobs - 1}})
	}
	c := trips.Ask(commands...)
	for range times {
		for _, job := range c.Strings(-1) {
			if queue, known := layout.NamedQueue(job); known {
				found.Parts = append(found.Parts, backlog.Part{Queue: queue})
			}
		}
	}
	return c.Err()
}
