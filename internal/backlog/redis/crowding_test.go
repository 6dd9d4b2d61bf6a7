package redis

import (
	"context"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/backlogtest"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/conn"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/redistest"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/resp"
	"github.com/backlog-scaler/backlog-scaler/internal/sampler"
)

// sampleRetrying reads queues of a server as the scaler does, until the test ends.
func sampleRetrying(t *testing.T, server *redistest.Server, retry time.Duration, settings map[string]any) *sampler.Sampler {
	t.Helper()
	engine := Engine()
	engine.Open = func(ctx context.Context, c backlog.Connection, log *slog.Logger) (backlog.Source, error) {
		cfg, err := newConfig(c)
		if err != nil {
			return nil, err
		}
		cfg.UnsupportedRetry = retry
		return openWith(ctx, c.Name, cfg, log)
	}
	settings["addresses"] = []string{server.Addr()}
	s := sampler.New([]backlog.Engine{engine}, sampler.Options{ReadTimeout: time.Minute, Logger: backlogtest.Logger(t)})
	t.Cleanup(s.Close)
	err := s.Apply(t.Context(), []backlog.Connection{{Name: "main", Engine: "redis", Namespaces: []string{"*"}, Settings: backlog.NewSettings(settings)}})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestTrackingTableIsTooSmall: where the tracking table of a server has no room for the
// idle queues, every read evicts another key, whose change is reported, so that it is read.
// That is recognised, and the queues are watched in a way that costs less, until there is
// room.
func TestTrackingTableIsTooSmall(t *testing.T) {
	t.Parallel()
	const (
		queues = 200
		// most is how many commands a second the server may get. Without this there are
		// thousands, and with room for all of them about 20.
		most = 300
	)
	for _, way := range []struct {
		name, events, fallback, reason string
		// rules take rights from the user.
		rules []any
		retry time.Duration
	}{
		{name: "poll", fallback: conn.WakePoll, reason: "raise its tracking-table-max-keys, which is 100", retry: 300 * time.Millisecond},
		{name: "keyspace", events: "KA", fallback: conn.WakeKeyspace, reason: "raise its tracking-table-max-keys, which is 100", retry: 300 * time.Millisecond},
		{name: "CONFIG denied", fallback: conn.WakePoll, reason: "seems to be full", rules: []any{"-config"}, retry: 5 * time.Second},
		{name: "CONFIG and INFO stats denied", fallback: conn.WakePoll, reason: "seems to be full", rules: []any{"-config", "-info", "+info|server"}, retry: 5 * time.Second},
	} {
		for _, v := range redistest.Versions(t) {
			if v.Before(7, 0) && strings.Contains(way.name, "INFO stats") {
				// It has no rights to a part of INFO.
				continue
			}
			t.Run(way.name+"/"+v.Name, func(t *testing.T) {
				t.Parallel()
				server := redistest.Start(t, redistest.WithVersion(v), redistest.WithConfig("tracking-table-max-keys 100"))
				server.Do("CONFIG", "SET", "notify-keyspace-events", way.events)
				rights := []any{"ACL", "SETUSER", "scaler", "reset", "on", ">secret", "~*", "+@all"}
				if !v.Before(6, 2) {
					rights = append(rights, "allchannels")
				}
				server.Do(append(rights, way.rules...)...)
				s := sampleRetrying(t, server, way.retry, map[string]any{"username": "scaler", "password": backlog.NewSecret("secret")})
				var subscriptions []*sampler.Subscription
				for i := range queues {
					sub, err := s.Subscribe(backlog.Interest{Connection: "main", Query: backlog.Query{Layout: "list", Queue: fmt.Sprintf("jobs:%d", i)}})
					if err != nil {
						t.Fatal(err)
					}
					t.Cleanup(sub.Close)
					subscriptions = append(subscriptions, sub)
				}
				redistest.Eventually(t, "the small table is recognised", func() bool {
					status, _ := s.Status("main")
					return status.WakeUp == way.fallback && strings.Contains(status.WakeUpReason, way.reason)
				})
				server.Do("LPUSH", "jobs:7", "a")
				redistest.Eventually(t, "work is noticed", func() bool { return subscriptions[7].Observation().Latest.Ready == 1 })
				server.Do("DEL", "jobs:7")
				redistest.Eventually(t, "its end is noticed", func() bool { return subscriptions[7].Observation().Latest.Ready == 0 })
				if rate := commandRate(t, server, 4*time.Second); rate > most {
					status, _ := s.Status("main")
					t.Errorf("%d idle queues cost %.0f commands a second, want at most %d; %+v", queues, rate, most, status)
				}
				server.Do("CONFIG", "SET", "tracking-table-max-keys", 1000000)
				redistest.Eventually(t, "there is room again", func() bool {
					status, _ := s.Status("main")
					return status.WakeUp == conn.WakeTracking && status.WakeUpReason == ""
				})
				server.Do("LPUSH", "jobs:9", "a")
				redistest.Eventually(t, "work is noticed", func() bool { return subscriptions[9].Observation().Latest.Ready == 1 })
			})
		}
	}
}

// commandRate returns how many commands a second a server runs, those of INFO left out.
func commandRate(t *testing.T, server *redistest.Server, d time.Duration) float64 {
	t.Helper()
	count := func() int64 {
		text, _ := server.Do("INFO", "stats").(string)
		n, err := strconv.ParseInt(resp.InfoField(text, "total_commands_processed"), 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	began, before := time.Now(), count()
	time.Sleep(d) // The server is observed meanwhile.
	return float64(count()-before) / time.Since(began).Seconds()
}
