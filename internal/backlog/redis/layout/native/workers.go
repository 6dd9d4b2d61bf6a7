package native

import (
	"fmt"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/layout"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/resp"
)

// GroupWorkers returns the reader of the busy consumers of a group: those that were served
// entries which they have not acknowledged. Before Redis 7.2 a consumer is there once it was served
// its first entry.
func GroupWorkers(q backlog.Query, group string) layout.Reader {
	return &groupWorkers{key: q.Queue, group: group}
}

// A groupWorkers asks for the consumers of a group.
type groupWorkers struct{ key, group string }

// Commands implements layout.Reader.
func (g *groupWorkers) Commands(dst []resp.Command, _ time.Time) []resp.Command {
	return append(dst, resp.Command{Key: g.key, Args: []any{"XINFO", "CONSUMERS", g.key, g.group}})
}

// Read implements layout.Reader.
func (g *groupWorkers) Read(trips *layout.RoundTrips) (backlog.Reading, error) {
	reply := trips.First().Next()
	if isNoSuchKey(reply.Err) || resp.HasCode(reply.Err, "NOGROUP") {
		// Nothing was served to anyone.
		return backlog.Reading{Workers: make(map[string]bool)}, nil
	}
	rows, err := reply.List()
	if err != nil {
		return backlog.Reading{}, err
	}
	if len(rows) >= layout.MaxWorkers {
		return backlog.Reading{}, fmt.Errorf("%w: the group has %d consumers, so which are busy is not looked at; want less than %d", backlog.ErrExhausted, len(rows), layout.MaxWorkers)
	}
	workers := make([]layout.Worker, 0, len(rows))
	for _, row := range rows {
		m, err := resp.Fields(row)
		if err != nil {
			return backlog.Reading{}, err
		}
		pending, err := resp.Number(m, "pending")
		if err != nil {
			return backlog.Reading{}, err
		}
		workers = append(workers, layout.Worker{Host: resp.Text(m["name"]), Busy: pending > 0})
	}
	return layout.WorkerReading(workers, "name each consumer after its host")
}
