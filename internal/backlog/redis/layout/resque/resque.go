// Package resque reads queues of Resque and node-resque.
package resque

import (
	"cmp"
	"strings"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/layout"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/resp"
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
			Ready:    "the jobs on the queue",
			Due:      "delayed jobs of the queue whose time has come",
			InFlight: "the workers that work on a job of the queue; also those that were killed, until another worker removes them or orphanedAfter has passed",
			Oldest:   "since when the first delayed job has been due, a lower bound while there are jobs on the queue; Resque does not write down when a job was enqueued",
		},
		SharesCommands: true,
		Discover: func(p backlog.Params) layout.Discovery {
			namespace := namespaceOf(p)
			return layout.Discovery{
				Registry:        newRegistry(namespace, ""),
				Work:            func() layout.Step { return &findStep{namespace: namespace} },
				AnyPrefix:       []layout.KeyPattern{{Type: "list", Prefix: namespace + ":queue:", FixedPrefix: ":queue:"}},
				PrefixParameter: "namespace",
			}
		},
		Prepare: func(q backlog.Query, search layout.KeySearch) layout.Step {
			namespace := namespaceOf(q.Params)
			s := &queueStep{
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

// A queueStep asks when work falls due, for the queue, and which workers there are.
type queueStep struct {
	name, namespace string
	registry        layout.Registry
	params          backlog.Params
	// withoutPings says that all workers had heartbeats of Resque at the last read, so that
	// those of node-resque are not asked for.
	withoutPings bool
}

func (s *queueStep) key(parts string) string { return s.namespace + ":" + parts }

// Commands implements layout.Step.
func (s *queueStep) Commands(dst []resp.Command, now time.Time) []resp.Command {
	schedule, queue, workers, pause := s.key("delayed_queue_schedule"), s.key("queue:"+s.name), s.key("workers"), s.key("pause-all-workers")
	limit := layout.Seconds.Due(now)
	// Moments before this one do not count any more if no scheduler runs.
	after := max(layout.NewOrphans(s.params).After, overdueAfter)
	return append(dst,
		resp.Command{Key: schedule, KeyType: 'z', Args: layout.ByScore(schedule, "-inf", limit, maxMoments, false)},
		// The next moment at which any work is due: what falls due at a moment that is
		// known already does not change the set.
		resp.Command{Key: schedule, KeyType: 'z', Args: layout.ByScore(schedule, "("+limit, "+inf", 1, true)},
		resp.Command{Key: schedule, KeyType: 'z', Args: []any{"ZCOUNT", schedule, "(" + layout.Seconds.Due(now.Add(-after)), limit}},
		resp.Command{Key: queue, KeyType: 'l', Args: []any{"LLEN", queue}},
		resp.Command{Key: workers, KeyType: 's', Args: []any{"SRANDMEMBER", workers, maxWorkers}},
		resp.Command{Key: pause, KeyType: '$', Args: []any{"GET", pause}},
	)
}

// Outcome implements layout.Step.
func (s *queueStep) Outcome(replies []resp.Reply, _ time.Time) layout.Outcome {
	c := resp.NewDecoder(replies)
	times := c.Strings(-1)
	next := layout.FirstTime(c, layout.Seconds)
	recent := c.Count()
	ready := c.Count()
	workers := c.Strings(-1)
	paused := false
	if c.Allowed() {
		// Resque 2.3 and later.
		value, _ := c.Text()
		paused = strings.EqualFold(strings.TrimSpace(value), "true")
	}
	if c.Err() != nil {
		return layout.Fail(c.Err())
	}
	detail := &jobsStep{
		queueStep: s, reading: backlog.Reading{Ready: ready, NextDue: next, Paused: paused},
		times: times, recent: recent, workers: workers,
	}
	if len(times)+len(workers) == 0 {
		return detail.finish(layout.Schedule{}, layout.NewOrphans(s.params))
	}
	return layout.Outcome{Next: detail}
}

// A jobsStep asks which work is due, what workers work on, and which of them and of
// the schedulers are alive.
type jobsStep struct {
	*queueStep
	reading        backlog.Reading
	times, workers []string
	// recent is how many of the due moments are not longer ago than orphaned work counts.
	recent int64
	// silent and overdue say that there is work that nothing will move, and its kind.
	silent, overdue bool
}

// Commands implements layout.Step.
func (s *jobsStep) Commands(dst []resp.Command, _ time.Time) []resp.Command {
	for _, at := range s.times {
		key := s.key("delayed:" + at)
		dst = append(dst, resp.Command{Key: key, Args: []any{"LRANGE", key, 0, maxJobs - 1}})
	}
	// Work that was moved from there to the queue since the step before is there now.
	queue := s.key("queue:" + s.name)
	dst = append(dst, resp.Command{Key: queue, KeyType: 'l', Args: []any{"LLEN", queue}})
	for _, lock := range s.locks() {
		dst = append(dst, resp.Command{Key: lock, Args: []any{"EXISTS", lock}})
	}
	for _, worker := range s.workers {
		key := s.key("worker:" + worker)
		dst = append(dst, resp.Command{Key: key, Args: []any{"GET", key}})
	}
	return s.heartbeatCommands(dst, s.workers)
}

// Outcome implements layout.Step.
func (s *jobsStep) Outcome(replies []resp.Reply, now time.Time) layout.Outcome {
	c, o := resp.NewDecoder(replies), layout.NewOrphans(s.params)
	moments := make([][]string, len(s.times))
	for i := range s.times {
		moments[i] = c.Strings(-1)
	}
	ready := c.Count()
	schedulers := s.schedulers(c)
	inFlight, allKnown := s.inFlight(c, schedulers, o, now)
	work, complete := s.due(c, moments, schedulers, o, now)
	if c.Err() != nil {
		return layout.Fail(c.Err())
	}
	s.reading.Ready = max(s.reading.Ready, ready)
	s.reading.InFlight = backlog.Exactly(inFlight)
	if !allKnown {
		// Among the others there may be more.
		s.reading.Quality = backlog.LowerBound
		s.reading.InFlight.N = max(inFlight, 1)
	}
	if !complete {
		s.reading.Quality = backlog.LowerBound
		if work.Due > 0 {
			s.reading.Quality = backlog.Capped
		}
		work.Due = max(work.Due, 1)
	}
	return s.finish(work, o)
}

// due returns the work of the queue that is due, which is not complete if there may be
// more that counts than was looked at.
func (s *jobsStep) due(c *resp.Decoder, moments [][]string, schedulers schedulerLocks, o *layout.Orphans, now time.Time) (work layout.Schedule, complete bool) {
	// What fell due too long ago to count need not be known.
	bounded := schedulers.absent() && o.After > 0
	complete = len(s.times) < maxMoments || bounded && s.recent == 0
	for i, jobs := range moments {
		own, all := s.own(jobs)
		at := layout.Seconds.Parse(c, s.times[i])
		overdue := schedulers.absent() && now.Sub(at) > overdueAfter
		complete = complete && (all || overdue && bounded && now.Sub(at) >= o.After)
		if overdue && own > 0 {
			s.overdue = true
			own = o.Add(own, at, now)
		}
		if work.Due += own; own > 0 {
			work.Since = layout.Earlier(work.Since, at)
		}
	}
	return work, complete
}

// own returns how many jobs of one moment are of the queue, and whether these are all.
func (s *jobsStep) own(jobs []string) (n int64, all bool) {
	all = len(jobs) < maxJobs
	for _, job := range jobs {
		queue, known := layout.NamedQueue(job)
		all = all && known
		if known && queue == s.name {
			n++
		}
	}
	return n, all
}

// finish completes the reading by the work that is due.
func (s *jobsStep) finish(work layout.Schedule, o *layout.Orphans) layout.Outcome {
	r := s.reading
	r.Due = work.Due
	r.InFlight.Known = true
	r.Oldest = work.Age(r.Ready)
	s.markOrphans(o, &r)
	if r.Backlog() == 0 && r.NextDue.IsZero() {
		return s.registry.Ask(r)
	}
	return layout.Done(r)
}
