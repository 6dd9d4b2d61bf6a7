package redis

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	goredis "github.com/redis/go-redis/v9"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/keyscan"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/layout"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/redistest"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/resp"
)

// A stepper reads the queue q of a real server again and again, at moments of its own.
type stepper struct {
	client *goredis.Client
	first  layout.Step
}

func newStepper(t *testing.T, server *redistest.Server, l layout.Layout, params map[string]string) *stepper {
	t.Helper()
	client := server.NewClient(func(*goredis.Options) {})
	q := backlog.Query{Layout: l.Name, Queue: "q", Params: backlog.NewParams(params)}
	return &stepper{client: client, first: l.Prepare(q, keyscan.QuerySearch{})}
}

// at returns the reading at a moment.
func (s *stepper) at(t *testing.T, now time.Time) backlog.Reading {
	t.Helper()
	for next := s.first; ; {
		var replies []resp.Reply
		for _, c := range next.Commands(nil, now) {
			value, err := s.client.Do(t.Context(), c.Args...).Result()
			if errors.Is(err, goredis.Nil) {
				err = resp.ErrNil
			}
			replies = append(replies, resp.Reply{Value: value, Err: err})
		}
		o := next.Outcome(replies, now)
		if o.Err != nil {
			t.Fatalf("read at %v: %v", now, o.Err)
		}
		if o.Next == nil {
			return o.Reading
		}
		next = o.Next
	}
}

// A stuckCase is work that nothing moves.
type stuckCase struct {
	layout layout.Layout
	grace  time.Duration
	// stick makes it, and move makes something that moves it appear.
	stick, move [][]any
	// stuck is what of it counts, and moved what counts when something moves it.
	stuck, moved stuckFigures
	warning      string
}

type stuckFigures struct{ Ready, Due, InFlight, Orphaned, Ignored int64 }

func stuckFiguresOf(r backlog.Reading) stuckFigures {
	return stuckFigures{r.Ready, r.Due, r.InFlight.N, r.Orphaned, r.Ignored}
}

func stuckCases() map[string]stuckCase {
	return map[string]stuckCase{
		// D13
		"asynq without a lease": {
			layout: asynqLayout(), grace: layout.OrphanGrace,
			stick: [][]any{{"SADD", "asynq:queues", "q"}, {"LPUSH", "asynq:{q}:active", "1", "2", "3"}, {"ZADD", "asynq:{q}:lease", 1, "3"}},
			move:  [][]any{{"ZADD", "asynq:{q}:lease", 1, "1", 1, "2"}},
			stuck: stuckFigures{InFlight: 3, Orphaned: 2}, moved: stuckFigures{InFlight: 3},
			warning: "active tasks have no lease",
		},
		"asynq before 0.22 without a deadline": {
			layout: asynqLayout(), grace: layout.OrphanGrace,
			stick: [][]any{{"SADD", "asynq:queues", "q"}, {"LPUSH", "asynq:{q}:active", "message"}},
			move:  [][]any{{"ZADD", "asynq:{q}:deadlines", 1, "message"}},
			stuck: stuckFigures{InFlight: 1, Orphaned: 1}, moved: stuckFigures{InFlight: 1},
			warning: "active tasks have no lease",
		},
		"BullMQ 1 without a scheduler": {
			layout: bullmqLayout(), grace: layout.StuckGrace,
			stick: [][]any{{"HSET", "bull:q:meta", "opts.maxLenEvents", "10000"}, {"ZADD", "bull:q:delayed", 4096000, "1"}},
			move:  [][]any{{"SET", "bull:q:stalled-check", "1"}},
			stuck: stuckFigures{Due: 1, Orphaned: 1}, moved: stuckFigures{Due: 1},
			warning: "no process moves them",
		},
		"BullMQ resumed by halves": {
			layout: bullmqLayout(), grace: layout.OrphanGrace,
			stick: [][]any{{"HSET", "bull:q:meta", "opts.maxLenEvents", "10000"}, {"LPUSH", "bull:q:paused", "1", "2"}, {"LPUSH", "bull:q:wait", "3"}},
			move:  [][]any{{"RPOPLPUSH", "bull:q:paused", "bull:q:wait"}, {"RPOPLPUSH", "bull:q:paused", "bull:q:wait"}},
			stuck: stuckFigures{Ready: 3, Orphaned: 2}, moved: stuckFigures{Ready: 3},
			warning: "the queue is not paused",
		},
		"Bee-Queue without activateDelayedJobs": {
			layout: beequeueLayout(), grace: layout.StuckGrace,
			stick: [][]any{{"ZADD", "bq:q:delayed", 1000, "1"}, {"HSET", "bq:q:jobs", "1", "{}"}},
			move:  [][]any{{"LPUSH", "bq:q:waiting", "1"}, {"DEL", "bq:q:delayed"}},
			stuck: stuckFigures{Due: 1, Orphaned: 1}, moved: stuckFigures{Ready: 1},
			warning: "no worker raises them",
		},
		"Laravel without retry_after": {
			layout: laravelLayout(), grace: layout.StuckGrace,
			stick: [][]any{{"ZADD", "queues:q:reserved", 1000, "job"}},
			move:  [][]any{{"RPUSH", "queues:q", "other"}},
			stuck: stuckFigures{Due: 1, Orphaned: 1}, moved: stuckFigures{Ready: 1, Due: 1},
			warning: "no worker takes them back",
		},
	}
}

