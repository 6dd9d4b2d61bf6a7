// Package sidekiq reads queues of Sidekiq (Ruby).
package sidekiq

import (
	"encoding/json"
	"strings"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/layout"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/resp"
)

const (
	// maxDue is how many due jobs of each set are looked at, of all queues together.
	maxDue = 1000
	// maxFuture is how many future jobs of each set are looked at for the next one
	// of the queue.
	maxFuture = 100
	// maxProcesses is how many processes are asked what they work on.
	maxProcesses = 1000
	// leastMilliseconds is the least enqueued_at that is in milliseconds, as Sidekiq 8
	// writes it; in seconds, as it was before, this is the year 5138.
	leastMilliseconds = 1e11
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
			Ready:    "the jobs on the queue",
			Due:      "scheduled jobs and retries of the queue whose time has come",
			InFlight: "the jobs that processes said they work on, or that a reliable fetch keeps for them; those of a killed process for the minute until Sidekiq forgets them, or with a reliable fetch until another process puts them back",
			Oldest:   "with age payload, exact: when the oldest job was enqueued or fell due; else since when the first scheduled job or retry has been due, a lower bound while there are jobs on the queue",
		},
		SharesCommands: true,
		Discover: func(p backlog.Params) layout.Discovery {
			prefix := keyPrefix(p)
			return layout.Discovery{
				Registry:        newRegistry(prefix, ""),
				Work:            func() layout.Step { return findStep{prefix} },
				AnyPrefix:       []layout.KeyPattern{{Type: "list", Prefix: prefix + "queue:", FixedPrefix: "queue:"}},
				PrefixParameter: "namespace",
			}
		},
		Prepare: prepare,
	}
}

