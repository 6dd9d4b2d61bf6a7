package redis

import (
	"fmt"
	"strconv"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/layout"
)

// TestPrivateListsAreNamed: a key of a reliable fetch names one queue and one process.
func TestPrivateListsAreNamed(t *testing.T) {
	t.Parallel()
	for key, want := range map[string]string{
		"app:working:queue:mail:pod-1:7:abc":      "pod-1:7:abc",
		"app:working:queue:mail:pod-1:7":          "pod-1:7",
		"app:queue:sq|pod-1:7:abc|mail":           "pod-1:7:abc",
		"app:queue:sq_pod-1:7:abc_mail":           "pod-1:7:abc",
		"app:queue:sq_pod_1:7:abc_mail":           "pod_1:7:abc",
		"working:queue:mail:pod-1:7:abc":          "",
		"app:working:queue:mail:urgent:pod-1:7:a": "",
		"app:working:queue:mail":                  "",
		"app:working:queue:mail:pod-1":            "",
		"app:working:queue:mail:pod-1:7:xyz":      "",
		"app:queue:sq|pod-1:7:abc|my|mail":        "",
		"app:queue:sq_pod-1:7:abc_my_mail":        "",
		"app:queue:sq|pod-1:7:abc_mail":           "",
		"app:queue:sq_mail":                       "",
		"app:queue:sq":                            "",
		"app:queue:mail":                          "",
	} {
		p := newPrivateLists("app:", "mail", querySearch{})
		if identity, is := p.parse(key); identity != want && is || is != (want != "") {
			t.Errorf("%s: %q, %t, want %q", key, identity, is, want)
		}
	}
}

// TestPrivateListsAreDoubted: before the keys were searched, and where they cannot be, a
// reading is not exact; once they were it is.
func TestPrivateListsAreDoubted(t *testing.T) {
	t.Parallel()
	now := time.Now()
	all := []string{"working:queue:mail:pod-1:7:abc"}
	for name, c := range map[string]struct {
		change  func(*finder, []layout.Search)
		quality backlog.Quality
		warning string
		lists   int
	}{
		"not searched": {func(*finder, []layout.Search) {}, backlog.LowerBound, "", 0},
		"searched in part": {func(f *finder, s []layout.Search) {
			f.settle(s[0], all, false, nil)
		}, backlog.LowerBound, "", 1},
		"searched": {func(f *finder, s []layout.Search) {
			f.settle(s[0], all, false, nil)
			f.settle(s[1], nil, false, nil)
		}, backlog.Exact, "", 1},
		"too many keys": {func(f *finder, s []layout.Search) {
			f.settle(s[0], all, true, nil)
			f.settle(s[1], nil, false, nil)
		}, backlog.LowerBound, sidekiqMore, 1},
		"refused": {func(f *finder, s []layout.Search) {
			f.settle(s[0], nil, false, backlog.ErrDenied)
		}, backlog.LowerBound, sidekiqNoScan, 0},
		"too many searches": {func(f *finder, s []layout.Search) {
			clear(f.searches)
			for i := range maxSearches {
				f.ask(layout.Search{Type: "list", Pattern: strconv.Itoa(i)}, backlog.Query{}, now)
			}
		}, backlog.LowerBound, sidekiqNoSearch, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFinder(nil, newWakes())
			p := newPrivateLists("", "mail", querySearch{finder: f, query: backlog.Query{Layout: "sidekiq", Queue: "mail"}})
			c.change(f, p.searches)
			p.look(now)
			var r backlog.Reading
			p.doubt(&r)
			if r.Quality != c.quality || r.Warning != c.warning || len(p.lists) != c.lists {
				t.Errorf("%s, %q, %d lists", r.Quality, r.Warning, len(p.lists))
			}
		})
	}
}

// TestPrivateListsGrowStale: a list may be younger than the last search, so that another
// one is due at once, whatever the pause.
func TestPrivateListsGrowStale(t *testing.T) {
	t.Parallel()
	f := newFinder(nil, newWakes())
	p := newPrivateLists("", "mail", querySearch{finder: f})
	now := time.Now()
	searched := func(at time.Time) {
		for _, s := range f.wanted(at) {
			f.settle(s, nil, false, nil)
		}
		p.look(at)
	}
	searched(now)
	lost := now.Add(time.Second)
	if n := len(f.wanted(lost)); n != 0 {
		t.Fatalf("%d searches are wanted after a second", n)
	}
	if !p.stale(lost) || p.stale(now) {
		t.Errorf("stale after %s: %t, after %s: %t", lost, p.stale(lost), now, p.stale(now))
	}
	searched(lost.Add(time.Second))
	if p.stale(lost) {
		t.Error("stale after a search that began later")
	}
}

// TestSidekiqWorkInFlight: of each process the larger number counts, and what a killed one
// left is added.
func TestSidekiqWorkInFlight(t *testing.T) {
	t.Parallel()
	got := map[string]int64{}
	for name, c := range map[string]struct{ reported, kept map[string]int64 }{
		"reported":           {map[string]int64{"a:1:f": 2, "b:1:f": 1}, nil},
		"kept":               {nil, map[string]int64{"a:1:f": 2, "b:1": 1}},
		"the same nonce":     {map[string]int64{"a:1:f": 1, "a:1:e": 1}, map[string]int64{"a:1:f": 2}},
		"another nonce":      {map[string]int64{"a:1:f": 3}, map[string]int64{"a:1:0": 1, "a:1:1": 1}},
		"another process":    {map[string]int64{"a:1:f": 1}, map[string]int64{"a:2:f": 1, "a:11:f": 1}},
		"idle, and a killed": {map[string]int64{"a:1:f": 0}, map[string]int64{"b:1:f": 3}},
	} {
		got[name] = sidekiqWork{reported: c.reported, kept: c.kept}.inFlight()
	}
	want := map[string]int64{
		"reported": 3, "kept": 3, "the same nonce": 3, "another nonce": 3, "another process": 3, "idle, and a killed": 3,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if got := fmt.Sprint(hostAndPID("a:1"), hostAndPID("a:1:f")); got != "a:1a:1" {
		t.Errorf("hosts and processes are %s", got)
	}
}
