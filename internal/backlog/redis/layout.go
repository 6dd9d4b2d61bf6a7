package redis

import (
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/resp"
)

// A layout is one way in which a queue lies in Redis. Adding one is a file with a
// function that returns it, and a line in layouts.
type layout struct {
	backlog.Layout
	// prepare returns the first step of reading a query. It is called once for each
	// query, so what the step remembers lasts from one read to the next. The keySearch
	// finds keys whose names the query does not determine.
	prepare func(backlog.Query, keySearch) step
	// discover says where the queues are found that match a pattern.
	discover func(backlog.Params) discovery
	// shared says that the steps of different queues send the same commands, for what
	// the framework keeps for all queues together.
	shared bool
}

// layouts are all ways in which a queue can lie in Redis.
func layouts() []layout {
	return []layout{
		listLayout(),
		streamLayout(),
		sortedSetLayout(),
		setLayout(),
		hashLayout(),
		sidekiqLayout(),
		resqueLayout(),
		laravelLayout(),
		bullmqLayout(),
		beequeueLayout(),
		asynqLayout(),
		celeryLayout(),
		rqLayout(),
		dramatiqLayout(),
		arqLayout(),
		taskiqLayout(),
	}
}

// A step is one round trip of a read. Its methods are called by one goroutine at a time.
type step interface {
	// commands appends what to ask at the moment now. The commands of one step may
	// have keys of different slots of a cluster.
	commands(dst []resp.Command, now time.Time) []resp.Command
	// outcome makes something of the replies, which are in the order of the commands.
	// A reply may hold an error of the server; WRONGTYPE and redirections never get here.
	outcome(replies []resp.Reply, now time.Time) outcome
}

// A grower is a first step whose keys change from one read to another.
type grower interface {
	// grew tells, once, that there are other keys than before.
	grew() bool
	// watched appends the commands of a read, for the sake of their keys.
	watched(dst []resp.Command, now time.Time) []resp.Command
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
