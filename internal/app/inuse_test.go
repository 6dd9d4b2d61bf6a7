package app_test

import (
	"context"
	"errors"
	"maps"
	"sync"
	"testing"
	"time"

	pb "github.com/kedacore/keda/v2/pkg/scalers/externalscaler"
	"github.com/redis/go-redis/v9"
	"google.golang.org/grpc/status"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/redistest"
)

// TestOnlyWorkKeepsATriggerActive: a queue that is drained at every read stays active while
// a counter of the engine shows work, and for no other change of its keys.
func TestOnlyWorkKeepsATriggerActive(t *testing.T) {
	t.Parallel()
	// A machine that stalls for as long as the hold would see the trigger inactive.
	const hold, receiving = 6 * time.Second, 8 * time.Second
	bullmq := map[string]string{"bullmq": "videos"}
	for name, tc := range map[string]struct {
		trigger map[string]string
		// begin makes a message that is seen, and take takes it.
		begin, take []any
		// pass is a script that makes a message and takes it.
		pass     string
		database int
		active   bool
	}{
		"entries of a stream": {
			trigger: map[string]string{"stream": "orders", "consumerGroup": "billing"},
			begin:   []any{"XGROUP", "CREATE", "orders", "billing", "0", "MKSTREAM"}, take: []any{"XTRIM", "orders", "MAXLEN", 0},
			pass: `local id = redis.call('XADD', 'orders', '*', 'n', '1') redis.call('XREADGROUP', 'GROUP', 'billing', 'w', 'STREAMS', 'orders', '>')
				redis.call('XACK', 'orders', 'billing', id)`,
			active: true,
		},
		"jobs of BullMQ": {
			trigger: bullmq, begin: []any{"LPUSH", "bull:videos:wait", "1"}, take: []any{"DEL", "bull:videos:wait"},
			pass:   `redis.call('LPUSH', 'bull:videos:wait', redis.call('INCR', 'bull:videos:id')) redis.call('RPOP', 'bull:videos:wait')`,
			active: true,
		},
		"jobs of several queues of BullMQ": {
			trigger: map[string]string{"bullmq": "audio,videos"}, begin: []any{"LPUSH", "bull:videos:wait", "1"}, take: []any{"DEL", "bull:videos:wait"},
			pass:   `redis.call('LPUSH', 'bull:videos:wait', redis.call('INCR', 'bull:videos:id')) redis.call('RPOP', 'bull:videos:wait')`,
			active: true,
		},
		"jobs of Bee-Queue": {
			trigger: map[string]string{"beequeue": "videos"}, begin: []any{"LPUSH", "bq:videos:waiting", "1"}, take: []any{"DEL", "bq:videos:waiting"},
			pass:   `redis.call('LPUSH', 'bq:videos:waiting', redis.call('INCR', 'bq:videos:id')) redis.call('RPOP', 'bq:videos:waiting')`,
			active: true,
		},
		"tasks of asynq": {
			trigger: map[string]string{"asynq": "videos"}, begin: []any{"LPUSH", "asynq:{videos}:pending", "1"}, take: []any{"DEL", "asynq:{videos}:pending"},
			pass:   `redis.call('LPUSH', 'asynq:{videos}:pending', '1') redis.call('RPOP', 'asynq:{videos}:pending') redis.call('INCR', 'asynq:{videos}:processed')`,
			active: true,
		},
		"the settings of BullMQ, written again": {
			trigger: bullmq, begin: []any{"LPUSH", "bull:videos:wait", "1"}, take: []any{"DEL", "bull:videos:wait"},
			pass: `redis.call('HSET', 'bull:videos:meta', 'opts.maxLenEvents', '10000')`,
		},
		"jobs of BullMQ in another database": {
			trigger: bullmq, begin: []any{"LPUSH", "bull:videos:wait", "1"}, take: []any{"DEL", "bull:videos:wait"}, database: 1,
			pass: `redis.call('LPUSH', 'bull:videos:wait', redis.call('INCR', 'bull:videos:id')) redis.call('RPOP', 'bull:videos:wait')`,
		},
		// So does a worker that waits in BLPOP: the list is never there.
		"messages of a list, which leave no trace": {
			trigger: map[string]string{"list": "jobs"}, begin: []any{"RPUSH", "jobs", "a"}, take: []any{"DEL", "jobs"},
			pass: `redis.call('RPUSH', 'jobs', 'a') redis.call('LPOP', 'jobs')`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := redistest.Start(t)
			s := start(t, standalone(server.Addr()), setup{})
			r := &pb.ScaledObjectRef{Namespace: "shop", Name: "workers", ScalerMetadata: map[string]string{"connection": "main", "holdActive": hold.String()}}
			maps.Copy(r.ScalerMetadata, tc.trigger)
			server.Do(tc.begin...)
			if tc.trigger["stream"] != "" {
				server.Do("XADD", "orders", "*", "n", "1")
			}
			isActive := func() (active, known bool) {
				answer, err := s.client.IsActive(t.Context(), r)
				return answer.GetResult(), err == nil
			}
			redistest.Eventually(t, "the work is seen", func() bool { active, known := isActive(); return active && known })
			server.Do(tc.take...)
			writer := server.NewClient(func(o *redis.Options) { o.DB = tc.database })
			ctx, stop := context.WithCancel(t.Context())
			var writing sync.WaitGroup
			writing.Go(func() {
				for ctx.Err() == nil {
					if err := writer.Eval(ctx, tc.pass, nil).Err(); err != nil && !errors.Is(err, redis.Nil) && ctx.Err() == nil {
						t.Error(err)
						return
					}
					time.Sleep(100 * time.Millisecond)
				}
			})
			defer writing.Wait()
			defer stop()
			if tc.active {
				for end := time.Now().Add(receiving); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
					if active, known := isActive(); !active || !known {
						t.Fatalf("active is %t, known %t, while work passes", active, known)
					}
				}
				stop()
			}
			redistest.Eventually(t, "the trigger is inactive", func() bool { active, known := isActive(); return !active && known })
		})
	}
}

