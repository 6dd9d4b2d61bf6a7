package redis_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/backlogtest"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/redistest"
)

// An edition is a queue whose keys are those of another version, edition or option of a
// framework than the one that the tests drive.
type edition struct {
	query   backlog.Query
	keys    [][]any
	want    figures
	paused  bool
	missing bool
	warning string
}

// read makes the keys on a server of their own and reads the queue.
func (e edition) read(t *testing.T) {
	t.Helper()
	server := redistest.Start(t)
	for _, command := range e.keys {
		server.Do(command...)
	}
	r := backlogtest.MustRead(t, openServer(t, server, nil), e.query)
	if diff := cmp.Diff(e.want, figuresOf(r)); diff != "" {
		t.Errorf("(-want +got):\n%s\n%+v", diff, r)
	}
	if r.Paused != e.paused || r.Missing != e.missing || !strings.Contains(r.Warning, e.warning) || e.warning == "" && r.Warning != "" {
		t.Errorf("%+v, want paused %t, missing %t and the warning %q", r, e.paused, e.missing, e.warning)
	}
}
