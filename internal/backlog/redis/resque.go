package redis

import (
	"cmp"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
)

const (
	// resqueTimes is how many moments at which jobs fell due are looked at.
	resqueTimes = 100
	// resqueJobs is how many jobs of each of them are looked at, of all queues together.
	resqueJobs = 100
	// resqueWorkers is how many workers are asked what they work on.
	resqueWorkers = 1000
)

// resqueLayout is a queue of Resque with resque-scheduler. The keys are those of
// https://github.com/resque/resque/blob/master/lib/resque/data_store.rb and of
// https://github.com/resque/resque-scheduler/blob/master/lib/resque/scheduler/delaying_extensions.rb
func resqueLayout() layout {
	return layout{
		Layout: backlog.Layout{
			Name: "resque", SharesKeys: true,
			Summary: "A queue of Resque (Ruby, or node-resque), with the delayed jobs of resque-scheduler, which a running scheduler alone moves to the queue: they count as due here when their time has come. " +
				"They lie in lists for all queues and say only in themselves which one is theirs: the first 100 due moments with 100 jobs each are looked at. " +
				"Keys: NAMESPACE:queue:NAME, NAMESPACE:queues, NAMESPACE:workers, NAMESPACE:worker:*, NAMESPACE:delayed_queue_schedule, NAMESPACE:delayed:*. It needs the rights +get +lrange +sismember +sscan +srandmember.",
			Queue:    "name of the queue",
			Patterns: registered("set NAMESPACE:queues"),
			Parameters: []backlog.Parameter{
				{Name: "namespace", Kind: backlog.KindText, Default: "resque", Doc: "Namespace of the application (Resque.redis.namespace)."},
			},
			Ready:    "the jobs on the queue",
			Due:      "delayed jobs of the queue whose time has come",
			InFlight: "the workers that work on a job of the queue; also those that were killed, until another worker removes them",
			Oldest:   "since when the first delayed job has been due, a lower bound while there are jobs on the queue; Resque does not write down when a job was enqueued",
		},
		shared: true,
		discover: func(p backlog.Params) discovery {
			namespace := resqueNamespace(p)
			return discovery{
				registry: resqueRegistry(namespace, ""),
				work:     func() step { return &resqueFindStep{namespace: namespace} },
			}
		},
		prepare: func(q backlog.Query, _ keySearch) step {
			namespace := resqueNamespace(q.Params)
			return &resqueStep{
				name:      q.Queue,
				namespace: namespace,
				registry:  *resqueRegistry(namespace, q.Queue),
			}
		},
	}
}

func resqueNamespace(p backlog.Params) string { return cmp.Or(p.Get("namespace"), "resque") }

func resqueRegistry(namespace, queue string) *registry {
	return &registry{
		framework: "Resque", sets: []string{namespace + ":queues"}, member: queue, queue: queue,
		name: func(member string) string { return member },
	}
}

// A resqueStep asks when work falls due, for the queue, and which workers there are.
type resqueStep struct {
	name, namespace string
	registry        registry
}

func (s *resqueStep) key(parts string) string { return s.namespace + ":" + parts }

func (s *resqueStep) commands(dst []command, now time.Time) []command {
	schedule, queue, workers := s.key("delayed_queue_schedule"), s.key("queue:"+s.name), s.key("workers")
	limit := clockSeconds.due(now)
	return append(dst,
		command{key: schedule, class: 'z', args: byScore(schedule, "-inf", limit, resqueTimes, false)},
		// The next moment at which any work is due: what falls due at a moment that is
		// known already does not change the set.
		command{key: schedule, class: 'z', args: byScore(schedule, "("+limit, "+inf", 1, true)},
		command{key: queue, class: 'l', args: []any{"LLEN", queue}},
		command{key: workers, class: 's', args: []any{"SRANDMEMBER", workers, resqueWorkers}},
	)
}

func (s *resqueStep) outcome(replies []reply, _ time.Time) outcome {
	c := &counts{replies: replies}
	times := c.texts(-1)
	next := c.firstTime(clockSeconds)
	ready := c.number()
	workers := c.texts(-1)
	if c.err != nil {
		return fail(c.err)
	}
	detail := &resqueJobsStep{resqueStep: s, reading: backlog.Reading{Ready: ready, NextDue: next}, times: times, workers: workers}
	if len(times)+len(workers) == 0 {
		return detail.finish(schedule{})
	}
	return outcome{next: detail}
}

// A resqueJobsStep asks which work is due, and what workers work on.
type resqueJobsStep struct {
	*resqueStep
	reading        backlog.Reading
	times, workers []string
}

func (s *resqueJobsStep) commands(dst []command, _ time.Time) []command {
	for _, at := range s.times {
		key := s.key("delayed:" + at)
		dst = append(dst, command{key: key, args: []any{"LRANGE", key, 0, resqueJobs - 1}})
	}
	// Work that was moved from there to the queue since the step before is there now.
	queue := s.key("queue:" + s.name)
	dst = append(dst, command{key: queue, class: 'l', args: []any{"LLEN", queue}})
	for _, worker := range s.workers {
		key := s.key("worker:" + worker)
		dst = append(dst, command{key: key, args: []any{"GET", key}})
	}
	return dst
}

func (s *resqueJobsStep) outcome(replies []reply, _ time.Time) outcome {
	c := &counts{replies: replies}
	work, complete := s.due(c)
	ready := c.number()
	inFlight, told := s.inFlight(c)
	if c.err != nil {
		return fail(c.err)
	}
	s.reading.Ready = max(s.reading.Ready, ready)
	s.reading.InFlight = backlog.Exactly(inFlight)
	if !told {
		// Among the others there may be more.
		s.reading.Quality = backlog.LowerBound
		s.reading.InFlight.N = max(inFlight, 1)
	}
	if !complete {
		s.reading.Quality = backlog.LowerBound
		if work.due > 0 {
			s.reading.Quality = backlog.Capped
		}
		work.due = max(work.due, 1)
	}
	return s.finish(work)
}

// due takes the replies about work that is due, which is not complete if there may be
// more of the queue than was looked at.
func (s *resqueJobsStep) due(c *counts) (work schedule, complete bool) {
	complete = len(s.times) < resqueTimes
	for _, at := range s.times {
		jobs := c.texts(-1)
		complete = complete && len(jobs) < resqueJobs
		for _, job := range jobs {
			queue, known := namedQueue(job)
			complete = complete && known
			if known && queue == s.name {
				work.due++
				work.since = earlier(work.since, c.timeOf(at))
			}
		}
	}
	return work, complete
}

// inFlight takes what the workers work on, and tells whether that is all.
func (s *resqueJobsStep) inFlight(c *counts) (n int64, told bool) {
	told = len(s.workers) < resqueWorkers
	for range s.workers {
		job, busy := c.text()
		if !busy {
			continue
		}
		queue, known := namedQueue(job)
		told = told && known
		if known && queue == s.name {
			n++
		}
	}
	return n, told
}

// finish completes the reading by the work that is due.
func (s *resqueJobsStep) finish(work schedule) outcome {
	r := s.reading
	r.Due = work.due
	r.InFlight.Known = true
	r.Oldest = work.age(r.Ready)
	if r.Backlog() == 0 && r.NextDue.IsZero() {
		return s.registry.ask(r)
	}
	return done(r)
}
