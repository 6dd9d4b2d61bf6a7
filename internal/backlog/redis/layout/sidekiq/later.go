package sidekiq

import (
	"encoding/json"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/layout"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/resp"
)

// leastMilliseconds is the least enqueued_at that is in milliseconds, as Sidekiq 8 writes it;
// in seconds, as it was before, this is the year 5138.
const leastMilliseconds = 1e11

// laterCommands appends the commands that read the scheduled jobs and retries of all
// queues: for each set those that are due, and those that are not.
func laterCommands(dst []resp.Command, prefix string, now time.Time) []resp.Command {
	limit := layout.Seconds.Due(now)
	for _, set := range []string{prefix + "schedule", prefix + "retry"} {
		dst = append(dst,
			resp.Command{Key: set, KeyType: 'z', Args: layout.ByScore(set, "-inf", limit, maxDue, true)},
			resp.Command{Key: set, KeyType: 'z', Args: layout.ByScore(set, "("+limit, "+inf", maxFuture, true)},
		)
	}
	return dst
}

// laterJobs finds the queues of scheduled jobs and retries: one that never had another job is
// not in the registry.
type laterJobs struct{ prefix string }

// Commands implements layout.Reader.
func (l laterJobs) Commands(dst []resp.Command, now time.Time) []resp.Command {
	return laterCommands(dst, l.prefix, now)
}

// Read implements layout.Reader.
func (laterJobs) Read(trips *layout.RoundTrips) (backlog.Reading, error) {
	c := trips.First()
	var found backlog.Reading
	for i := range c.Rest() {
		jobs := c.Strings(-1)
		for j := 0; j+1 < len(jobs); j += 2 {
			if queue, known := layout.NamedQueue(jobs[j]); known {
				found.Parts = append(found.Parts, backlog.Part{Queue: queue})
			}
		}
		if isFuture := i%2 == 1; isFuture && len(jobs) == 2*maxFuture {
			// When the last one is due, there are others to be looked at.
			found.NextDue = layout.Earlier(found.NextDue, layout.Seconds.Parse(c, jobs[len(jobs)-1]))
		}
	}
	return found, c.Err()
}

// takeSet takes the replies about one set of scheduled jobs. What is due is not complete
// if there may be more of the queue than was looked at.
func (q *queue) takeSet(c *resp.Decoder) (work layout.Schedule, complete bool) {
	due, future := c.Strings(-1), c.Strings(-1)
	complete = len(due) < 2*maxDue
	for i := 0; i+1 < len(due); i += 2 {
		queue, known := layout.NamedQueue(due[i])
		complete = complete && known
		if known && queue == q.name {
			work.Due++
			work.Since = layout.Earlier(work.Since, layout.Seconds.Parse(c, due[i+1]))
		}
	}
	for i := 0; i+1 < len(future); i += 2 {
		// If none of those is of the queue, look again when the last one is due.
		last := i+2 == 2*maxFuture
		if queue, known := layout.NamedQueue(future[i]); known && queue == q.name || last {
			work.Next = layout.Seconds.Parse(c, future[i+1])
			break
		}
	}
	return work, complete
}

// enqueuedAt returns when a job was enqueued; zero if it does not say.
func enqueuedAt(text string) time.Time {
	var job struct {
		EnqueuedAt float64 `json:"enqueued_at"`
	}
	if err := json.Unmarshal([]byte(text), &job); err != nil {
		return time.Time{}
	}
	if job.EnqueuedAt >= leastMilliseconds {
		return layout.Milliseconds.Time(job.EnqueuedAt)
	}
	return layout.Seconds.Time(job.EnqueuedAt)
}
