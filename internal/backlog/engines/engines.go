// Package engines lists the systems that the scaler can read.
package engines

import (
	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/httpjson"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/jetstream"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/kafka"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/logs"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/mysql"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/postgresql"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/prometheus"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/rabbitmq"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/sqs"
)

// All returns every engine, one line each.
func All() []backlog.Engine {
	return []backlog.Engine{
		redis.Engine(),
		kafka.Engine(),
		rabbitmq.Engine(),
		jetstream.Engine(),
		sqs.Engine(),
		postgresql.Engine(),
		mysql.Engine(),
		prometheus.Engine(),
		httpjson.Engine(),
		logs.Engine(),
	}
}
