// Package resque reads queues of Resque and node-resque.
package resque

import (
	"cmp"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/layout"
)

const (
	// maxMoments is how many moments at which jobs fell due are looked at.
	maxMoments = 100
	// maxJobs is how many jobs of each of them are looked at, of all queues together.
	maxJobs = 100
	// maxWorkers is how many workers are asked what they work on.
	maxWorkers = 1000
)

// Layout is a queue of Resque with resque-scheduler. The keys are those of
// https://github.com/resque/resque/blob/master/lib/resque/data_store.rb and of
// https://github.com/resque/resque-scheduler/blob/master/lib/resque/scheduler/delaying_extensions.rb
func Layout() layout.Layout {
	return layout.Layout{
		Layout: backlog.Layout{
			Name: "resque", SharesKeys: true,
			Summary: "A queue of Resque (Ruby, or node-resque), with the delayed jobs of resque-scheduler, which a running scheduler alone moves to the queue: they count as due here when their time has come. " +
				"They lie in lists for all queues and say only in themselves which one is theirs: the first 100 due moments with 100 jobs each are looked at. " +
				"A job of a worker that has sent no heartbeat for 5 minutes next to living ones, or that has been due for 5 minutes while no scheduler holds its lock, is orphaned: it counts with a warning, or until orphanedAfter. " +
				"Keys: NAMESPACE:queue:NAME, NAMESPACE:queues, NAMESPACE:workers, NAMESPACE:worker:*, NAMESPACE:workers:heartbeat, NAMESPACE:delayed_queue_schedule, NAMESPACE:delayed:*, NAMESPACE:pause-all-workers, NAMESPACE:resque_scheduler_*_lock, NAMESPACE:NAMESPACE:resque_scheduler_master_lock. It needs the rights +get +hmget +lrange +sismember +sscan +srandmember.",
			Queue:    "name of the queue",
			Patterns: layout.FoundInRegistry("set NAMESPACE:queues"),
			Parameters: []backlog.Parameter{
				{Name: "namespace", Kind: backlog.KindText, Default: "resque", Doc: "Namespace of the application (Resque.redis.namespace)."},
				layout.OrphanParameter("jobs of workers that sent no heartbeat since, and delayed jobs that fell due then while no scheduler runs"),
			},
			Ready:        "the jobs on the queue",
			Due:          "delayed jobs of the queue whose time has come",
			InFlight:     "the workers that work on a job of the queue; also those that were killed, until another worker removes them or orphanedAfter has passed",
			Oldest:       "since when the first delayed job has been due, a lower bound while there are jobs on the queue; Resque does not write down when a job was enqueued",
			WorkersScope: []string{"namespace"},
			Workers:      "workers with a job of any queue, by the host in HOST:PID:QUEUES, at once",
		},
		SharesCommands: true,
		Workers:        busyWorkers,
		Discover: func(p backlog.Params) layout.Discovery {
			namespace := namespaceOf(p)
			return layout.Discovery{
				Registry:        newRegistry(namespace, ""),
				Work:            func() layout.Reader { return &delayedJobs{namespace: namespace} },
				AnyPrefix:       []layout.KeyPattern{{Type: "list", Prefix: namespace + ":queue:", FixedPrefix: ":queue:"}},
				PrefixParameter: "namespace",
			}
		},
		Prepare: func(q backlog.Query, search layout.KeySearch) layout.Reader {
			namespace := namespaceOf(q.Params)
			s := &queue{
				name:      q.Queue,
				namespace: namespace,
				registry:  *newRegistry(namespace, q.Queue),
				params:    q.Params,
			}
			s.registry.OtherPrefixes = &layout.OtherPrefixes{Keys: search, FixedKey: ":queues", Parameter: "namespace"}
			return s
		},
	}
}

func namespaceOf(p backlog.Params) string { return cmp.Or(p.Get("namespace"), "resque") }

func newRegistry(namespace, queue string) *layout.Registry {
	return &layout.Registry{
		Framework: "Resque", Sets: []string{namespace + ":queues"}, Member: queue, Queue: queue,
		QueueOf: func(member string) string { return member },
	}
}
