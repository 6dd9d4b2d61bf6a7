package layouttest

import (
	"strings"
	"testing"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/backlogtest"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/redistest"
)

// StartNamespaces starts a server with queues of Sidekiq and of Resque, which keep the same
// keys, without a namespace and in the namespaces app, shop and foreign.
func StartNamespaces(t *testing.T) *redistest.Server {
	t.Helper()
	server := redistest.Start(t)
	for _, command := range []string{
		"SADD app:queues empty", "SADD shop:queues empty other", "SADD foreign:queues other",
		`RPUSH shop:queue:busy {"class":"Job"}`, "SADD resque:queues mine", "SADD queues mine",
	} {
		server.Do(Words(command)...)
	}
	return server
}

// An ElsewhereCase is a query of a queue of StartNamespaces. Its hint contains Hint and does not
// contain Not.
type ElsewhereCase struct {
	Query     backlog.Query
	Hint, Not string
}

// CheckElsewhere checks that a queue that does not exist is found under another namespace, also
// while it is empty; the warning names no namespace.
func CheckElsewhere(t *testing.T, server *redistest.Server, cases []ElsewhereCase) {
	t.Helper()
	source := OpenServer(t, server, nil)
	for _, c := range cases {
		var r backlog.Reading
		redistest.Eventually(t, c.Query.Queue+" is found", func() bool {
			r = backlogtest.MustRead(t, source, c.Query)
			return strings.Contains(r.Hint, c.Hint)
		})
		if strings.Contains(r.Hint, c.Not) || strings.Contains(r.Warning, "namespace") || strings.Count(r.Hint, "exists with") > 1 {
			t.Errorf("%s %s: hint %q, warning %q", c.Query.Layout, c.Query.Queue, r.Hint, r.Warning)
		}
	}
}
