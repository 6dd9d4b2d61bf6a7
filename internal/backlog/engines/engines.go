// Package engines lists the queue systems that the scaler can read.
package engines

import (
	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis"
)

// All returns every engine, one line each.
func All() []backlog.Engine {
	return []backlog.Engine{
		redis.Engine(),
	}
}
