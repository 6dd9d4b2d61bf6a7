package redis_test

import (
	"math/rand/v2"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/backlogtest"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/redistest"
)

// TestNoWakeIsLost writes to a queue whenever a read says that it is armed, while its
// connections are killed all the time: each write must wake.
func TestNoWakeIsLost(t *testing.T) {
	t.Parallel()
	for name, more := range map[string]map[string]any{"tracking": nil, "keyspace": {"wakeUp": "keyspace"}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			eachVersion(t, func(t *testing.T, _ redistest.Version, server *redistest.Server) {
				t.Helper()
				server.Do("CONFIG", "SET", "notify-keyspace-events", "KA")
				source := openServer(t, server, more)
				wakes := wakesOf(t, source)
				stop, stopped := make(chan struct{}), make(chan struct{})
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
						case <-time.After(rand.N(60 * time.Millisecond)):
						}
						// Which fails if there is none at the moment.
						kind := []string{"pubsub", "normal"}[rand.N(2)]
						server.Client().Do(t.Context(), "CLIENT", "KILL", "TYPE", kind)
					}
				}()
				rounds := writeWheneverArmed(t, source, wakes, server, 2*time.Second)
				t.Logf("%d writes, each noticed", rounds)
				if rounds == 0 {
					t.Error("it was never armed")
				}
			})
		})
	}
}

func writeWheneverArmed(t *testing.T, source backlog.Source, wakes <-chan backlog.Wake, server *redistest.Server, d time.Duration) (rounds int) {
	t.Helper()
	writer := server.NewClient(func(*goredis.Options) {})
	var written int64
	for begin := time.Now(); time.Since(begin) < d; {
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
		if r.Reading.Ready != written {
			t.Fatalf("%d written read as %+v", written, r)
		}
		// A connection of the test may be killed as well, before or after the write.
		_ = writer.LPush(t.Context(), "jobs", "a").Err()
		written = server.NewClient(func(o *goredis.Options) { o.MaxRetries = 5 }).LLen(t.Context(), "jobs").Val()
		if written == r.Reading.Ready {
			continue
		}
		select {
		case <-wakes:
			rounds++
		case <-time.After(10 * time.Second):
			t.Fatalf("write %d woke nobody; %+v", written, source.Status())
		}
	}
	return rounds
}