// TestWorkInFlightStaysActive: one long job, nothing waits, and nothing else happens.
func TestWorkInFlightStaysActive(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	s := start(t, standalone(server.Addr()), setup{})
	for _, tc := range []struct {
		name    string
		trigger map[string]string
		take    [][]any
		settle  []any
	}{
		{
			"list",
			map[string]string{"list": "mails", "inFlightList": "mails:taken"},
			[][]any{{"RPUSH", "mails", "one"}, {"LMOVE", "mails", "mails:taken", "LEFT", "RIGHT"}},
			[]any{"LREM", "mails:taken", 1, "one"},
		},
		{
			"stream",
			map[string]string{"stream": "orders", "consumerGroup": "billing"},
			[][]any{{"XGROUP", "CREATE", "orders", "billing", "0", "MKSTREAM"}, {"XADD", "orders", "1-1", "n", "1"}, {"XREADGROUP", "GROUP", "billing", "w", "STREAMS", "orders", ">"}},
			[]any{"XACK", "orders", "billing", "1-1"},
		},
		{
			"bullmq",
			map[string]string{"bullmq": "videos"},
			[][]any{{"HSET", "bull:videos:meta", "opts.maxLenEvents", "10000"}, {"LPUSH", "bull:videos:active", "1"}},
			[]any{"LREM", "bull:videos:active", 1, "1"},
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			for _, command := range tc.take {
				server.Do(command...)
			}
			for _, count := range []string{"ready,due,inFlight", "ready"} {
				r := &pb.ScaledObjectRef{Namespace: "shop", Name: tc.name, ScalerMetadata: map[string]string{"connection": "main", "count": count}}
				maps.Copy(r.ScalerMetadata, tc.trigger)
				for end := time.Now().Add(2 * time.Second); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
					if answer, err := s.client.IsActive(t.Context(), r); err != nil || !answer.GetResult() {
						t.Fatalf("count %s: active is %v while a job is in flight, error %v", count, answer.GetResult(), status.Convert(err).Message())
					}
				}
				if count == "ready" {
					server.Do(tc.settle...)
					redistest.Eventually(t, "the trigger is inactive when the job is done", func() bool {
						answer, err := s.client.IsActive(t.Context(), r)
						return err == nil && !answer.GetResult()
					})
				}
			}
		})
	}
}
