package redis

import "github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/layout"

// layouts returns all ways in which a queue can lie in Redis. A further one is a package
// below layout and a line here.
func layouts() []layout.Layout {
	return []layout.Layout{
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
