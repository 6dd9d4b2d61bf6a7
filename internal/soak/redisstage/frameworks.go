package redisstage

import (
	"fmt"
	"strconv"
	"time"
)

// frameworks are the job frameworks. The keys and what moves between them are those of
// their own scripts; the reader of each layout has the links.
func frameworks() []layout {
	return append([]layout{
		sidekiqLayout(), resqueLayout(), laravelLayout(), bullmqLayout(), beequeueLayout(), asynqLayout(),
		celeryLayout(), rqLayout(), dramatiqLayout(), arqLayout(),
	}, taskiqLayouts()...)
}

// sidekiqLayout has no processes that send heartbeats. A queue that shrank then counts as
// one job in flight for 15 s, and for as long as private lists were not searched since.
func sidekiqLayout() layout {
	queue, schedule := "{sidekiq}:queue:jobs", "{sidekiq}:schedule"
	add := func(id string) []command { return []command{{"LPUSH", queue, job(id)}} }
	return layout{
		name: "sidekiq", metadata: map[string]string{"sidekiq": "jobs", "namespace": "{sidekiq}"},
		keys: []string{queue, schedule}, unit: time.Second, shrunk: time.Minute, spread: true,
		register: command{"SADD", "{sidekiq}:queues", "jobs"},
		add:      add,
		finish:   func(string) []command { return []command{{"RPOP", queue}} },
		later: func(id string, due time.Time) []command {
			return []command{{"ZADD", schedule, seconds(due), job(id)}}
		},
		promote: func(id string, _ time.Time) []command { return moved(schedule, job(id), add(id)) },
	}
}

func resqueLayout() layout {
	const n = "{resque}:"
	queue, schedule, workers := n+"queue:jobs", n+"delayed_queue_schedule", n+"workers"
	moment := func(due time.Time) string { return n + "delayed:" + strconv.FormatInt(seconds(due), 10) }
	worker := func(id string) string { return "host:" + id + ":jobs" }
	add := func(id string) []command { return []command{{"RPUSH", queue, job(id)}} }
	return layout{
		name: "resque", metadata: map[string]string{"resque": "jobs", "namespace": "{resque}"},
		keys: []string{queue, schedule, workers}, unit: time.Second, spread: true,
		register: command{"SADD", n + "queues", "jobs"},
		add:      add,
		take: func(id string) []command {
			working := fmt.Sprintf(`{"queue":"jobs","run_at":"2026-01-01T00:00:00Z","payload":%s}`, job(id))
			return []command{{"LPOP", queue}, {"SADD", workers, worker(id)}, {"SET", n + "worker:" + worker(id), working}}
		},
		finish: func(id string) []command {
			return []command{{"DEL", n + "worker:" + worker(id)}, {"SREM", workers, worker(id)}}
		},
		later: func(id string, due time.Time) []command {
			return []command{{"RPUSH", moment(due), job(id)}, {"ZADD", schedule, seconds(due), seconds(due)}}
		},
		// No two are due in the same second.
		promote: func(id string, due time.Time) []command {
			return append([]command{{"DEL", moment(due)}, {"ZREM", schedule, seconds(due)}}, add(id)...)
		},
	}
}

func laravelLayout() layout {
	const queue = "queues:{laravel}"
	add := func(id string) []command { return []command{{"RPUSH", queue, job(id)}} }
	return layout{
		name: "laravel", metadata: map[string]string{"laravel": "{laravel}"},
		keys: []string{queue, queue + ":delayed", queue + ":reserved"}, unit: time.Second,
		add: add,
		take: func(id string) []command {
			return []command{{"LPOP", queue}, {"ZADD", queue + ":reserved", far, job(id)}}
		},
		finish: func(id string) []command { return []command{{"ZREM", queue + ":reserved", job(id)}} },
		later: func(id string, due time.Time) []command {
			return []command{{"ZADD", queue + ":delayed", seconds(due), job(id)}}
		},
		promote: func(id string, _ time.Time) []command { return moved(queue+":delayed", job(id), add(id)) },
	}
}

func bullmqLayout() layout {
	const q = "{bull}:jobs:"
	enqueue := func(id string) []command { return []command{{"LPUSH", q + "wait", id}} }
	stored := func(id string) command { return command{"HSET", q + id, "timestamp", time.Now().UnixMilli()} }
	return layout{
		name: "bullmq", metadata: map[string]string{"bullmq": "jobs", "prefix": "{bull}"},
		keys: []string{q + "wait", q + "active", q + "delayed", q + "prioritized"}, unit: time.Millisecond,
		add: func(id string) []command {
			return append([]command{{"INCR", q + "id"}, stored(id)}, enqueue(id)...)
		},
		take:   func(string) []command { return []command{{"RPOPLPUSH", q + "wait", q + "active"}} },
		finish: func(id string) []command { return []command{{"LREM", q + "active", 1, id}, {"DEL", q + id}} },
		later: func(id string, due time.Time) []command {
			return []command{{"INCR", q + "id"}, stored(id), {"ZADD", q + "delayed", milliseconds(due) * 4096, id}}
		},
		promote: func(id string, _ time.Time) []command { return moved(q+"delayed", id, enqueue(id)) },
	}
}

