package redis

import (
	"errors"
	"strconv"
	"testing"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/layout"
)

// TestSearchesAreBounded: what is beyond the limit is an error and not nothing, and a
// search that no query asks for any more makes room.
func TestSearchesAreBounded(t *testing.T) {
	t.Parallel()
	f := newFinder(nil, newWakes())
	now := time.Now()
	for i := range maxSearches {
		if err := f.ask(layout.Search{Type: "list", Pattern: strconv.Itoa(i)}, backlog.Query{}, now).err; err != nil {
			t.Fatalf("search %d: %v", i, err)
		}
	}
	if err := f.ask(layout.Search{Type: "list", Pattern: "more"}, backlog.Query{}, now).problem(now); !errors.Is(err, backlog.ErrExhausted) {
		t.Errorf("one more: %v", err)
	}
	if err := f.ask(layout.Search{Type: "list", Pattern: "0"}, backlog.Query{}, now).err; err != nil {
		t.Errorf("one that is known: %v", err)
	}
	later := now.Add(2 * planLife)
	if n := len(f.wanted(later)); n != 0 {
		t.Errorf("%d searches that no query asks for", n)
	}
	if err := f.ask(layout.Search{Type: "list", Pattern: "more"}, backlog.Query{}, later).err; err != nil {
		t.Errorf("after the others were forgotten: %v", err)
	}
}

// TestSearchesOfANamespaceAreBounded: the triggers of one namespace, and hints, leave room
// for the searches of others.
func TestSearchesOfANamespaceAreBounded(t *testing.T) {
	t.Parallel()
	f := newFinder(nil, newWakes())
	now := time.Now()
	refused := 0
	for i := range maxSearches {
		if f.ask(layout.Search{Type: "list", Pattern: "shop" + strconv.Itoa(i)}, backlog.Query{Namespace: "shop"}, now).err != nil {
			refused++
		}
		f.hint(layout.Search{Type: "list", Pattern: "hint" + strconv.Itoa(i)}, backlog.Query{}, now)
	}
	if refused != maxSearches*3/4 || len(f.searches) > maxSearches/2+1 {
		t.Errorf("%d searches of a namespace were refused, and there are %d", refused, len(f.searches))
	}
	if err := f.ask(layout.Search{Type: "list", Pattern: "bank"}, backlog.Query{Namespace: "bank"}, now).err; err != nil {
		t.Errorf("another namespace: %v", err)
	}
}

// TestFindingsGrowStale: what was found stands in for a while when searching fails, and
// then it is an error: queues that came meanwhile would be taken for none.
func TestFindingsGrowStale(t *testing.T) {
	t.Parallel()
	f := newFinder(nil, newWakes())
	wanted, q := layout.Search{Type: "list", Pattern: "tenant-*"}, backlog.Query{Layout: "list", Queue: "tenant-*"}
	now := time.Now()
	if err := f.ask(wanted, q, now).problem(now); !errors.Is(err, backlog.ErrUnavailable) {
		t.Errorf("before the first search: %v", err)
	}
	f.settle(wanted, []string{}, false, nil)
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
	f.settle(wanted, []string{}, false, nil)
	if err := f.ask(wanted, q, now).problem(now.Add(2 * findStale)); err != nil {
		t.Errorf("after it went well again: %v", err)
	}
}
