package layout

import (
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/resp"
)

// A Layout is one way in which a queue lies in Redis.
type Layout struct {
	backlog.Layout
	// Prepare returns the reader of a query. It is called once for each query, so what the
	// reader remembers lasts from one reading to the next. The KeySearch finds keys whose names
	// the query does not determine.
	Prepare func(backlog.Query, KeySearch) Reader
	// Discover returns where the queues are found that match a pattern.
	Discover func(backlog.Params) Discovery
	// Workers returns the reader of busy workers, for a layout with backlog.Layout.Workers
	// and a query that its CheckWorkers allows. Its commands have no KeyType: a heartbeat is no
	// reason to read.
	Workers func(backlog.Query) Reader
	// SharesCommands is set if the readers of different queues send the same commands, for what
	// the framework keeps for all queues together.
	SharesCommands bool
}

// Reader returns the reader of a query: of its queue, or of busy workers.
func (l Layout) Reader(q backlog.Query, search KeySearch) Reader {
	if q.Workers {
		return l.Workers(q)
	}
	return l.Prepare(q, search)
}

// A Reader reads one query, again and again. Its methods are called by one goroutine at a
// time. It does no I/O: the engine sends the commands of all queues in one pipeline.
type Reader interface {
	// Commands appends what each reading asks first, at the moment now. The reading depends on
	// their keys: a change of one that has a KeyType wakes. They may be of different slots of a
	// cluster.
	Commands(dst []resp.Command, now time.Time) []resp.Command
	// Read makes a reading of the replies to the commands, and of those to what it asks
	// further. It may be run several times for one reading, as RoundTrips describes.
	Read(trips *RoundTrips) (backlog.Reading, error)
}

// A JobCounter is a Reader whose framework keeps counters that grow with each job.
type JobCounter interface {
	// JobCounters returns the keys of the counters.
	JobCounters() []string
}
