// Package taskiq reads queues of Taskiq (taskiq-redis, Python).
package taskiq

import (
	"cmp"
	"errors"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/layout"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/layout/native"
)

var errGroupOfList = errors.New("consumerGroup, orphanedAfter: have a meaning with broker stream alone")

var errListWorkers = errors.New("the layout taskiq shows which workers are busy only with broker: stream")

var errListInFlight = errors.New("the layout taskiq counts messages in flight only with broker: stream")

var errListFinished = errors.New("the layout taskiq counts finished tasks only with broker: stream")

func groupOf(p backlog.Params) string { return cmp.Or(p.Get("consumerGroup"), "taskiq") }

// Layout is a queue of taskiq-redis: a stream with a consumer group or a list,
// as the application's broker has it.
// https://github.com/taskiq-python/taskiq-redis/blob/main/taskiq_redis/redis_broker.py
func Layout() layout.Layout {
	return layout.Layout{
		Layout: backlog.Layout{ //nolint:gosec // the tasks that "Passing" speaks of are no passwords
			Name: "taskiq",
			Summary: "A queue of Taskiq (taskiq-redis, Python), with its stream broker or its list broker. A PubSub broker keeps no tasks, so it has no backlog. " +
				"Delayed and periodic tasks are put on the queue by Taskiq's scheduler, a process of its own that has to run all the time, and count from then on.",
			Queue:    "queue_name of the broker, by default taskiq",
			Patterns: layout.FoundByScan("streams or lists"),
			Parameters: []backlog.Parameter{
				{Name: "broker", Kind: backlog.KindChoice, Allowed: []string{"stream", "list"}, Required: true, Doc: "The broker of the application: RedisStreamBroker (stream) or ListQueueBroker (list), also in their Sentinel and Cluster forms."},
				{Name: "consumerGroup", Kind: backlog.KindText, Doc: "consumer_group_name of a stream broker, taskiq unless given."},
				layout.OrphanParameter("with a stream, " + native.StreamOrphans),
			},
			Ready:    "tasks that no worker was served yet; while the group of a stream does not exist, all entries",
			InFlight: "with a stream, tasks that a worker was served and has not acknowledged, also those of a worker that was killed; not known with a list, from which a worker takes tasks for good",
			Passing:  "with a stream the id of the last entry that the group was served; nothing with a list",
			Finished: "with a stream the tasks that the group was served; nothing with a list",
			CheckInFlight: func(q backlog.Query) error {
				if q.Params.Get("broker") == "list" {
					return errListInFlight
				}
				return nil
			},
			CheckFinished: func(q backlog.Query) error {
				if q.Params.Get("broker") == "list" {
					return errListFinished
				}
				return nil
			},
			Oldest:  "with a stream as for the layout stream; unknown with a list",
			Workers: "with a stream, workers that were served tasks and have not acknowledged all of them, by the name of the consumer, at once: set `consumer_name` of the broker to the name of the host, because it is random otherwise; nothing with a list",
			CheckWorkers: func(q backlog.Query) error {
				if q.Params.Get("broker") == "list" {
					return errListWorkers
				}
				return nil
			},
			Check: func(q backlog.Query) error {
				if q.Params.Get("broker") == "list" && (q.Params.Get("consumerGroup") != "" || q.Params.Get(layout.OrphanedAfter) != "") {
					return errGroupOfList
				}
				return nil
			},
		},
		Discover: func(p backlog.Params) layout.Discovery { return layout.KeysOfType(p.Get("broker"))(p) },
		Prepare: func(q backlog.Query, _ layout.KeySearch) layout.Reader {
			if q.Params.Get("broker") == "list" {
				return native.Cardinality("LLEN", 'l', q.Queue)
			}
			return native.Group(q, groupOf(q.Params))
		},
		Workers: func(q backlog.Query) layout.Reader { return native.GroupWorkers(q, groupOf(q.Params)) },
	}
}
