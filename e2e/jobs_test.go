package e2e_test

// A job is the life of one message in a layout, in the commands of its clients: the framework's own where it is
// one. In them QUEUE is the name of the queue, WORKER that of a process, NOW the Unix time in seconds, MILLIS in
// milliseconds, LEASE in a minute and a half.
type job struct {
	metadata map[string]string // of the trigger, besides the queue
	// setup is what is there before any message; add brings one, boot registers a worker, take gives it the
	// message, and settle ends it.
	setup, add, boot, take, settle []string
	// beat is what a process says every ten seconds while it works.
	beat []string
}

// jobs are those of every layout that reports what is in flight.
func jobs() map[string]job {
	return map[string]job{
		"list": {
			metadata: map[string]string{"inFlightList": "QUEUE:processing"},
			add:      []string{"RPUSH QUEUE job"},
			take:     []string{"LMOVE QUEUE QUEUE:processing LEFT RIGHT"},
			settle:   []string{"LREM QUEUE:processing 1 job"},
		},
		"stream": {
			metadata: map[string]string{"consumerGroup": "workers"},
			setup:    []string{"XGROUP CREATE QUEUE workers 0 MKSTREAM"},
			add:      []string{"XADD QUEUE 1-1 body job"},
			take:     []string{"XREADGROUP GROUP workers WORKER COUNT 1 STREAMS QUEUE >"},
			settle:   []string{"XACK QUEUE workers 1-1"},
		},
		"bullmq": {
			setup:  []string{"HSET bull:QUEUE:meta opts.maxLenEvents 10000"},
			add:    []string{"HSET bull:QUEUE:1 name job timestamp MILLIS delay 0", "LPUSH bull:QUEUE:wait 1", "ZADD bull:QUEUE:marker 0 0"},
			take:   []string{"ZREM bull:QUEUE:marker 0", "LMOVE bull:QUEUE:wait bull:QUEUE:active RIGHT LEFT", "SET bull:QUEUE:1:lock WORKER PX 90000"},
			settle: []string{"DEL bull:QUEUE:1:lock", "LREM bull:QUEUE:active -1 1", "ZADD bull:QUEUE:completed MILLIS 1"},
		},
		"beequeue": {
			add:    []string{"INCR bq:QUEUE:id", `HSET bq:QUEUE:jobs 1 {"options":{"timestamp":MILLIS}}`, "LPUSH bq:QUEUE:waiting 1"},
			take:   []string{"LMOVE bq:QUEUE:waiting bq:QUEUE:active RIGHT LEFT"},
			settle: []string{"LREM bq:QUEUE:active 0 1", "SADD bq:QUEUE:succeeded 1"},
		},
		"asynq": {
			add:    []string{"SADD asynq:queues QUEUE", "HSET asynq:{QUEUE}:t:1 state pending", "LPUSH asynq:{QUEUE}:pending 1"},
			take:   []string{"LMOVE asynq:{QUEUE}:pending asynq:{QUEUE}:active RIGHT LEFT", "ZADD asynq:{QUEUE}:lease LEASE 1"},
			settle: []string{"LREM asynq:{QUEUE}:active 0 1", "ZREM asynq:{QUEUE}:lease 1", "DEL asynq:{QUEUE}:t:1"},
		},
		"sidekiq": {
			setup:  []string{"SADD queues QUEUE"},
			add:    []string{`LPUSH queue:QUEUE {"queue":"QUEUE","jid":"1"}`},
			boot:   []string{`HSET WORKER info {"queues":["QUEUE"]} beat NOW`, "SADD processes WORKER"},
			take:   []string{"RPOP queue:QUEUE"},
			beat:   []string{"HSET WORKER beat NOW", `HSET WORKER:work thread {"queue":"QUEUE","run_at":NOW}`},
			settle: []string{"DEL WORKER:work", "HSET WORKER beat NOW"},
		},
		"resque": {
			setup:  []string{"SADD resque:queues QUEUE"},
			add:    []string{`RPUSH resque:queue:QUEUE {"class":"Job","args":[]}`},
			boot:   []string{"SADD resque:workers WORKER"},
			take:   []string{"LPOP resque:queue:QUEUE", `SET resque:worker:WORKER {"queue":"QUEUE","payload":{}}`},
			settle: []string{"DEL resque:worker:WORKER"},
		},
		"laravel": {
			add:    []string{`RPUSH queues:QUEUE {"id":"1","attempts":0}`, "RPUSH queues:QUEUE:notify 1"},
			take:   []string{"LPOP queues:QUEUE", "LPOP queues:QUEUE:notify", `ZADD queues:QUEUE:reserved LEASE {"id":"1","attempts":1}`},
			settle: []string{`ZREM queues:QUEUE:reserved {"id":"1","attempts":1}`},
		},
		"celery": {
			setup:  []string{"SADD _kombu.binding.QUEUE QUEUE\x06\x16\x06\x16QUEUE"},
			add:    []string{"LPUSH QUEUE {}"},
			take:   []string{"RPOP QUEUE", "ZADD unacked_index NOW tag-of-QUEUE", `HSET unacked tag-of-QUEUE [{},"QUEUE","QUEUE"]`},
			settle: []string{"HDEL unacked tag-of-QUEUE", "ZREM unacked_index tag-of-QUEUE"},
		},
		"rq": {
			add:    []string{"SADD rq:queues rq:queue:QUEUE", "RPUSH rq:queue:QUEUE job"},
			take:   []string{"LMOVE rq:queue:QUEUE rq:queue:QUEUE:intermediate LEFT RIGHT", "ZADD rq:wip:QUEUE LEASE job:execution", "LREM rq:queue:QUEUE:intermediate 1 job"},
			settle: []string{"ZREM rq:wip:QUEUE job:execution", "ZADD rq:finished:QUEUE LEASE job"},
		},
		"dramatiq": {
			add:    []string{"HSET dramatiq:QUEUE.msgs job {}", "RPUSH dramatiq:QUEUE job"},
			take:   []string{"LPOP dramatiq:QUEUE", "SADD dramatiq:__acks__.WORKER.QUEUE job"},
			settle: []string{"SREM dramatiq:__acks__.WORKER.QUEUE job", "HDEL dramatiq:QUEUE.msgs job"},
		},
		"arq": {
			add:    []string{"ZADD QUEUE MILLIS job-of-QUEUE"},
			take:   []string{"SET arq:in-progress:job-of-QUEUE 1 PX 90000"},
			settle: []string{"ZREM QUEUE job-of-QUEUE", "DEL arq:in-progress:job-of-QUEUE"},
		},
		"taskiq": {
			metadata: map[string]string{"broker": "stream"},
			setup:    []string{"XGROUP CREATE QUEUE taskiq 0 MKSTREAM"},
			add:      []string{"XADD QUEUE 1-1 data job"},
			take:     []string{"XREADGROUP GROUP taskiq WORKER COUNT 1 STREAMS QUEUE >"},
			settle:   []string{"XACK QUEUE taskiq 1-1"},
		},
	}
}
