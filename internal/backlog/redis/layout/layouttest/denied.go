package layouttest

import (
	"errors"
	"testing"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/backlogtest"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/redistest"
)

// A DeniedCase is a queue that is read without the rights of job frameworks.
type DeniedCase struct {
	// Add is the command that adds one job; each word is an argument.
	Add string
	// Denied is a query that needs those rights, and Allowed are some that ask for counts alone.
	Denied  backlog.Query
	Allowed []backlog.Query
}

// CheckDenied checks that without the rights of job frameworks there is no reading of what needs
// them, and one of the rest.
func CheckDenied(t *testing.T, c DeniedCase) {
	t.Helper()
	server := redistest.Start(t)
	source := OpenServer(t, server, User(redistest.Version{Name: "redis-7"}, server, "%R~*", redis.ACLRules))
	server.Do(Words(c.Add)...)
	if r := backlogtest.Read(t, source, c.Denied)[0]; !errors.Is(r.Err, backlog.ErrDenied) {
		t.Errorf("%s: %+v, want ErrDenied", c.Denied.Layout, r)
	}
	for _, q := range c.Allowed {
		if r := backlogtest.MustRead(t, source, q); r.Ready != 1 {
			t.Errorf("%s asks for counts alone: %+v, want 1 ready", q.Layout, r)
		}
	}
}
