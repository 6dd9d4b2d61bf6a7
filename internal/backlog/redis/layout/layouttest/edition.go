package layouttest

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/backlogtest"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/redistest"
)

// An Edition is a queue whose keys are those of another version, edition or option of a
// framework than the one that the tests drive.
type Edition struct {
	Query   backlog.Query
	Keys    [][]any
	Want    Figures
	Paused  bool
	Missing bool
	Warning string
}

// Read makes the keys on a server of their own and reads the queue.
func (e Edition) Read(t *testing.T) {
	t.Helper()
	server := redistest.Start(t)
	for _, command := range e.Keys {
		server.Do(command...)
	}
	r := backlogtest.MustRead(t, OpenServer(t, server, nil), e.Query)
	if diff := cmp.Diff(e.Want, FiguresOf(r)); diff != "" {
		t.Errorf("(-want +got):\n%s\n%+v", diff, r)
	}
	if r.Paused != e.Paused || r.Missing != e.Missing || !strings.Contains(r.Warning, e.Warning) || e.Warning == "" && r.Warning != "" {
		t.Errorf("%+v, want paused %t, missing %t and the warning %q", r, e.Paused, e.Missing, e.Warning)
	}
}
