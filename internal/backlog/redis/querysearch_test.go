package redis

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
	s := layout.Search{Type: "list", Pattern: "working:*"}
	for name, c := range map[string]struct {
		change  func(*finder)
		keys    int
		more    bool
		problem error
	}{
		"not searched": {change: func(*finder) {}, problem: errNotSearched},
		"searched":     {change: func(f *finder) { f.settle(s, []string{"working:1"}, false, nil) }, keys: 1},
		"too many keys": {
			change: func(f *finder) { f.settle(s, []string{"working:1"}, true, nil) }, keys: 1, more: true,
		},
		"refused": {change: func(f *finder) { f.settle(s, nil, false, backlog.ErrDenied) }, problem: backlog.ErrDenied},
		"too many searches": {change: func(f *finder) {
			clear(f.searches)
			for i := range maxSearches {
				f.ask(layout.Search{Type: "list", Pattern: strconv.Itoa(i)}, backlog.Query{}, now)
			}
		}, problem: layout.ErrTooManySearches},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFinder(nil, newWakes())
			k := querySearch{finder: f, query: backlog.Query{Layout: "sidekiq", Queue: "mail"}}
			k.Begin(s)
			c.change(f)
			found := k.Find(s, now)
			if len(found.Keys) != c.keys || found.More != c.more || !errors.Is(found.Problem, c.problem) {
				t.Errorf("%+v", found)
			}
		})
	}
}

// TestQuerySearchSince: an attempt that is asked for is due at once, whatever the pause.
func TestQuerySearchSince(t *testing.T) {
	t.Parallel()
	f := newFinder(nil, newWakes())
	k := querySearch{finder: f}
	s := layout.Search{Type: "list", Pattern: "working:*"}
	k.Begin(s)
	now := time.Now()
	for _, due := range f.wanted(now) {
		f.settle(due, nil, false, nil)
	}
	if n := len(f.wanted(now.Add(time.Second))); n != 0 {
		t.Fatalf("%d searches are wanted after a second", n)
	}
	k.SearchSince(s, now.Add(time.Second))
	if n := len(f.wanted(now.Add(time.Second))); n != 1 {
		t.Errorf("%d searches are wanted, want the one that was asked for", n)
	}
}
