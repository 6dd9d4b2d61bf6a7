package layout

import (
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/resp"
)

// A Layout is one way in which a queue lies in Redis.
type Layout struct {
	backlog.Layout
	// Prepare returns the first step of reading a query. It is called once for each
	// query, so what the step remembers lasts from one read to the next. The KeySearch
	// finds keys whose names the query does not determine.
	Prepare func(backlog.Query, KeySearch) Step
	// Discover returns where the queues are found that match a pattern.
	Discover func(backlog.Params) Discovery
	// SharesCommands is set if the steps of different queues send the same commands, for what
	// the framework keeps for all queues together.
	SharesCommands bool
}

// A Step is one round trip of a read. Its methods are called by one goroutine at a time. It
// does no I/O: the engine sends the commands of all queues in one pipeline.
type Step interface {
	// Commands appends what to ask at the moment now. The commands of one step may
	// have keys of different slots of a cluster.
	Commands(dst []resp.Command, now time.Time) []resp.Command
	// Outcome turns the replies, which are in the order of the commands, into a reading, an
	// error or a further step. A reply may hold an error of the server, but never WRONGTYPE
	// or a redirection.
	Outcome(replies []resp.Reply, now time.Time) Outcome
}

// An Outcome of a step is a reading, an error, or a further step.
type Outcome struct {
	Reading backlog.Reading
	Err     error
	Next    Step
}

// Done is the outcome of a step that knows the reading.
func Done(r backlog.Reading) Outcome { return Outcome{Reading: r} }

// Fail is the outcome of a step that cannot know the reading.
func Fail(err error) Outcome { return Outcome{Err: err} }

// A JobCounter is a first step whose framework keeps counters that grow with each job.
type JobCounter interface {
	// JobCounters returns the keys of the counters.
	JobCounters() []string
}
