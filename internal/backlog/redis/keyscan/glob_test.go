package keyscan

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/layout"
)

// TestGlobMatch: patterns are matched as the server matches them.
func TestGlobMatch(t *testing.T) {
	t.Parallel()
	for pattern, keys := range map[string]map[string]bool{
		"":              {"": true, "a": false},
		"*":             {"": true, "a": true},
		"a*":            {"a": true, "abc": true, "b": false},
		"a*c*e":         {"ace": true, "abcde": true, "abcdee": true, "abced": false},
		"?":             {"a": true, "": false, "ab": false},
		`\*\?\[\]\\`:    {`*?[]\`: true, `ab[]\`: false},
		":[aw][ac]*":    {":active": true, ":wait": true, ":id": false},
		"queue:sq[|_]*": {"queue:sq|a": true, "queue:sq_": true, "queue:sq": false, "queue:sqs": false},
		"[ab":           {"a": true, "b": true, "c": false},
	} {
		for key, want := range keys {
			if got, _ := globMatch(pattern, key); got != want {
				t.Errorf("%q matches %q: %t", pattern, key, got)
			}
		}
	}
}

// TestCostlyPatternIsAnError: what a pattern of a tenant may cost is bounded, and the others
// of the same scan go on.
func TestCostlyPatternIsAnError(t *testing.T) {
	t.Parallel()
	costly := &target{Search: layout.Search{Pattern: "*" + strings.Repeat("a", 500) + "b*c"}}
	cheap := &target{Search: layout.Search{Pattern: "aa*"}}
	s := &scan{targets: []*target{costly, cheap}, cursor: "1"}
	for range 2000 {
		s.take(strings.Repeat("a", 1000))
	}
	if costly.err == nil || costly.steps > 1_000_000 || cheap.err != nil || len(cheap.keys) != 2000 {
		t.Errorf("costly: %v after %d steps, cheap: %v with %d keys", costly.err, costly.steps, cheap.err, len(cheap.keys))
	}
}

// TestResultsAreBoundedInAll: where all searches find more than is kept, those that find
// most are cut, and say so; the others are whole.
func TestResultsAreBoundedInAll(t *testing.T) {
	t.Parallel()
	got := map[string]int{
		"all fit":         level([]int{1, 2, 3}, 6),
		"the largest":     level([]int{1, 2, 30}, 10),
		"two of them":     level([]int{1, 20, 30}, 11),
		"nothing is left": level([]int{5, 5}, 0),
	}
	got["all fit"] = min(got["all fit"], 100)
	if diff := cmp.Diff(map[string]int{"all fit": 100, "the largest": 7, "two of them": 5, "nothing is left": 0}, got); diff != "" {
		t.Error(diff)
	}
	large, small := &target{}, &target{}
	name := strings.Repeat("k", 1<<20)
	for range 100 {
		large.add(name)
	}
	small.add("mine")
	bound([]*target{large, small})
	if !large.more || large.size > maxBytes || small.more || len(small.keys) != 1 {
		t.Errorf("large: %d bytes, more %t; small: %d keys, more %t", large.size, large.more, len(small.keys), small.more)
	}
	s := New(nil, ignore{})
	for i, keys := range [][]string{large.keys, large.keys, small.keys} {
		pattern := layout.Search{Pattern: string(rune('a' + i))}
		s.searches[pattern] = &search{}
		s.store(pattern, keys, false, nil)
	}
	s.trim()
	total := 0
	for _, found := range s.searches {
		total += sizeOf(found.Keys)
	}
	if total > maxBytes || s.searches[layout.Search{Pattern: "c"}].More || !s.searches[layout.Search{Pattern: "a"}].More {
		t.Errorf("%d bytes in all", total)
	}
}
