package redis

import (
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/resp"
)

// A layout is one way in which a queue lies in Redis.
type layout struct {
	backlog.Layout
	// prepare returns the first step of reading a query. It is called once for each
	// query, so what the step remembers lasts from one read to the next. The keySearch
	// finds keys whose names the query does not determine.
	prepare func(backlog.Query, keySearch) step
	// discover returns where the queues are found that match a pattern.
	discover func(backlog.Params) discovery
	// shared is set if the steps of different queues send the same commands, for what
	// the framework keeps for all queues together.
	shared bool
}

// A step is one round trip of a read. Its methods are called by one goroutine at a time. It
// does no I/O: the engine sends the commands of all queues in one pipeline.
type step interface {
	// commands appends what to ask at the moment now. The commands of one step may
	// have keys of different slots of a cluster.
	commands(dst []resp.Command, now time.Time) []resp.Command
	// outcome turns the replies, which are in the order of the commands, into a reading, an
	// error or a further step. A reply may hold an error of the server, but never WRONGTYPE
	// or a redirection.
	outcome(replies []resp.Reply, now time.Time) outcome
}

// An outcome of a step is a reading, an error, or a further step.
type outcome struct {
	reading backlog.Reading
	err     error
	next    step
}

// done is the outcome of a step that knows the reading.
func done(r backlog.Reading) outcome { return outcome{reading: r} }

// fail is the outcome of a step that cannot know the reading.
func fail(err error) outcome { return outcome{err: err} }

// A counting is a first step whose framework keeps counters that grow with each job.
type counting interface {
	// counters returns the keys of the counters.
	counters() []string
}
