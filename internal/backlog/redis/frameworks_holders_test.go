package redis_test

import (
	"strings"
	"testing"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/redistest"
)

// A holder is a framework whose worker can be killed while it holds a job, at work on a
// server of its own.
type holder struct {
	*driver
	server *redistest.Server
	query  backlog.Query
	// take adds a job and starts a worker that takes it and keeps it. The job may be
	// added before or after.
	take func() *driver
	// held tells whether the library counts a job that a worker holds, and kept whether
	// it counts the job at all.
	held, kept func() bool
	// note is what the proof is limited to.
	note string
	// recover makes the library give the job to another worker that finishes it, or
	// forget it; nil where it does so after minutes alone.
	recover func()
}

// holders start all of them, by installation. The list broker of Taskiq is not among
// them: a worker takes the only copy of a task.
func holders() map[string]func(t testing.TB, name string) holder {
	return byInstallation(map[string]func(testing.TB, string) holder{
		"sidekiq": holdSidekiq, "resque": holdResque, "laravel": holdLaravel, "bullmq": holdBullMQ, "beequeue": holdBeequeue,
		"asynq": holdAsynq, "celery": holdCelery, "rq": holdRQ, "dramatiq": holdDramatiq, "arq": holdArq, "taskiq": holdTaskiq,
	})
}

func holdBullMQ(t testing.TB, name string) holder {
	t.Helper()
	b := startBullMQ(t, name)
	work := func(options map[string]any) *driver {
		worker := b.start(t)
		worker.do(nil, "work", "mail", b.prefix, 1, options)
		return worker
	}
	return holder{
		driver: b.driver, server: b.server, query: b.query("mail"),
		take: func() *driver {
			b.add("mail", "hang", nil)
			return work(map[string]any{"lockDuration": 1000, "stalledInterval": 500})
		},
		held:    func() bool { return b.counts("mail").Active == 1 },
		kept:    func() bool { own := b.counts("mail"); return own.Wait+own.Active > 0 },
		recover: func() { work(map[string]any{"stalledInterval": 500, "finish": true}) },
	}
}

func holdBeequeue(t testing.TB, _ string) holder {
	t.Helper()
	b := startBeequeue(t)
	work := func(finish bool) *driver {
		worker := b.start(t)
		worker.do(nil, "work", "mail", 1, map[string]any{"stallInterval": 500, "finish": finish})
		return worker
	}
	return holder{
		driver: b.driver, server: b.server, query: b.query("mail"),
		take: func() *driver {
			b.add("mail", "hang", nil)
			return work(false)
		},
		held:    func() bool { return b.counts("mail").Active == 1 },
		kept:    func() bool { own := b.counts("mail"); return own.Waiting+own.Active > 0 },
		recover: func() { work(true) },
	}
}

// holdAsynq: asynq gives a task to another worker a minute after it has heard of the
// first one last.
func holdAsynq(t testing.TB, _ string) holder {
	t.Helper()
	a := startAsynq(t)
	return holder{
		driver: a.driver, server: a.server, query: a.query("mail"),
		take: func() *driver {
			a.add("mail", "hang", asynqOptions{Retry: 1})
			worker := a.start(t)
			worker.do(nil, "work", "mail", 1)
			return worker
		},
		held: func() bool { return a.info("mail").Active == 1 },
		kept: func() bool { own := a.info("mail"); return own.Pending+own.Active > 0 },
	}
}

// holdSidekiq: without super_fetch Sidekiq loses the job with the process. It goes on to
// count it until the process is silent for a minute, which is hastened here.
func holdSidekiq(t testing.TB, name string) holder {
	t.Helper()
	s := startSidekiq(t, name)
	return holder{
		driver: s.driver, server: s.server, query: layoutQuery("sidekiq", "mail"),
		take: func() *driver {
			s.do(nil, "push", "mail", "SleepJob", 3600)
			return s.start("worker", "mail")
		},
		held: func() bool { return s.counts("mail").Work == 1 },
		kept: func() bool { own := s.counts("mail"); return own.Size+own.Work > 0 },
		recover: func() {
			work, _ := s.server.Do("KEYS", "*:work*").([]any)
			for _, key := range work {
				process, _ := key.(string)
				process, _, _ = strings.Cut(process, ":work")
				expire(t, s.server, key, process)
			}
		},
	}
}

// holdResque: Resque moves the job to the failed ones when somebody cleans up.
func holdResque(t testing.TB, _ string) holder {
	t.Helper()
	r := startResque(t, "resque")
	return holder{
		driver: r.driver, server: r.server, query: layoutQuery("resque", "mail"),
		take: func() *driver {
			r.do(nil, "push", "mail", "sleep", 3_600_000)
			return r.start("worker", "mail")
		},
		held:    func() bool { return r.counts("mail").Work == 1 },
		kept:    func() bool { own := r.counts("mail"); return own.Size+own.Work > 0 },
		recover: func() { r.do(nil, "clean") },
	}
}

