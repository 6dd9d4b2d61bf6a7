package laravel_test

import (
	"testing"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/backlogtest"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/layout/layouttest"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/redistest"
)

// TestLaravelHashTag: jobs of a queue whose name Laravel 13 puts in braces are counted,
// with a warning, until there is a job under the plain name.
func TestLaravelHashTag(t *testing.T) {
	t.Parallel()
	q := layouttest.Query("laravel", "mail", "prefix", "shop_")
	for name, e := range map[string]layouttest.Edition{
		"waiting": {
			Query: q, Warning: `the jobs are at "shop_queues:{mail}"`,
			Keys: [][]any{{"RPUSH", "shop_queues:{mail}", "a", "b"}, {"ZADD", "shop_queues:{mail}:delayed", 1, "c"}},
			Want: layouttest.Figures{Ready: 2, Due: 1, InFlight: backlog.Exactly(0), Quality: backlog.LowerBound},
		},
		"both": {
			Query: q,
			Keys:  [][]any{{"RPUSH", "shop_queues:{mail}", "a", "b"}, {"RPUSH", "shop_queues:mail", "c"}},
			Want:  layouttest.Figures{Ready: 1, InFlight: backlog.Exactly(0)},
		},
		"neither": {
			Query: q, Warning: "there was no job", Missing: true,
			Want: layouttest.Figures{InFlight: backlog.Exactly(0)},
		},
		"named with its braces": {
			Query: layouttest.Query("laravel", "{mail}", "prefix", "shop_"),
			Keys:  [][]any{{"RPUSH", "shop_queues:{mail}", "a", "b"}},
			Want:  layouttest.Figures{Ready: 2, InFlight: backlog.Exactly(0)},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e.Read(t)
		})
	}
	t.Run("without the right", func(t *testing.T) {
		t.Parallel()
		server := redistest.Start(t)
		server.Do("RPUSH", "shop_queues:{mail}", "a")
		more := layouttest.User(redistest.Version{}, server, "%R~shop_queues:mail*", redis.ACLRules)
		r := backlogtest.MustRead(t, layouttest.OpenServer(t, server, more), q)
		if !r.Missing || r.Warning == "" {
			t.Errorf("%+v, want the reading of a queue that is not there", r)
		}
	})
}
