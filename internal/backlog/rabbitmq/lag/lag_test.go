package lag

import (
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/rabbitmq/dialer"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/rabbitmq/stream"
)

// TestLag has places of consumers in a stream whose messages are 40 to 49 and 52 to 99, with two stored
// offsets between them.
func TestLag(t *testing.T) {
	t.Parallel()
	seen := extent{first: 40, last: 99, whole: true, known: spans{{40, 49, true}, {50, 51, false}, {52, 99, true}}}
	unseen := extent{first: 40, last: 99, whole: true, known: spans{{90, 99, true}}}
	growing := extent{first: 40, last: 99}
	empty := extent{last: stream.None, whole: true}
	for name, c := range map[string]struct {
		extent  extent
		place   place
		missing string
		want    int64
		quality backlog.Quality
	}{
		"done":                     {seen, place{99, true}, MissingFirst, 0, backlog.Exact},
		"done, stored beyond":      {seen, place{104, true}, MissingFirst, 0, backlog.Exact},
		"last chunk":               {seen, place{89, true}, MissingFirst, 10, backlog.Exact},
		"with a gap":               {seen, place{44, true}, MissingFirst, 53, backlog.Exact},
		"in the gap":               {seen, place{50, true}, MissingFirst, 48, backlog.Exact},
		"below retention":          {seen, place{10, true}, MissingFirst, 58, backlog.Exact},
		"nothing stored":           {seen, place{}, MissingFirst, 58, backlog.Exact},
		"nothing stored, next":     {seen, place{}, MissingNext, 0, backlog.Exact},
		"unseen gap":               {unseen, place{44, true}, MissingFirst, 55, backlog.UpperBound},
		"unseen, last chunk":       {unseen, place{94, true}, MissingFirst, 5, backlog.Exact},
		"more than is known":       {growing, place{44, true}, MissingFirst, 55, backlog.LowerBound},
		"empty":                    {empty, place{}, MissingFirst, 0, backlog.Exact},
		"empty, stored":            {empty, place{7, true}, MissingFirst, 0, backlog.Exact},
		"offsets without messages": {extent{first: 3, last: 2, whole: true}, place{1, true}, MissingFirst, 0, backlog.Exact},
	} {
		if n, quality := c.extent.lag(c.place, c.missing); n != c.want || quality != c.quality {
			t.Errorf("%s: got %d (%s), want %d (%s)", name, n, quality, c.want, c.quality)
		}
	}
}

// TestSpansCount: what is counted lies between what is certain and all offsets, and is exact if each
// offset is known.
func TestSpansCount(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		var all spans
		var offsets []*bool
		for range rapid.IntRange(0, 100).Draw(t, "spans") {
			for range rapid.IntRange(0, 3).Draw(t, "unknown") {
				offsets = append(offsets, nil)
			}
			n, messages := rapid.IntRange(0, 5).Draw(t, "length"), rapid.Bool().Draw(t, "messages")
			all = all.add(span{int64(len(offsets)), int64(len(offsets) + n - 1), messages})
			for range n {
				offsets = append(offsets, &messages)
			}
		}
		if len(all) > maxSpans {
			t.Fatalf("%d spans are remembered, want at most %d", len(all), maxSpans)
		}
		first := rapid.IntRange(0, len(offsets)).Draw(t, "first")
		last := rapid.IntRange(-1, len(offsets)-1).Draw(t, "last")
		var least, most int64
		for i := first; i <= last; i++ {
			most++
			if offsets[i] != nil && *offsets[i] {
				least++
			}
		}
		n, exact := all.count(int64(first), int64(last))
		if n < least || n > most || exact && n != least {
			t.Fatalf("%d to %d: %d messages (exact: %t), want %d to %d", first, last, n, exact, least, most)
		}
	})
}

