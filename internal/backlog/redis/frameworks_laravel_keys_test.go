package redis_test

import (
	"testing"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/backlogtest"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/redistest"
)

// TestLaravelHashTag: jobs of a queue whose name Laravel 13 puts in braces are counted,
// with a warning, until there is a job under the plain name.
func TestLaravelHashTag(t *testing.T) {
	t.Parallel()
	q := layoutQuery("laravel", "mail", "prefix", "shop_")
	for name, e := range map[string]edition{
		"waiting": {
			query: q, warning: `the jobs are at "shop_queues:{mail}"`,
			keys: [][]any{{"RPUSH", "shop_queues:{mail}", "a", "b"}, {"ZADD", "shop_queues:{mail}:delayed", 1, "c"}},
			want: figures{Ready: 2, Due: 1, InFlight: backlog.Exactly(0), Quality: backlog.LowerBound},
		},
		"both": {
			query: q,
			keys:  [][]any{{"RPUSH", "shop_queues:{mail}", "a", "b"}, {"RPUSH", "shop_queues:mail", "c"}},
			want:  figures{Ready: 1, InFlight: backlog.Exactly(0)},
		},
		"neither": {
			query: q, warning: "there was no job", missing: true,
			want: figures{InFlight: backlog.Exactly(0)},
		},
		"named with its braces": {
			query: layoutQuery("laravel", "{mail}", "prefix", "shop_"),
			keys:  [][]any{{"RPUSH", "shop_queues:{mail}", "a", "b"}},
			want:  figures{Ready: 2, InFlight: backlog.Exactly(0)},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e.read(t)
		})
	}
	t.Run("without the right", func(t *testing.T) {
		t.Parallel()
		server := redistest.Start(t)
		server.Do("RPUSH", "shop_queues:{mail}", "a")
		more := user(redistest.Version{}, server, "%R~shop_queues:mail*", redis.ACLRules)
		r := backlogtest.MustRead(t, openServer(t, server, more), q)
		if !r.Missing || r.Warning == "" {
			t.Errorf("%+v, want the reading of a queue that is not there", r)
		}
	})
}
