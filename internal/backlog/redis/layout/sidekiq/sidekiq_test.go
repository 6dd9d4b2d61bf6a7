package sidekiq_test

import (
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/backlogtest"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/layout/layouttest"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/redistest"
)

func eachSidekiq(t *testing.T, test func(*testing.T, *library)) {
	t.Helper()
	layouttest.EachVersion(t, sidekiqVersions(), startSidekiq, test)
}

// sidekiqVersions are the installations of Sidekiq.
func sidekiqVersions() []string { return []string{"sidekiq-6", "sidekiq-7", "sidekiq-8"} }

// A library is an application and its server.
type library struct {
	*layouttest.Driver
	t     testing.TB
	major string
	// namespace is that of all its keys; "" if there is none.
	namespace string
	server    *redistest.Server
}

func startSidekiq(t testing.TB, name string) *library {
	t.Helper()
	return startSidekiqIn(t, name, "")
}

func startSidekiqIn(t testing.TB, name, namespace string) *library {
	t.Helper()
	major := strings.TrimPrefix(name, "sidekiq-")
	s := &library{t: t, major: major, namespace: namespace, server: redistest.Start(t)}
	s.Driver = s.start()
	s.IntroduceDebian("sidekiq", name, major)
	return s
}

func (s *library) start(args ...string) *layouttest.Driver {
	s.t.Helper()
	env := []string{"REDIS_URL=redis://" + s.server.Addr()}
	if s.namespace != "" {
		env = append(env, "NAMESPACE="+s.namespace)
	}
	program := []string{layouttest.Installed(s.t, "sidekiq-"+s.major, "run"), "ruby"}
	return layouttest.StartScript(s.t, env, program, "sidekiq/driver.rb", args...)
}

// sidekiqCounts is what Sidekiq itself reports about a queue.
type sidekiqCounts struct {
	Size, Due, Work, Processes, Retries int64
	Next, Latency                       float64
	Known, Paused                       bool
}

func (s *library) counts(queue string) sidekiqCounts {
	s.t.Helper()
	var c sidekiqCounts
	s.Do(&c, "counts", queue)
	return c
}

// agree reads a queue and holds the reading against what Sidekiq itself tells.
func (s *library) agree(step string, source backlog.Source, q backlog.Query) backlog.Reading {
	s.t.Helper()
	own, r := layouttest.AtRest(s.t, step, source, q, func(queue string) sidekiqCounts {
		c := s.counts(queue)
		c.Latency = 0
		return c
	})
	got := sidekiqCounts{
		Size: r.Ready, Due: r.Due, Work: r.InFlight.N, Processes: r.Consumers.N,
		Retries: own.Retries, Next: 0, Known: !r.Missing, Paused: r.Paused,
	}
	// Sidekiq notes a queue with its first job; it is known here with its first plan.
	own.Known = own.Known || own.Due+own.Work > 0 || own.Next > 0
	next := own.Next
	own.Next = 0
	if diff := cmp.Diff(own, got); diff != "" {
		s.t.Errorf("%s: Sidekiq (-) and reading (+): %s", step, diff)
	}
	if next == 0 != r.NextDue.IsZero() || next != 0 && math.Abs(float64(r.NextDue.UnixMicro())/1e6-next) > 0.001 {
		s.t.Errorf("%s: the next job is due at %v, want %f", step, r.NextDue, next)
	}
	return r
}

