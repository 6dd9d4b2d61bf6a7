package native

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/resp"
)

func TestUndelivered(t *testing.T) {
	t.Parallel()
	id := func(n uint64) streamID { return streamID{ms: n} }
	type answer struct {
		N       int64
		Quality backlog.Quality
		OK      bool
	}
	for name, c := range map[string]struct {
		facts groupFacts
		want  answer
	}{
		"empty stream": {
			groupFacts{lag: backlog.Exactly(3), lagTrust: resp.LagTooHigh},
			answer{0, backlog.Exact, true},
		},
		"lag of a server that is right": {
			groupFacts{length: 9, lag: backlog.Exactly(4), lagTrust: resp.LagExact},
			answer{4, backlog.Exact, true},
		},
		"lag above the length": {
			groupFacts{length: 3, lag: backlog.Exactly(1 << 62), lagTrust: resp.LagExact},
			answer{3, backlog.Exact, true},
		},
		"lag that may be too high": {
			groupFacts{length: 9, lag: backlog.Exactly(4), lagTrust: resp.LagTooHigh},
			answer{},
		},
		"null lag": {
			groupFacts{length: 9, lagTrust: resp.LagExact},
			answer{},
		},
		"served to the last entry, lag stuck above zero": {
			groupFacts{length: 5, lag: backlog.Exactly(3), lagTrust: resp.LagTooHigh, edges: true, first: id(5), last: id(9), lastDelivered: id(9)},
			answer{0, backlog.Exact, true},
		},
		"served past the last entry, which was deleted": {
			groupFacts{length: 5, edges: true, first: id(5), last: id(8), lastDelivered: id(9)},
			answer{0, backlog.Exact, true},
		},
		"nothing served": {
			groupFacts{length: 5, edges: true, first: id(5), last: id(9), lastDelivered: id(4)},
			answer{5, backlog.Exact, true},
		},
		"in the middle, null lag, no counters": {
			groupFacts{length: 5, edges: true, first: id(5), last: id(9), lastDelivered: id(6)},
			answer{4, backlog.UpperBound, true},
		},
		"in the middle, null lag, counters": {
			groupFacts{length: 5, edges: true, first: id(5), last: id(9), lastDelivered: id(6), entriesAdded: backlog.Exactly(20), entriesRead: backlog.Exactly(18)},
			answer{2, backlog.UpperBound, true},
		},
		"in the middle, counters that contradict the ends": {
			groupFacts{length: 5, edges: true, first: id(5), last: id(9), lastDelivered: id(6), entriesAdded: backlog.Exactly(20), entriesRead: backlog.Exactly(30)},
			answer{1, backlog.UpperBound, true},
		},
		"in the middle of two": {
			groupFacts{length: 2, edges: true, first: id(5), last: id(9), lastDelivered: id(6)},
			answer{1, backlog.Exact, true},
		},
		"in the middle, lag that may be too high": {
			groupFacts{length: 5, lag: backlog.Exactly(2), lagTrust: resp.LagTooHigh, edges: true, first: id(5), last: id(9), lastDelivered: id(6)},
			answer{2, backlog.UpperBound, true},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n, quality, ok := c.facts.undelivered()
			if diff := cmp.Diff(c.want, answer{n, quality, ok}); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestUndeliveredProperties: for every stream and every way to lie about the lag that
// is known of servers (null, or too high), the answer is never below the truth, never
// zero while something waits and never above the length; and what is called exact is.
func TestUndeliveredProperties(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		kept := rapid.SliceOfNDistinct(rapid.Uint64Range(1, 30), 0, 20, rapid.ID[uint64]).Draw(t, "ids in the stream")
		served := rapid.Uint64Range(0, 31).Draw(t, "last delivered")
		facts := groupFacts{length: int64(len(kept)), lastDelivered: streamID{ms: served}, lagTrust: resp.LagTooHigh, edges: true}
		var truth int64
		for i, id := range kept {
			if id > served {
				truth++
			}
			if e := (streamID{ms: id}); i == 0 || e.compare(facts.first) < 0 {
				facts.first = e
			}
			if e := (streamID{ms: id}); e.compare(facts.last) > 0 {
				facts.last = e
			}
		}
		switch rapid.SampledFrom([]string{"null", "too high", "exact", "counters"}).Draw(t, "lag") {
		case "too high":
			facts.lag = backlog.Exactly(truth + rapid.Int64Range(0, 9).Draw(t, "too much"))
		case "exact":
			facts.lag, facts.lagTrust = backlog.Exactly(truth), resp.LagExact
		case "counters":
			facts.entriesAdded = backlog.Exactly(100)
			facts.entriesRead = backlog.Exactly(100 - truth - rapid.Int64Range(0, 9).Draw(t, "deleted unread"))
		}
		n, quality, ok := facts.undelivered()
		switch {
		case !ok:
			t.Fatal("no answer although the ends are known")
		case n < truth, truth == 0 && n > 0 && quality == backlog.Exact, n > facts.length:
			t.Fatalf("%d for %d of %d", n, truth, facts.length)
		case quality == backlog.Exact && n != truth:
			t.Fatalf("exactly %d for %d", n, truth)
		}
	})
}

func FuzzParseStreamID(f *testing.F) {
	for _, seed := range []string{"0-0", "1700000000000-3", "", "-", "1", "1-", "-1", "18446744073709551616-0"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		id, err := parseStreamID(s)
		if err == nil && id.ms == 0 && id.seq == 0 && len(s) < 3 {
			t.Errorf("%q is no id", s)
		}
	})
}

func TestAddedEntries(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name  string
		facts groupFacts
		want  backlog.Count
	}{
		{"the stream says it", groupFacts{entriesAdded: backlog.Exactly(9), entriesRead: backlog.Exactly(5), lag: backlog.Exactly(3)}, backlog.Exactly(9)},
		{"what was served and what is left", groupFacts{entriesRead: backlog.Exactly(5), lag: backlog.Exactly(3)}, backlog.Exactly(8)},
		{"no lag", groupFacts{entriesRead: backlog.Exactly(5)}, backlog.Count{}},
		{"what was served is unknown", groupFacts{lag: backlog.Exactly(3)}, backlog.Count{}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			if got := tc.facts.added(); got != tc.want {
				t.Errorf("got %+v, want %+v", got, tc.want)
			}
		})
	}
}
