package redis_test

import (
	"math/rand/v2"
	"sync/atomic"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/backlogtest"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/layout/layouttest"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/redistest"
)

// TestNoWakeIsLost writes to a queue whenever a read says that it is armed, while its
// connections are killed all the time: each write must wake.
func TestNoWakeIsLost(t *testing.T) {
	t.Parallel()
	for name, more := range map[string]map[string]any{"tracking": nil, "keyspace": {"wakeUp": "keyspace"}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			layouttest.EachServer(t, func(t *testing.T, _ redistest.Version, server *redistest.Server) {
				t.Helper()
				server.Do("CONFIG", "SET", "notify-keyspace-events", "KA")
				source := layouttest.OpenServer(t, server, more)
				wakes := wakesOf(t, source)
				stop, stopped := make(chan struct{}), make(chan struct{})
				var pause killPause
				defer func() {
					close(stop)
					<-stopped
				}()
				go func() {
					defer close(stopped)
					for {
						select {
						case <-stop:
							return
						case <-time.After(pause.next()):
						}
						// Which fails if there is none at the moment.
						kind := []string{"pubsub", "normal"}[rand.N(2)]
						server.Client().Do(t.Context(), "CLIENT", "KILL", "TYPE", kind)
					}
				}()
				rounds := writeWheneverArmed(t, source, wakes, server, &pause)
				t.Logf("%d writes, each noticed", rounds)
			})
		})
	}
}

// A killPause is how long connections live, at most 60 ms. Where that is too short for a
// busy machine to connect again it doubles until it is not. It is safe for concurrent use.
type killPause struct{ misses atomic.Int32 }

// next returns the next pause.
func (p *killPause) next() time.Duration {
	return rand.N(60 * time.Millisecond << min(p.misses.Add(1)/10, 6))
}

// armed notes that the connections lived long enough.
func (p *killPause) armed() { p.misses.Store(0) }

// writeWheneverArmed does so for two seconds, and until it has done so some times.
func writeWheneverArmed(t *testing.T, source backlog.Source, wakes <-chan backlog.Wake, server *redistest.Server, pause *killPause) (rounds int) {
	t.Helper()
	const least, enough = 2 * time.Second, 3
	writer := server.NewClient(func(*goredis.Options) {})
	var written int64
	for begin := time.Now(); time.Since(begin) < least || rounds < enough; {
		if time.Since(begin) > patience {
			t.Fatalf("it was armed %d times in %s", rounds, patience)
		}
		r := backlogtest.Read(t, source, list("jobs"))[0]
		// A wake-up of before would hide that the next one is missing.
		select {
		case <-wakes:
			continue
		case <-time.After(2 * time.Millisecond):
		}
		if r.Err != nil || !r.Armed {
			continue
		}
		pause.armed()
		if r.Reading.Ready != written {
			t.Fatalf("%d written read as %+v", written, r)
		}
		// A connection of the test may be killed as well, before or after the write.
		_ = writer.LPush(t.Context(), "jobs", "a").Err()
		written = length(t, server)
		if written == r.Reading.Ready {
			continue
		}
		select {
		case <-wakes:
			rounds++
		case <-time.After(patience):
			t.Fatalf("write %d woke no query; %+v", written, source.Status())
		}
	}
	return rounds
}

// length returns how long the list is, on as many connections as it takes: they may be
// killed as well.
func length(t *testing.T, server *redistest.Server) (n int64) {
	t.Helper()
	redistest.Eventually(t, "there is an answer", func() bool {
		client := server.NewClient(func(o *goredis.Options) { o.MaxRetries = 5 })
		defer func() { _ = client.Close() }()
		var err error
		n, err = client.LLen(t.Context(), "jobs").Result()
		return err == nil
	})
	return n
}
