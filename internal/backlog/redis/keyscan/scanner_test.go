package keyscan

import (
	"errors"
	"strconv"
	"testing"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/layout"
)

// ignore wakes nothing.
type ignore struct{}

func (ignore) Wake([]backlog.Query) {}

// TestSearchesAreBounded: what is beyond the limit is an error and not nothing, and a
// search that no query asks for any more makes room.
func TestSearchesAreBounded(t *testing.T) {
	t.Parallel()
	s := New(nil, ignore{})
	now := time.Now()
	for i := range maxSearches {
		if err := s.Find(layout.Search{Type: "list", Pattern: strconv.Itoa(i)}, backlog.Query{}, now).Err; err != nil {
			t.Fatalf("search %d: %v", i, err)
		}
	}
	if err := s.Find(layout.Search{Type: "list", Pattern: "more"}, backlog.Query{}, now).Problem(now); !errors.Is(err, backlog.ErrExhausted) {
		t.Errorf("one more: %v", err)
	}
	if err := s.Find(layout.Search{Type: "list", Pattern: "0"}, backlog.Query{}, now).Err; err != nil {
		t.Errorf("one that is known: %v", err)
	}
	later := now.Add(2 * queryLife)
	if n := len(s.due(later)); n != 0 {
		t.Errorf("%d searches that no query asks for", n)
	}
	if err := s.Find(layout.Search{Type: "list", Pattern: "more"}, backlog.Query{}, later).Err; err != nil {
		t.Errorf("after the others were forgotten: %v", err)
	}
}

// TestSearchesOfANamespaceAreBounded: the triggers of one namespace, and hints, leave room
// for the searches of others.
func TestSearchesOfANamespaceAreBounded(t *testing.T) {
	t.Parallel()
	s := New(nil, ignore{})
	now := time.Now()
	refused := 0
	for i := range maxSearches {
		if s.Find(layout.Search{Type: "list", Pattern: "shop" + strconv.Itoa(i)}, backlog.Query{Namespace: "shop"}, now).Err != nil {
			refused++
		}
		s.hint(layout.Search{Type: "list", Pattern: "hint" + strconv.Itoa(i)}, backlog.Query{}, now)
	}
	if refused != maxSearches*3/4 || len(s.searches) > maxSearches/2+1 {
		t.Errorf("%d searches of a namespace were refused, and there are %d", refused, len(s.searches))
	}
	if err := s.Find(layout.Search{Type: "list", Pattern: "bank"}, backlog.Query{Namespace: "bank"}, now).Err; err != nil {
		t.Errorf("another namespace: %v", err)
	}
}

// TestResultsGrowStale: what was found stands in for a while when searching fails, and
// then it is an error: queues that came meanwhile would be taken for none.
func TestResultsGrowStale(t *testing.T) {
	t.Parallel()
	s := New(nil, ignore{})
	wanted, q := layout.Search{Type: "list", Pattern: "tenant-*"}, backlog.Query{Layout: "list", Queue: "tenant-*"}
	now := time.Now()
	if err := s.Find(wanted, q, now).Problem(now); !errors.Is(err, backlog.ErrUnavailable) {
		t.Errorf("before the first search: %v", err)
	}
	s.store(wanted, []string{}, false, nil)
	if err := s.Find(wanted, q, now).Problem(now); err != nil {
		t.Errorf("after a search that found nothing: %v", err)
	}
	for range 2 {
		s.store(wanted, nil, false, backlog.ErrDenied)
	}
	if err := s.Find(wanted, q, now).Problem(now.Add(staleAfter / 2)); err != nil {
		t.Errorf("while it is fresh: %v", err)
	}
	if err := s.Find(wanted, q, now).Problem(now.Add(2 * staleAfter)); !errors.Is(err, backlog.ErrDenied) {
		t.Errorf("when it is stale: %v, want why searching fails", err)
	}
	s.store(wanted, []string{}, false, nil)
	if err := s.Find(wanted, q, now).Problem(now.Add(2 * staleAfter)); err != nil {
		t.Errorf("after it went well again: %v", err)
	}
}