// TestSidekiqCounts: the figures are those of Sidekiq itself.
func TestSidekiqCounts(t *testing.T) {
	t.Parallel()
	eachSidekiq(t, func(t *testing.T, s *library) {
		t.Helper()
		source := layouttest.OpenServer(t, s.server, layouttest.User(redistest.Version{}, s.server, "%R~*", redis.ACLRules, redis.ACLFrameworkRules, redis.ACLPatternRules))
		mail, other := layouttest.Query("sidekiq", "mail", "age", "payload"), layouttest.Query("sidekiq", "other")
		if r := s.agree("nothing", source, mail); !r.Missing || !strings.Contains(r.Hint, "no other queue either") {
			t.Errorf("without any queue: %+v", r)
		}
		s.Do(nil, "push", "other", "SleepJob", 0)
		if r := s.agree("wrong name", source, mail); !strings.Contains(r.Hint, "other") {
			t.Errorf("the hint does not name the other queue: %q", r.Hint)
		}
		s.Do(nil, "push", "mail", "SleepJob", 0)
		s.Do(nil, "bulk", "mail", 20, "SleepJob")
		r := s.agree("enqueued", source, mail)
		// Sidekiq took its time somewhere between these two moments.
		before := time.Now()
		latency := time.Duration(s.counts("mail").Latency * float64(time.Second))
		after := time.Now()
		if since := r.Oldest.Since; r.Oldest.Kind != backlog.AgeExact || since.Before(before.Add(-latency-time.Second)) || since.After(after.Add(-latency+time.Second)) {
			t.Errorf("oldest is %+v, Sidekiq's latency %s between %v and %v", r.Oldest, latency, before, after)
		}
		s.Do(nil, "in", "mail", 3600, "SleepJob", 0)
		s.Do(nil, "in", "other", 1800, "SleepJob", 0)
		s.agree("delayed", source, mail)
		s.agree("delayed", source, other)
		if s.major == "8" {
			// What the Web UI of Sidekiq Pro does; Sidekiq 6 and 7 do not tell.
			s.server.Do("SADD", "paused", "mail")
			if r := s.agree("paused", source, mail); !r.Paused {
				t.Error("a paused queue is not paused")
			}
			s.Prove(layouttest.Paused)
			s.server.Do("SREM", "paused", "mail")
		}
		s.Do(nil, "clear", "mail")
		// A process that has just begun and is not known yet may have taken the jobs.
		if r := backlogtest.MustRead(t, source, mail); r.Ready != 0 || r.InFlight != backlog.Exactly(1) || r.Quality != backlog.LowerBound {
			t.Errorf("right after it was cleared: %+v", r)
		}
		redistest.Eventually(t, "a process would have reported itself", func() bool { return backlogtest.MustRead(t, source, mail).Backlog() == 0 })
		s.agree("cleared", source, mail)
		if refused, _ := s.server.Do("ACL", "LOG").([]any); len(refused) > 0 {
			t.Errorf("refused were %v", refused)
		}
		s.Prove(layouttest.Waiting, layouttest.Age)
	})
}

// TestSidekiqDue: scheduled jobs and retries fall due when they should, with no worker.
func TestSidekiqDue(t *testing.T) {
	t.Parallel()
	eachSidekiq(t, func(t *testing.T, s *library) {
		t.Helper()
		source := layouttest.OpenServer(t, s.server, nil)
		q := layouttest.Query("sidekiq", "mail")
		s.Do(nil, "in", "mail", 2, "SleepJob", 0)
		due := layouttest.UnixSeconds(s.counts("mail").Next)
		r := backlogtest.MustRead(t, source, q)
		time.Sleep(time.Until(layouttest.NotYetDue(t, r, due))) // What a reader does.
		r = s.agree("due", source, q)
		if r.Due != 1 || r.Oldest.Kind != backlog.AgeExact || r.Oldest.Since.Sub(due).Abs() > time.Second {
			t.Errorf("when it is due: %+v", r)
		}
		s.Do(nil, "clear", "mail")
		s.Do(nil, "push", "mail", "FailJob")
		worker := s.start("worker", "mail")
		redistest.Eventually(t, "the job has failed, and the process has reported so", func() bool {
			c := s.counts("mail")
			return c.Retries == 1 && c.Work == 0
		})
		worker.Kill()
		// A heartbeat that began before the job has failed may have reported it later; it is forgotten after a minute.
		redistest.Eventually(t, "the killed process holds nothing", func() bool { return backlogtest.MustRead(t, source, q).InFlight == backlog.Exactly(0) })
		s.Do(nil, "retry_in", "mail", 2)
		due = layouttest.UnixSeconds(s.counts("mail").Next)
		time.Sleep(time.Until(layouttest.NotYetDue(t, backlogtest.MustRead(t, source, q), due))) // What a reader does.
		if r = s.agree("retry due", source, q); r.Due != 1 || !r.NextDue.IsZero() {
			t.Errorf("when the retry is due: %+v", r)
		}
		s.Prove(layouttest.Due)
	})
}