func holdLaravel(t testing.TB, name string) holder {
	t.Helper()
	l := startLaravel(t, name)
	return holder{
		driver: l.driver, server: l.server, query: l.query(),
		take: func() *driver {
			l.do(nil, "push", "mail", "SleepJob", map[string]any{"seconds": 3600})
			return l.start("worker", "mail")
		},
		held:    func() bool { return l.counts("mail").Reserved == 1 },
		kept:    func() bool { return l.counts("mail").Size > 0 },
		recover: func() { l.start("worker", "mail") }, // It waits for retry_after, 3 s.
	}
}

func holdCelery(t testing.TB, _ string) holder {
	t.Helper()
	p := startCelery(t, "", `{"visibility_timeout": 3, "unacked_restore_interval": 1, "unacked_restore_throttle": 1}`)
	number := func(operation string, args ...any) (n int64) { p.do(&n, operation, args...); return n }
	return holder{
		driver: p.driver, server: p.server, query: layoutQuery("celery", "mail"),
		take: func() *driver {
			p.do(nil, "add", "hold", []any{}, map[string]any{"queue": "mail"})
			return p.work(t, "mail")
		},
		held:    func() bool { return number("kept", "mail") > 0 && number("size", "mail") == 0 },
		kept:    func() bool { return number("kept", "mail") > 0 },
		recover: func() { p.work(t, "mail") }, // It waits for visibility_timeout.
	}
}

// holdRQ: RQ gives the job up a minute and a half after it has heard of the worker last.
func holdRQ(t testing.TB, name string) holder {
	t.Helper()
	p := startRQ(t, name)
	counts := func() (own rqCounts) { p.do(&own, "counts", "mail"); return own }
	return holder{
		driver: p.driver, server: p.server, query: layoutQuery("rq", "mail"),
		take: func() *driver {
			p.do(nil, "add", "mail", "hold", map[string]any{})
			return p.work(t, "mail", map[string]any{})
		},
		held: func() bool { return counts().Started == 1 },
		kept: func() bool { own := counts(); return own.Queued+own.Intermediate+own.Started > 0 },
	}
}

func holdDramatiq(t testing.TB, _ string) holder {
	t.Helper()
	p := startDramatiq(t, `{"heartbeat_timeout": 1000, "maintenance_chance": 1000000}`)
	start := func(finish bool) *driver {
		worker := p.process(t)
		worker.do(nil, "start", "mail", finish)
		return worker
	}
	var worker *driver
	return holder{
		driver: p.driver, server: p.server, query: dramatiqQuery("mail"),
		take: func() *driver {
			p.do(nil, "add", "mail", "hold", map[string]any{})
			worker = start(false)
			return worker
		},
		held: func() bool {
			var own map[string]int64
			worker.do(&own, "held")
			return own["mail"] == 1
		},
		kept: func() bool {
			var size int64
			p.do(&size, "size", "mail")
			return size > 0
		},
		recover: func() { start(true) },
	}
}

// holdArq: arq gives the job to another worker when a key of the first one expires, ten
// seconds after the longest that the job may take, which is hastened here.
func holdArq(t testing.TB, _ string) holder {
	t.Helper()
	p := startArq(t)
	return holder{
		driver: p.driver, server: p.server, query: layoutQuery("arq", arqQueue),
		take: func() *driver {
			p.do(nil, "add", arqQueue, "hold", map[string]any{})
			return p.work(t, arqQueue, false)
		},
		held: func() bool { return arqOwn(p).InProgress == 1 },
		kept: func() bool {
			var jobs int64
			p.do(&jobs, "kept", arqQueue)
			return jobs > 0
		},
		recover: func() {
			taken, _ := p.server.Do("KEYS", "arq:in-progress:*").([]any)
			expire(t, p.server, taken...)
			p.work(t, arqQueue, false, true)
		},
	}
}

// holdTaskiq: Taskiq counts nothing itself, so that what its group has not acknowledged
// is asked of Redis. A worker looks after such tasks when it is served a further one.
func holdTaskiq(t testing.TB, _ string) holder {
	t.Helper()
	p := startTaskiq(t, "stream")
	kept := func() bool {
		pending, err := p.server.Client().XPending(t.Context(), "taskiq", "taskiq").Result()
		if err != nil {
			t.Fatal(err)
		}
		return pending.Count > 0
	}
	return holder{
		driver: p.driver, server: p.server, query: layoutQuery("taskiq", "taskiq", "broker", "stream"),
		take: func() *driver {
			p.do(nil, "startup", "taskiq")
			p.do(nil, "add", "taskiq", "hold", map[string]any{})
			return p.work(t, "taskiq")
		},
		held: kept, kept: kept, note: "stream broker",
		recover: func() {
			p.work(t, "taskiq", true)
			p.do(nil, "add", "taskiq", "nothing", map[string]any{})
		},
	}
}

// expire lets keys expire soon, as they would later.
func expire(t testing.TB, server *redistest.Server, keys ...any) {
	t.Helper()
	if len(keys) == 0 {
		t.Fatal("there is nothing to expire")
	}
	for _, key := range keys {
		server.Do("PEXPIRE", key, 500)
	}
}