func beequeueLayout() layout {
	const q = "{bq}:jobs:"
	enqueue := func(id string) []command { return []command{{"LPUSH", q + "waiting", id}} }
	stored := func(id string) command { return command{"HSET", q + "jobs", id, job(id)} }
	return layout{
		name: "beequeue", metadata: map[string]string{"beequeue": "jobs", "prefix": "{bq}"},
		keys: []string{q + "waiting", q + "active", q + "delayed"}, unit: time.Millisecond,
		add:    func(id string) []command { return append([]command{{"INCR", q + "id"}, stored(id)}, enqueue(id)...) },
		take:   func(string) []command { return []command{{"RPOPLPUSH", q + "waiting", q + "active"}} },
		finish: func(id string) []command { return []command{{"LREM", q + "active", 0, id}, {"HDEL", q + "jobs", id}} },
		later: func(id string, due time.Time) []command {
			return []command{{"INCR", q + "id"}, stored(id), {"ZADD", q + "delayed", milliseconds(due), id}}
		},
		promote: func(id string, _ time.Time) []command { return moved(q+"delayed", id, enqueue(id)) },
	}
}

func asynqLayout() layout {
	const q = "asynq:{asynq}:"
	enqueue := func(id string) []command {
		return []command{{"HSET", q + "t:" + id, "state", "pending", "msg", "job"}, {"LPUSH", q + "pending", id}}
	}
	return layout{
		name: "asynq", metadata: map[string]string{"asynq": "asynq"},
		keys: []string{q + "pending", q + "active", q + "lease", q + "scheduled", q + "retry"}, unit: time.Second, spread: true,
		register: command{"SADD", "asynq:queues", "asynq"},
		add:      enqueue,
		take: func(id string) []command {
			return []command{{"RPOPLPUSH", q + "pending", q + "active"}, {"ZADD", q + "lease", far, id}}
		},
		finish: func(id string) []command {
			return []command{{"LREM", q + "active", 0, id}, {"ZREM", q + "lease", id}, {"DEL", q + "t:" + id}}
		},
		later: func(id string, due time.Time) []command {
			return []command{{"HSET", q + "t:" + id, "state", "scheduled", "msg", "job"}, {"ZADD", q + "scheduled", seconds(due), id}}
		},
		promote: func(id string, _ time.Time) []command { return moved(q+"scheduled", id, enqueue(id)) },
	}
}

func celeryLayout() layout {
	const p = "{celery}"
	return layout{
		name: "celery", metadata: map[string]string{"celery": "jobs", "globalKeyPrefix": p},
		keys:     []string{p + "jobs", p + "unacked", p + "unacked_index"},
		register: command{"SADD", p + "_kombu.binding.celery", "jobs\x06\x16\x06\x16jobs"},
		add:      func(id string) []command { return []command{{"LPUSH", p + "jobs", job(id)}} },
		take: func(id string) []command {
			return []command{
				{"RPOP", p + "jobs"},
				{"ZADD", p + "unacked_index", past, id},
				{"HSET", p + "unacked", id, fmt.Sprintf(`[%s,"","jobs"]`, job(id))},
			}
		},
		finish: func(id string) []command {
			return []command{{"ZREM", p + "unacked_index", id}, {"HDEL", p + "unacked", id}}
		},
	}
}

func rqLayout() layout {
	const p = "{rq}:"
	list := p + "queue:jobs"
	enqueue := func(id string) []command { return []command{{"RPUSH", list, id}} }
	return layout{
		name: "rq", metadata: map[string]string{"rq": "jobs", "prefix": "{rq}"},
		keys: []string{list, list + ":intermediate", p + "wip:jobs", p + "scheduled:jobs"}, unit: time.Second, spread: true,
		register: command{"SADD", p + "queues", list},
		add: func(id string) []command {
			return append([]command{{"HSET", p + "job:" + id, "origin", "jobs"}}, enqueue(id)...)
		},
		take: func(id string) []command {
			return []command{{"LPOP", list}, {"ZADD", p + "wip:jobs", far, id + ":1"}}
		},
		finish: func(id string) []command {
			return []command{{"ZREM", p + "wip:jobs", id + ":1"}, {"DEL", p + "job:" + id}}
		},
		later: func(id string, due time.Time) []command {
			return []command{{"HSET", p + "job:" + id, "origin", "jobs"}, {"ZADD", p + "scheduled:jobs", seconds(due), id}}
		},
		promote: func(id string, _ time.Time) []command { return moved(p+"scheduled:jobs", id, enqueue(id)) },
	}
}

func dramatiqLayout() layout {
	const n = "{dramatiq}:"
	queue, fetched := n+"jobs", n+"__acks__.worker.jobs"
	message := func(eta int64) string {
		return fmt.Sprintf(`{"message_timestamp":%d,"options":{"eta":%d}}`, int64(past)*1000, eta)
	}
	enqueue := func(id string) []command {
		return []command{
			{"ZADD", n + "__heartbeats__", int64(far) * 1000, "worker"},
			{"HSET", queue + ".msgs", id, message(past)},
			{"RPUSH", queue, id},
		}
	}
	return layout{
		name: "dramatiq", metadata: map[string]string{"dramatiq": "jobs", "namespace": "{dramatiq}"},
		keys: []string{queue, queue + ".msgs", queue + ".DQ", queue + ".DQ.msgs", fetched}, unit: time.Millisecond,
		add:    enqueue,
		take:   func(id string) []command { return []command{{"LPOP", queue}, {"SADD", fetched, id}} },
		finish: func(id string) []command { return []command{{"SREM", fetched, id}, {"HDEL", queue + ".msgs", id}} },
		later: func(id string, due time.Time) []command {
			return []command{{"HSET", queue + ".DQ.msgs", id, message(milliseconds(due))}, {"RPUSH", queue + ".DQ", id}}
		},
		promote: func(id string, _ time.Time) []command {
			return append([]command{{"LREM", queue + ".DQ", 1, id}, {"HDEL", queue + ".DQ.msgs", id}}, enqueue(id)...)
		},
	}
}
