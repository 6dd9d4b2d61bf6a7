package keyscan

import (
	"errors"
	"strconv"
	"testing"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/layout"
)

// TestQuerySearch: a layout is given what a search found, and why that may not be all.
func TestQuerySearch(t *testing.T) {
	t.Parallel()
	now := time.Now()
	pattern := layout.Search{Type: "list", Pattern: "working:*"}
	for name, c := range map[string]struct {
		change  func(*Scanner)
		keys    int
		more    bool
		problem error
	}{
		"not searched": {change: func(*Scanner) {}, problem: ErrNotSearched},
		"searched":     {change: func(s *Scanner) { s.store(pattern, []string{"working:1"}, false, nil) }, keys: 1},
		"too many keys": {
			change: func(s *Scanner) { s.store(pattern, []string{"working:1"}, true, nil) }, keys: 1, more: true,
		},
		"refused": {change: func(s *Scanner) { s.store(pattern, nil, false, backlog.ErrDenied) }, problem: backlog.ErrDenied},
		"too many searches": {change: func(s *Scanner) {
			clear(s.searches)
			for i := range maxSearches {
				s.Find(layout.Search{Type: "list", Pattern: strconv.Itoa(i)}, backlog.Query{}, now)
			}
		}, problem: layout.ErrTooManySearches},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			scanner := New(nil, ignore{})
			k := QuerySearch{scanner: scanner, query: backlog.Query{Layout: "sidekiq", Queue: "mail"}}
			k.Begin(pattern)
			c.change(scanner)
			found := k.Find(pattern, now)
			if len(found.Keys) != c.keys || found.More != c.more || !errors.Is(found.Problem, c.problem) {
				t.Errorf("%+v", found)
			}
		})
	}
}

// TestQuerySearchSince: an attempt that is asked for is due at once, whatever the pause.
func TestQuerySearchSince(t *testing.T) {
	t.Parallel()
	scanner := New(nil, ignore{})
	k := QuerySearch{scanner: scanner}
	pattern := layout.Search{Type: "list", Pattern: "working:*"}
	k.Begin(pattern)
	now := time.Now()
	for _, due := range scanner.due(now) {
		scanner.store(due, nil, false, nil)
	}
	if n := len(scanner.due(now.Add(time.Second))); n != 0 {
		t.Fatalf("%d searches are wanted after a second", n)
	}
	k.SearchSince(pattern, now.Add(time.Second))
	if n := len(scanner.due(now.Add(time.Second))); n != 1 {
		t.Errorf("%d searches are wanted, want the one that was asked for", n)
	}
}