func prepare(q backlog.Query, search layout.KeySearch) layout.Step {
	prefix := keyPrefix(q.Params)
	s := &queueStep{
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

// A queueStep asks for the future and due work, then for the queue, then for the
// processes: in the order in which a job passes, so that none is missed on its way.
type queueStep struct {
	name, prefix string
	payload      bool
	registry     layout.Registry
	// private finds the lists of a reliable fetch; nil if none is used.
	private *privateLists

	// lastReady is the length of the queue at the last read.
	lastReady int64
	// shrunkAt is when the queue was last seen to have shrunk; zero once every process
	// has reported since then what it works on.
	shrunkAt time.Time
	// lastBeats is when each process that serves the queue had been heard of by then, by its
	// own clock; nil until they were asked.
	lastBeats map[string]time.Time
	// busy are the processes that had jobs of the queue at the last read, and lost when
	// the last one disappeared that had some, or may have taken some.
	busy   []string
	lostAt time.Time
}

// Commands implements layout.Step.
func (s *queueStep) Commands(dst []resp.Command, now time.Time) []resp.Command {
	dst = laterCommands(dst, s.prefix, now)
	queue, paused, processes := s.prefix+"queue:"+s.name, s.prefix+"paused", s.prefix+"processes"
	dst = append(dst,
		resp.Command{Key: queue, KeyType: 'l', Args: []any{"LLEN", queue}},
		resp.Command{Key: paused, KeyType: 's', Args: []any{"SISMEMBER", paused, s.name}},
		resp.Command{Key: processes, KeyType: 's', Args: []any{"SRANDMEMBER", processes, maxProcesses}},
	)
	if s.payload {
		dst = append(dst, resp.Command{Key: queue, KeyType: 'l', Args: []any{"LINDEX", queue, -1}})
	}
	if s.private != nil {
		s.private.update(now)
		key := s.prefix + superProcesses
		dst = append(dst, resp.Command{Key: key, Args: []any{"SRANDMEMBER", key, maxProcesses}})
	}
	return dst
}

// laterCommands appends the commands that read the scheduled jobs and retries of all
// queues: for each set those that are due, and those that are not.
func laterCommands(dst []resp.Command, prefix string, now time.Time) []resp.Command {
	limit := layout.Seconds.Due(now)
	for _, set := range []string{prefix + "schedule", prefix + "retry"} {
		dst = append(dst,
			resp.Command{Key: set, KeyType: 'z', Args: layout.ByScore(set, "-inf", limit, maxDue, true)},
			resp.Command{Key: set, KeyType: 'z', Args: layout.ByScore(set, "("+limit, "+inf", maxFuture, true)},
		)
	}
	return dst
}

// A findStep finds the queues of scheduled jobs and retries: one that never had
// another job is not in the registry.
type findStep struct{ prefix string }

// Commands implements layout.Step.
func (s findStep) Commands(dst []resp.Command, now time.Time) []resp.Command {
	return laterCommands(dst, s.prefix, now)
}

// Outcome implements layout.Step.
func (findStep) Outcome(replies []resp.Reply, _ time.Time) layout.Outcome {
	c := resp.NewDecoder(replies)
	var found backlog.Reading
	for i := range replies {
		jobs := c.Strings(-1)
		for j := 0; j+1 < len(jobs); j += 2 {
			if queue, known := layout.NamedQueue(jobs[j]); known {
				found.Parts = append(found.Parts, backlog.Part{Queue: queue})
			}
		}
		if isFuture := i%2 == 1; isFuture && len(jobs) == 2*maxFuture {
			// When the last one is due, there are others to be looked at.
			found.NextDue = layout.Earlier(found.NextDue, layout.Seconds.Parse(c, jobs[len(jobs)-1]))
		}
	}
	if c.Err() != nil {
		return layout.Fail(c.Err())
	}
	return layout.Done(found)
}

// Outcome implements layout.Step.
func (s *queueStep) Outcome(replies []resp.Reply, now time.Time) layout.Outcome {
	c := resp.NewDecoder(replies)
	work, complete := s.set(c)
	retries, alsoComplete := s.set(c)
	work, complete = work.Plus(retries), complete && alsoComplete
	reading := backlog.Reading{Ready: c.Count(), Paused: c.Count() > 0, NextDue: work.Next}
	detail := &workStep{queueStep: s, processes: c.Strings(-1)}
	var enqueued time.Time
	if s.payload {
		job, _ := c.Text()
		enqueued = enqueuedAt(job)
	}
	detail.addLists(c)
	if c.Err() != nil {
		return layout.Fail(c.Err())
	}
	reading.Due = work.Due
	if !complete {
		// One process is enough to move the due work of all queues.
		reading.Due = max(work.Due, 1)
		reading.Quality = backlog.LowerBound
		if work.Due > 0 {
			reading.Quality = backlog.Capped
		}
	}
	reading.Oldest = work.Age(reading.Ready)
	if !enqueued.IsZero() {
		reading.Oldest = backlog.Age{Since: layout.Earlier(enqueued, work.Since), Kind: backlog.AgeExact}
	}
	if reading.Ready < s.lastReady {
		s.shrunkAt, s.lastBeats = now, nil
	}
	s.lastReady = reading.Ready
	detail.reading = reading
	if len(detail.processes)+len(detail.lists) == 0 {
		none := newProcessWork()
		none.denied = detail.denied
		return s.finish(reading, none, now)
	}
	return layout.Outcome{Next: detail}
}

// set takes the replies about one set of scheduled jobs. What is due is not complete
// if there may be more of the queue than was looked at.
func (s *queueStep) set(c *resp.Decoder) (work layout.Schedule, complete bool) {
	due, future := c.Strings(-1), c.Strings(-1)
	complete = len(due) < 2*maxDue
	for i := 0; i+1 < len(due); i += 2 {
		queue, known := layout.NamedQueue(due[i])
		complete = complete && known
		if known && queue == s.name {
			work.Due++
			work.Since = layout.Earlier(work.Since, layout.Seconds.Parse(c, due[i+1]))
		}
	}
	for i := 0; i+1 < len(future); i += 2 {
		// If none of those is of the queue, look again when the last one is due.
		last := i+2 == 2*maxFuture
		if queue, known := layout.NamedQueue(future[i]); known && queue == s.name || last {
			work.Next = layout.Seconds.Parse(c, future[i+1])
			break
		}
	}
	return work, complete
}

// enqueuedAt returns when a job was enqueued; zero if it does not say.
func enqueuedAt(text string) time.Time {
	var job struct {
		EnqueuedAt float64 `json:"enqueued_at"`
	}
	if err := json.Unmarshal([]byte(text), &job); err != nil {
		return time.Time{}
	}
	if job.EnqueuedAt >= leastMilliseconds {
		return layout.Milliseconds.Time(job.EnqueuedAt)
	}
	return layout.Seconds.Time(job.EnqueuedAt)
}
