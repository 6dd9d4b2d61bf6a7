package redis

import (
	"errors"
	"testing"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
)

// TestFindingsGrowStale: what was found stands in for a while when searching fails, and
// then it is an error: queues that came meanwhile would be taken for none.
func TestFindingsGrowStale(t *testing.T) {
	t.Parallel()
	f := newFinder(nil, newWakes())
	wanted, q := search{kind: "list", match: "tenant-*"}, backlog.Query{Layout: "list", Queue: "tenant-*"}
	now := time.Now()
	if err := f.ask(wanted, q, now).problem(now); !errors.Is(err, backlog.ErrUnavailable) {
		t.Errorf("before the first search: %v", err)
	}
	f.settle(wanted, map[string]struct{}{}, false, nil)
	if err := f.ask(wanted, q, now).problem(now); err != nil {
		t.Errorf("after a search that found nothing: %v", err)
	}
	for range 2 {
		f.settle(wanted, nil, false, backlog.ErrDenied)
	}
	if err := f.ask(wanted, q, now).problem(now.Add(findStale / 2)); err != nil {
		t.Errorf("while it is fresh: %v", err)
	}
	if err := f.ask(wanted, q, now).problem(now.Add(2 * findStale)); !errors.Is(err, backlog.ErrDenied) {
		t.Errorf("when it is stale: %v, want why searching fails", err)
	}
	f.settle(wanted, map[string]struct{}{}, false, nil)
	if err := f.ask(wanted, q, now).problem(now.Add(2 * findStale)); err != nil {
		t.Errorf("after it went well again: %v", err)
	}
}