// TestSidekiqInFlight: what a worker holds is work from when it is taken until the
// worker is done, or Sidekiq has forgotten the one that was killed, also where a heartbeat
// was on its way when the job was taken.
func TestSidekiqInFlight(t *testing.T) {
	t.Parallel()
	eachSidekiq(t, func(t *testing.T, s *library) {
		t.Helper()
		source := layouttest.OpenServer(t, s.server, nil)
		for queue, kind := range map[string]string{"mail": "worker", "post": "slow"} {
			s.Do(nil, "push", queue, "SleepJob", 600)
			backlogtest.MustRead(t, source, layouttest.Query("sidekiq", queue))
			worker := s.start(kind, queue)
			// A process may take a job before its first heartbeat, which then reports it;
			// the slow one does so after that has begun.
			if guessed := s.inFlight(source, queue); !guessed && kind == "slow" {
				t.Error("the job was never in flight before Sidekiq reported it")
			}
			worker.Kill()
			if r := s.agree("killed", source, layouttest.Query("sidekiq", queue)); r.InFlight != backlog.Exactly(1) {
				t.Errorf("after the worker was killed: %+v", r)
			}
		}
		if r := backlogtest.MustRead(t, source, layouttest.Query("sidekiq", "idle")); r.InFlight != backlog.Exactly(0) || r.Consumers != backlog.Exactly(0) {
			t.Errorf("another queue: %+v", r)
		}
		s.Prove(layouttest.InFlight)
	})
}

// inFlight holds that a job which a worker takes is counted until Sidekiq reports it, and
// returns whether it was in flight before.
func (s *library) inFlight(source backlog.Source, queue string) (guessed bool) {
	s.t.Helper()
	for began := time.Now(); s.counts(queue).Work != 1; time.Sleep(4 * layouttest.AskInterval) {
		if time.Since(began) > 2*layouttest.Patience {
			s.t.Fatalf("Sidekiq reports no work after %s", time.Since(began))
		}
		r := backlogtest.MustRead(s.t, source, layouttest.Query("sidekiq", queue))
		if r.Backlog() == 0 {
			s.t.Fatalf("no worker has done the job, and the reading is %+v", r)
		}
		guessed = guessed || r.Quality == backlog.LowerBound && r.InFlight.N == 1
	}
	return guessed
}

// TestSidekiqWakes: an idle queue wakes when Sidekiq enqueues or schedules.
func TestSidekiqWakes(t *testing.T) {
	t.Parallel()
	eachSidekiq(t, func(t *testing.T, s *library) {
		t.Helper()
		source := layouttest.OpenServer(t, s.server, nil)
		q := layouttest.Query("sidekiq", "mail")
		layouttest.CheckWakes(t, source, q, func() { s.Do(nil, "push", "mail", "SleepJob", 0) })
		s.agree("enqueued", source, q)
		layouttest.CheckWakes(t, source, q, func() { s.Do(nil, "in", "mail", 60, "SleepJob", 0) })
		s.agree("scheduled", source, q)
		s.Prove(layouttest.WakeUp)
	})
}

func delaySidekiq(t testing.TB, name string) layouttest.Delayer {
	t.Helper()
	s := startSidekiq(t, name)
	return layouttest.Delayer{Driver: s.Driver, Server: s.server, Query: layouttest.PlainQuery("sidekiq"), Delay: func(queue string) time.Time {
		s.Do(nil, "in", queue, 1.5, "SleepJob", 0)
		return layouttest.UnixSeconds(s.counts(queue).Next)
	}}
}

// holdSidekiq: without super_fetch Sidekiq loses the job with the process. It goes on to
// count it until the process is silent for a minute, which is hastened here.
func holdSidekiq(t testing.TB, name string) layouttest.Holder {
	t.Helper()
	s := startSidekiq(t, name)
	return layouttest.Holder{
		Driver: s.Driver, Server: s.server, Query: layouttest.Query("sidekiq", "mail"),
		Take: func() *layouttest.Driver {
			s.Do(nil, "push", "mail", "SleepJob", 3600)
			return s.start("worker", "mail")
		},
		Held: func() bool { return s.counts("mail").Work == 1 },
		Kept: func() bool { own := s.counts("mail"); return own.Size+own.Work > 0 },
		Recover: func() {
			work, _ := s.server.Do("KEYS", "*:work*").([]any)
			for _, key := range work {
				process, _ := key.(string)
				process, _, _ = strings.Cut(process, ":work")
				layouttest.Expire(t, s.server, key, process)
			}
		},
	}
}

// TestDelayedJobsWakeAtZero: KEDA is notified of a delayed job when it is due, with no worker.
func TestDelayedJobsWakeAtZero(t *testing.T) {
	layouttest.DelayedJobsWakeAtZero(t, delaySidekiq, sidekiqVersions()...)
}

// TestKilledWorkers: a job that a worker holds is work from before the worker is killed until
// another one has finished it.
func TestKilledWorkers(t *testing.T) {
	t.Parallel()
	layouttest.KilledWorkers(t, holdSidekiq, sidekiqVersions()...)
}
