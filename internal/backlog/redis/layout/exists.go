package layout

import (
	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/resp"
)

// AskExists completes the reading of a queue in which there is nothing: without any of the
// keys that it keeps of its past the queue does not exist, and the reading warns.
func AskExists(trips *RoundTrips, empty backlog.Reading, warning string, keys ...string) (backlog.Reading, error) {
	commands := make([]resp.Command, len(keys))
	for i, key := range keys {
		commands[i] = resp.Command{Key: key, Args: []any{"EXISTS", key}}
	}
	c := trips.Ask(commands...)
	var found int64
	for range keys {
		found += c.Count()
	}
	if c.Err() == nil && found == 0 {
		empty.Missing = true
		empty.AddWarning(warning)
	}
	return empty, c.Err()
}