// TestExtent follows a stream from read to read.
func TestExtent(t *testing.T) {
	t.Parallel()
	start := time.Now()
	at := func(seconds int) time.Time { return start.Add(time.Duration(seconds) * time.Second) }
	stats := func(first, committed, last int64) *stream.StatsQuery {
		return &stream.StatsQuery{Code: stream.OK, First: first, Committed: committed, Last: last}
	}
	chunk := func(committed, first, records int64) *tail {
		return &tail{committed: committed, chunk: stream.Chunk{First: first, Records: records}}
	}
	h := &history{committed: stream.None}
	read := func(s *stream.StatsQuery, found *tail, seconds, led int) (extent, error) {
		return h.extent(s, found, at(seconds), at(led))
	}
	wants := func(want extent, got extent, err error) {
		t.Helper()
		if diff := cmp.Diff(want, got, cmp.AllowUnexported(extent{}, span{})); err != nil || diff != "" {
			t.Errorf("%v, %s", err, diff)
		}
	}
	fails := func(_ extent, err error) {
		t.Helper()
		if !errors.Is(err, backlog.ErrUnavailable) {
			t.Errorf("got %v, want ErrUnavailable", err)
		}
	}
	e, err := read(stats(stream.None, stream.None, stream.None), nil, 0, 0)
	wants(extent{last: stream.None, whole: true}, e, err)
	// A stored offset comes first.
	e, err = read(stats(0, 0, 0), &tail{committed: 0, none: true}, 1, 1)
	wants(extent{first: 0, last: -1, whole: true}, e, err)
	// Two messages, then a stored offset.
	known := spans{{1, 2, true}, {3, 3, false}}
	e, err = read(stats(0, 3, 3), chunk(3, 1, 2), 2, 2)
	wants(extent{last: 2, whole: true, known: known}, e, err)
	// Nothing changes, and nothing is asked.
	if wanted, _ := h.needs(stats(0, 3, 3), 2); wanted {
		t.Error("the last chunk is asked for again")
	}
	e, err = read(stats(0, 3, 3), nil, 3, 3)
	wants(extent{last: 2, whole: true, known: known}, e, err)
	// Far ahead of the consumer the last chunk is not asked for while it changes, and then it is.
	if wanted, needed := h.needs(stats(0, 90_000, 90_000), 2); wanted || needed {
		t.Error("a chunk is asked for that decides nothing")
	}
	e, err = read(stats(0, 90_000, 90_000), nil, 4, 4)
	wants(extent{last: 90_000, known: known}, e, err)
	if wanted, needed := h.needs(stats(0, 90_000, 90_000), 2); !wanted || needed {
		t.Error("the last chunk of a stream at rest is not asked for")
	}
	if _, needed := h.needs(stats(0, 90_000, 90_000), 89_000); !needed {
		t.Error("a chunk is not needed that decides")
	}
	// A new leader does not know what a majority has.
	fails(read(stats(0, stream.None, 90_000), nil, 5, 5))
	// It looks shorter, which is believed after a while, of a node that is known to lead since.
	fails(read(stats(0, 5, 5), chunk(5, 5, 1), 6, 6))
	fails(read(stats(0, 5, 5), nil, 20, 5))
	e, err = read(stats(0, 5, 5), chunk(5, 5, 1), 21, 21)
	wants(extent{last: 5, whole: true, known: spans{{5, 5, true}}}, e, err)
	if h.life != 1 {
		t.Errorf("the life is %d, want 1", h.life)
	}
	h.forget()
	e, err = read(stats(stream.None, stream.None, stream.None), nil, 22, 22)
	wants(extent{last: stream.None, whole: true}, e, err)
}

// TestBelieves: an offset beyond the end is verified: a member that is behind lacks what the leader has.
func TestBelieves(t *testing.T) {
	t.Parallel()
	h := &history{committed: 9}
	e, start := extent{last: 9, whole: true}, time.Now()
	for i, c := range []struct {
		consumer  string
		stored    int64
		at, since time.Duration
		want      bool
	}{
		{"a", 9, 0, 0, true},
		{"a", 12, time.Second, time.Second, false},
		{"b", 3, 2 * time.Second, 2 * time.Second, true},
		{"a", 12, 20 * time.Second, 0, false},
		{"a", 12, 21 * time.Second, 21 * time.Second, true},
		{"a", 9, 22 * time.Second, 22 * time.Second, true},
		{"a", 12, 23 * time.Second, 23 * time.Second, false},
	} {
		if got := h.believes(c.consumer, e, place{c.stored, true}, start.Add(c.at), start.Add(c.since)); got != c.want {
			t.Errorf("step %d: got %t", i, got)
		}
	}
}

// TestChunkBudget: what is received is bounded over time.
func TestChunkBudget(t *testing.T) {
	t.Parallel()
	var b chunkBudget
	start := time.Now()
	large := &tail{chunk: stream.Chunk{Bytes: 16 << 20}}
	taken := func(at time.Time) (n int) {
		for b.take(large, at) {
			n++
		}
		return n
	}
	if n := taken(start); n != chunkBurst/(16<<20) {
		t.Errorf("%d chunks at once", n)
	}
	if n := taken(start.Add(time.Second)); n != chunkRate/(16<<20) {
		t.Errorf("%d chunks after a second", n)
	}
	if n := taken(start.Add(time.Hour)); n != chunkBurst/(16<<20) {
		t.Errorf("%d chunks after an hour", n)
	}
}

// TestStreamNodesAreBounded: a server that names ever more nodes as leaders is not followed.
func TestStreamNodesAreBounded(t *testing.T) {
	t.Parallel()
	var tasks sync.WaitGroup
	nodes := newNodes(t.Context(), &dialer.Config{}, nil, &tasks)
	for i := range maxNodes {
		nodes.nodes[stream.Endpoint{Host: "node", Port: uint32(i + 1)}] = &node{}
	}
	if _, err := nodes.at(t.Context(), stream.Endpoint{Host: "another", Port: 5552}); !errors.Is(err, backlog.ErrExhausted) {
		t.Errorf("got %v, want ErrExhausted", err)
	}
	tasks.Wait()
}
