// Package sidekiq reads queues of Sidekiq (Ruby).
package sidekiq

import (
	"strings"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/layout"
)

const (
	// maxDue is how many due jobs of each set are looked at, of all queues together.
	maxDue = 1000
	// maxFuture is how many future jobs of each set are looked at for the next one
	// of the queue.
	maxFuture = 100
	// maxProcesses is how many processes are asked what they work on.
	maxProcesses = 1000
)

// Layout is a queue of Sidekiq 4 to 8. The keys are those of
// https://github.com/sidekiq/sidekiq/blob/main/lib/sidekiq/api.rb
func Layout() layout.Layout {
	return layout.Layout{
		Layout: backlog.Layout{
			Name: "sidekiq", SharesKeys: true,
			Summary: "A queue of Sidekiq 4 to 8 (Ruby). Scheduled jobs and retries are moved to their queue by a running process alone, so at zero replicas they count as due here when their time has come. " +
				"They lie in two sets for all queues and say only in themselves which one is theirs: the first 1,000 due and 100 future ones of each set are looked at. " +
				"What workers hold is reported by the heartbeats of their processes, every 10 s; a queue that shrank counts as one job in flight until each process has sent two more, 10 to 20 s. " +
				"A reliable fetch (super_fetch of Sidekiq Pro, GitLab's gem) keeps the jobs of a killed process in private lists, which count too. They are searched by SCAN in the background: without the right +scan a reading is a lower bound, with a warning, unless fetch is basic. " +
				"Keys, each after NAMESPACE: if there is one: queue:NAME, schedule, retry, processes, HOST:PID:*, queues, paused, super_processes, queue:sq*, working:queue:NAME:*. It needs the rights +sismember +sscan +srandmember +hvals +hmget +scan.",
			Queue:    "name of the queue, without queue:",
			Patterns: layout.FoundInRegistry("set queues"),
			Parameters: []backlog.Parameter{
				{Name: "namespace", Kind: backlog.KindText, Doc: "Namespace of redis-namespace (Sidekiq before 7), which precedes every key: with app the queue is app:queue:NAME."},
				{Name: "fetch", Kind: backlog.KindChoice, Allowed: []string{"any", "basic"}, Default: "any", Doc: "With basic no process uses a reliable fetch, so private lists are not searched and the right +scan is not needed."},
				{Name: "age", Kind: backlog.KindChoice, Allowed: []string{"none", "payload"}, Default: "none", Doc: "With payload the oldest job of the queue is read to tell when it was enqueued. It needs the right +lindex."},
			},
			Ready:          "the jobs on the queue",
			Due:            "scheduled jobs and retries of the queue whose time has come",
			InFlightIsLate: true,
			InFlight:       "the jobs that processes said they work on, or that a reliable fetch keeps for them; those of a killed process for the minute until Sidekiq forgets them, or with a reliable fetch until another process puts them back",
			Oldest:         "with age payload, exact: when the oldest job was enqueued or fell due; else since when the first scheduled job or retry has been due, a lower bound while there are jobs on the queue",
			WorkersScope:   []string{"namespace"},
			Workers:        "processes with a job of any queue, by the host in HOST:PID:NONCE (DYNO in its place, if that is set), as of their last heartbeat, up to 10 s ago; a process whose heartbeat is 20 s older than the newest is busy",
		},
		SharesCommands: true,
		Workers:        workers,
		Discover: func(p backlog.Params) layout.Discovery {
			prefix := keyPrefix(p)
			return layout.Discovery{
				Registry:        newRegistry(prefix, ""),
				Work:            func() layout.Reader { return laterJobs{prefix} },
				AnyPrefix:       []layout.KeyPattern{{Type: "list", Prefix: prefix + "queue:", FixedPrefix: "queue:"}},
				PrefixParameter: "namespace",
			}
		},
		Prepare: prepare,
	}
}

func prepare(q backlog.Query, search layout.KeySearch) layout.Reader {
	prefix := keyPrefix(q.Params)
	s := &queue{
		name:     q.Queue,
		prefix:   prefix,
		payload:  q.Params.Get("age") == "payload",
		registry: *newRegistry(prefix, q.Queue),
	}
	s.registry.OtherPrefixes = &layout.OtherPrefixes{Keys: search, FixedKey: "queues", Parameter: "namespace"}
	if q.Params.Get("fetch") != "basic" {
		s.private = newPrivateLists(prefix, q.Queue, search)
	}
	return s
}

// keyPrefix is what precedes every key. A namespace may be written with the colon at
// its end too, as it is in the keys.
func keyPrefix(p backlog.Params) string {
	namespace := strings.TrimSuffix(p.Get("namespace"), ":")
	if namespace == "" {
		return ""
	}
	return namespace + ":"
}

func newRegistry(prefix, queue string) *layout.Registry {
	return &layout.Registry{
		Framework: "Sidekiq", Sets: []string{prefix + "queues"}, Member: queue, Queue: queue,
		QueueOf: func(member string) string { return member },
	}
}