// TestStuckWork: work that nothing moves is not called exact once that has lasted, and a
// warning says so; it stops counting when OrphanedAfter has passed, and counts again
// when something moves it.
func TestStuckWork(t *testing.T) {
	t.Parallel()
	for name, c := range stuckCases() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := redistest.Start(t)
			for _, command := range c.stick {
				server.Do(command...)
			}
			const after = 10 * time.Minute
			forever := newStepper(t, server, c.layout, nil)
			bounded := newStepper(t, server, c.layout, map[string]string{"orphanedAfter": after.String()})
			fresh, ignored := c.stuck, c.stuck
			fresh.Orphaned = 0
			ignored.Orphaned, ignored.Ignored = 0, c.stuck.Orphaned
			// What is ignored is of one kind in each case.
			switch {
			case c.stuck.Due > 0:
				ignored.Due -= c.stuck.Orphaned
			case c.stuck.Ready > 0:
				ignored.Ready -= c.stuck.Orphaned
			default:
				ignored.InFlight -= c.stuck.Orphaned
			}
			began := time.Now()
			for _, read := range []struct {
				*stepper
				after   time.Duration
				want    stuckFigures
				quality backlog.Quality
				warning string
			}{
				{forever, 0, fresh, backlog.Exact, ""},
				{bounded, 0, fresh, backlog.Exact, ""},
				{forever, c.grace - 1, fresh, backlog.Exact, ""},
				{forever, c.grace, c.stuck, backlog.UpperBound, c.warning},
				{bounded, c.grace, c.stuck, backlog.UpperBound, c.warning},
				{forever, 100 * after, c.stuck, backlog.UpperBound, "set orphanedAfter"},
				{bounded, after, ignored, backlog.Exact, c.warning},
			} {
				r := read.at(t, began.Add(read.after))
				if diff := cmp.Diff(read.want, stuckFiguresOf(r)); diff != "" || r.Quality != read.quality {
					t.Errorf("after %s (-want +got):\n%s\n%+v", read.after, diff, r)
				}
				if !strings.Contains(r.Warning, read.warning) || read.warning == "" && r.Warning != "" || r.Missing {
					t.Errorf("after %s: %+v, want the warning %q", read.after, r, read.warning)
				}
			}
			for _, command := range c.move {
				server.Do(command...)
			}
			for _, s := range []*stepper{forever, bounded} {
				r := s.at(t, began.Add(101*after))
				if diff := cmp.Diff(c.moved, stuckFiguresOf(r)); diff != "" || r.Quality != backlog.Exact || r.Warning != "" {
					t.Errorf("moved (-want +got):\n%s\n%+v", diff, r)
				}
			}
		})
	}
}

// TestWorkThatAWorkerMoves: due jobs that any worker would move are no orphans, however
// long none has.
func TestWorkThatAWorkerMoves(t *testing.T) {
	t.Parallel()
	for name, commands := range map[string][][]any{
		"BullMQ 5":   {{"HSET", "bull:q:meta", "opts.maxLenEvents", "10000", "version", "bullmq:5.81.5"}, {"ZADD", "bull:q:delayed", 4096000, "1"}},
		"BullMQ 5.0": {{"HSET", "bull:q:meta", "opts.maxLenEvents", "10000"}, {"ZADD", "bull:q:delayed", 4096000, "1"}, {"ZADD", "bull:q:marker", 1, "1"}},
		"BullMQ 4":   {{"HSET", "bull:q:meta", "opts.maxLenEvents", "10000"}, {"ZADD", "bull:q:delayed", 4096000, "1"}, {"LPUSH", "bull:q:wait", "0:1"}},
		"Bull":       {{"SET", "bull:q:id", "1"}, {"ZADD", "bull:q:delayed", 4096000, "1"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := redistest.Start(t)
			for _, command := range commands {
				server.Do(command...)
			}
			s := newStepper(t, server, bullmqLayout(), map[string]string{"orphanedAfter": "1h"})
			began := time.Now()
			for _, after := range []time.Duration{0, time.Hour, 24 * time.Hour} {
				if r := s.at(t, began.Add(after)); r.Due != 1 || r.Quality != backlog.Exact || r.Warning != "" {
					t.Errorf("after %s: %+v", after, r)
				}
			}
		})
	}
}

// TestStuckWorkOfABusyQueue: active tasks and leases that are counted one after the other
// disagree for a moment, and never for as long as the fewest of them are none.
func TestStuckWorkOfABusyQueue(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	s := newStepper(t, server, asynqLayout(), nil)
	server.Do("LPUSH", "asynq:{q}:active", "1", "2", "3")
	began := time.Now()
	for i := range 300 {
		leases := []any{"ZADD", "asynq:{q}:lease", 1, "1", 1, "2"}
		if i%30 == 29 {
			leases = append(leases, 1, "3")
		}
		server.Do("DEL", "asynq:{q}:lease")
		server.Do(leases...)
		if r := s.at(t, began.Add(time.Duration(i)*time.Second)); r.Quality != backlog.Exact || r.InFlight.N != 3 {
			t.Fatalf("after %d s: %+v", i, r)
		}
	}
}
