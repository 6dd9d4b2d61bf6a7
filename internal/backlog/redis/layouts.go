package redis

import (
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/layout"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/layout/arq"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/layout/asynq"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/layout/beequeue"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/layout/bullmq"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/layout/celery"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/layout/dramatiq"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/layout/laravel"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/layout/native"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/layout/resque"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/layout/rq"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/layout/sidekiq"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/layout/taskiq"
)

// layouts returns all ways in which a queue can lie in Redis. A further one is a package
// below layout and a line here.
func layouts() []layout.Layout {
	return []layout.Layout{
		native.List(),
		native.Stream(),
		native.SortedSet(),
		native.Set(),
		native.Hash(),
		sidekiq.Layout(),
		resque.Layout(),
		laravel.Layout(),
		bullmq.Layout(),
		beequeue.Layout(),
		asynq.Layout(),
		celery.Layout(),
		rq.Layout(),
		dramatiq.Layout(),
		arq.Layout(),
		taskiq.Layout(),
	}
}
