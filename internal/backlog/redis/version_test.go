package redis_test

import (
	"strings"
	"testing"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/backlogtest"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/layout/layouttest"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/redistest"
)

// TestScoresOnEveryVersion: members of sorted sets are read by their scores on every
// version, also on Redis 6.0, whose ZRANGE knows no scores.
func TestScoresOnEveryVersion(t *testing.T) {
	t.Parallel()
	layouttest.EachServer(t, func(t *testing.T, _ redistest.Version, server *redistest.Server) {
		t.Helper()
		past, future := time.Now().Add(-time.Minute).Unix(), time.Now().Add(time.Hour).Unix()
		source := layouttest.OpenServer(t, server, nil)
		for _, set := range []string{"s", "schedule"} {
			server.Do("ZADD", set, past, `{"queue":"a"}`, future, `{"queue":"b"}`)
		}
		r := backlogtest.MustRead(t, source, layouttest.Query("sortedSet", "s"))
		if r.Ready != 1 || r.NextDue.Unix() != future || r.Oldest.Since.Unix() != past || r.Quality != backlog.Exact {
			t.Errorf("the sorted set reads as %+v", r)
		}
		r = backlogtest.MustRead(t, source, layouttest.Query("sidekiq", "a,b"))
		if r.Due != 1 || r.NextDue.Unix() != future {
			t.Errorf("scheduled jobs read as %+v", r)
		}
	})
}

// TestCommandOfLaterVersion: what a version cannot do is named with the version that is
// needed, and the reading is a bound.
func TestCommandOfLaterVersion(t *testing.T) {
	t.Parallel()
	layouttest.EachServer(t, func(t *testing.T, v redistest.Version, server *redistest.Server) {
		t.Helper()
		server.Do("HSET", "dramatiq:mail.DQ.msgs", "1", `{"options":{"eta":32503680000000}}`)
		server.Do("RPUSH", "dramatiq:mail.DQ", "1")
		server.Do("HSET", "unacked", "tag", `[{},"","other"]`)
		source := layouttest.OpenServer(t, server, nil)
		for layout, want := range map[string]int64{"dramatiq": 1, "celery": 1} {
			r := backlogtest.MustRead(t, source, layouttest.Query(layout, "mail"))
			said := strings.HasPrefix(r.Warning, "Redis 6.0.") && strings.Contains(r.Warning, ": 6.2 is needed for HRANDFIELD")
			switch {
			case said != v.Before(6, 2):
				t.Errorf("%s: warning %q", layout, r.Warning)
			case said && (r.Quality != backlog.UpperBound || r.Backlog() != want):
				t.Errorf("%s reads as %+v, want %d at most", layout, r, want)
			}
		}
	})
}
