package layouttest

import (
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
)

// Query returns a query of a layout with parameters, given as names and values.
func Query(layout, queue string, params ...string) backlog.Query {
	values := map[string]string{}
	for i := 0; i < len(params); i += 2 {
		values[params[i]] = params[i+1]
	}
	return backlog.Query{Layout: layout, Queue: queue, Params: backlog.NewParams(values)}
}

// PlainQuery returns queries of a layout without parameters.
func PlainQuery(layout string) func(queue string) backlog.Query {
	return func(queue string) backlog.Query { return Query(layout, queue) }
}

// UnixSeconds returns a moment to the microsecond, which is all that a float64 holds.
func UnixSeconds(seconds float64) time.Time { return time.UnixMicro(int64(seconds * 1e6)) }
