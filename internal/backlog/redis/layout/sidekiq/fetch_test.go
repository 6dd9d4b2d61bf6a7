package sidekiq

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/layout"
)

// fakeSearch is a layout.KeySearch that has found what a test says, by the order of the
// searches.
type fakeSearch struct {
	found    [2]layout.Found
	searches []layout.Search
	since    []time.Time
}

func (f *fakeSearch) Begin(s layout.Search) { f.searches = append(f.searches, s) }

func (f *fakeSearch) Find(s layout.Search, _ time.Time) layout.Found {
	for i := range f.searches {
		if f.searches[i] == s {
			return f.found[i]
		}
	}
	return layout.Found{Problem: backlog.ErrUnavailable}
}

func (f *fakeSearch) Hint(s layout.Search, now time.Time) layout.Found { return f.Find(s, now) }

func (f *fakeSearch) SearchSince(_ layout.Search, moment time.Time) {
	f.since = append(f.since, moment)
}

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
		p := newPrivateLists("app:", "mail", &fakeSearch{})
		if identity, is := p.parse(key); identity != want && is || is != (want != "") {
			t.Errorf("%s: %q, %t, want %q", key, identity, is, want)
		}
	}
}

// TestPrivateListsMayBeUnseen: before the keys were searched, and where they cannot be, a
// reading is not exact; once they were it is.
func TestPrivateListsMayBeUnseen(t *testing.T) {
	t.Parallel()
	now := time.Now()
	all := layout.Found{Keys: []string{"working:queue:mail:pod-1:7:abc"}, Revision: 1, Searched: now}
	more := all
	more.More = true
	none := layout.Found{Searched: now}
	failed := func(err error) layout.Found { return layout.Found{Problem: err} }
	for name, c := range map[string]struct {
		found   [2]layout.Found
		quality backlog.Quality
		warning string
		lists   int
	}{
		"not searched":      {[2]layout.Found{failed(backlog.ErrUnavailable), failed(backlog.ErrUnavailable)}, backlog.LowerBound, "", 0},
		"searched in part":  {[2]layout.Found{all, failed(backlog.ErrUnavailable)}, backlog.LowerBound, "", 1},
		"searched":          {[2]layout.Found{all, none}, backlog.Exact, "", 1},
		"too many keys":     {[2]layout.Found{more, none}, backlog.LowerBound, moreLists, 1},
		"refused":           {[2]layout.Found{failed(backlog.ErrDenied), failed(backlog.ErrUnavailable)}, backlog.LowerBound, noScan, 0},
		"too many searches": {[2]layout.Found{failed(fmt.Errorf("%w: %w", backlog.ErrExhausted, layout.ErrTooManySearches)), none}, backlog.LowerBound, noSearch, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPrivateLists("", "mail", &fakeSearch{found: c.found})
			p.update(now)
			var r backlog.Reading
			p.markUnseen(&r)
			if r.Quality != c.quality || r.Warning != c.warning || len(p.lists) != c.lists {
				t.Errorf("%s, %q, %d lists", r.Quality, r.Warning, len(p.lists))
			}
		})
	}
}

// TestPrivateListsGrowStale: a list may be younger than the last search, so that another one
// is asked for.
func TestPrivateListsGrowStale(t *testing.T) {
	t.Parallel()
	now := time.Now()
	lost := now.Add(time.Second)
	keys := &fakeSearch{found: [2]layout.Found{{Searched: now}, {Searched: now}}}
	p := newPrivateLists("", "mail", keys)
	p.update(now)
	if !p.stale(lost) || p.stale(now) {
		t.Errorf("stale after %s: %t, after %s: %t", lost, p.stale(lost), now, p.stale(now))
	}
	if len(keys.since) == 0 || !keys.since[0].Equal(lost) {
		t.Errorf("searches are asked for since %v, want %s", keys.since, lost)
	}
	keys.found[0].Searched, keys.found[1].Searched = lost.Add(time.Second), lost.Add(time.Second)
	p.update(lost.Add(time.Second))
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
		got[name] = processWork{reported: c.reported, kept: c.kept}.inFlight()
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
