package redis_test

import (
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/backlogtest"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/redistest"
)

// TestWrongPrefixOfALibrary: at a wrong prefix the hint has the one that the library uses.
func TestWrongPrefixOfALibrary(t *testing.T) {
	t.Parallel()
	hints := func(t *testing.T, server *redistest.Server, q backlog.Query, prefix string) {
		t.Helper()
		source := openServer(t, server, nil)
		want := "a queue of this name exists with the prefix " + strconv.Quote(prefix)
		redistest.Eventually(t, "the hint is "+want, func() bool {
			r := backlogtest.MustRead(t, source, q)
			return r.Missing && r.Hint == want && !strings.Contains(r.Warning, prefix)
		})
	}
	for _, module := range slices.Concat(bullmqVersions(), bullVersions()) {
		t.Run(module, func(t *testing.T) {
			t.Parallel()
			b := startBullMQ(t, module)
			b.add("emails", "done", nil)
			hints(t, b.server, layoutQuery("bullmq", "emails"), b.prefix)
		})
	}
	t.Run("beequeue", func(t *testing.T) {
		t.Parallel()
		b := startBeequeue(t)
		b.add("emails", "done", nil)
		hints(t, b.server, layoutQuery("beequeue", "emails", "prefix", "shop"), "bq")
	})
	for _, name := range laravelVersions() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := startLaravel(t, name)
			l.do(nil, "push", "mail", "SleepJob")
			hints(t, l.server, layoutQuery("laravel", "mail", "prefix", "laravel_database_"), laravelPrefix)
		})
	}
}
