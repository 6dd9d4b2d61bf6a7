package redis_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	goredis "github.com/redis/go-redis/v9"
	"pgregory.net/rapid"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/backlogtest"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/layout/layouttest"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/redistest"
)

// TestStreamDecisions has a row for each case in which the lag of a consumer group is
// null or known to be wrong. A command is words; ids are "n-0".
func TestStreamDecisions(t *testing.T) {
	t.Parallel()
	type want struct {
		Ready, InFlight int64
		// UpperBound is what servers may say instead that do not tell the lag.
		UpperBound int64
		Warning    string
	}
	for _, row := range []struct {
		name     string
		commands []string
		params   []string
		want     want
	}{
		{
			name:     "nothing served",
			commands: []string{"XADD s 1-0 a b", "XADD s 2-0 a b", "XGROUP CREATE s g 0"},
			want:     want{Ready: 2},
		},
		{
			name:     "some served",
			commands: []string{"XADD s 1-0 a b", "XADD s 2-0 a b", "XADD s 3-0 a b", "XGROUP CREATE s g 0", "XREADGROUP GROUP g c COUNT 1 STREAMS s >"},
			want:     want{Ready: 2, InFlight: 1},
		},
		{
			name:     "all served",
			commands: []string{"XADD s 1-0 a b", "XGROUP CREATE s g 0", "XREADGROUP GROUP g c STREAMS s >"},
			want:     want{InFlight: 1},
		},
		{
			name:     "group created at the end",
			commands: []string{"XADD s 1-0 a b", "XGROUP CREATE s g $"},
			want:     want{},
		},
		{
			name:     "group created at the end, then more",
			commands: []string{"XADD s 1-0 a b", "XGROUP CREATE s g $", "XADD s 2-0 a b"},
			want:     want{Ready: 1},
		},
		{
			name:     "empty stream",
			commands: []string{"XGROUP CREATE s g $ MKSTREAM"},
			want:     want{},
		},
		{
			name:     "null lag: group created at an id in the middle",
			commands: []string{"XADD s 1-0 a b", "XADD s 2-0 a b", "XADD s 3-0 a b", "XADD s 4-0 a b", "XGROUP CREATE s g 2-0"},
			want:     want{Ready: 2, UpperBound: 3},
		},
		{
			name:     "null lag, counted by scanning",
			commands: []string{"XADD s 1-0 a b", "XADD s 2-0 a b", "XADD s 3-0 a b", "XADD s 4-0 a b", "XGROUP CREATE s g 2-0"},
			params:   []string{"scan", "10"},
			want:     want{Ready: 2},
		},
		{
			name:     "tombstone ahead of the group",
			commands: []string{"XADD s 1-0 a b", "XADD s 2-0 a b", "XADD s 3-0 a b", "XADD s 4-0 a b", "XGROUP CREATE s g 0", "XREADGROUP GROUP g c COUNT 1 STREAMS s >", "XACK s g 1-0", "XDEL s 3-0"},
			want:     want{Ready: 2, UpperBound: 3},
		},
		{
			name:     "tombstone at the end: nothing left",
			commands: []string{"XADD s 1-0 a b", "XADD s 2-0 a b", "XGROUP CREATE s g 0", "XREADGROUP GROUP g c COUNT 1 STREAMS s >", "XACK s g 1-0", "XDEL s 2-0"},
			want:     want{},
		},
		{
			name:     "everything ahead deleted, one added",
			commands: []string{"XADD s 1-0 a b", "XADD s 2-0 a b", "XGROUP CREATE s g 0", "XREADGROUP GROUP g c COUNT 1 STREAMS s >", "XACK s g 1-0", "XDEL s 2-0", "XADD s 3-0 a b"},
			want:     want{Ready: 1, UpperBound: 1},
		},
		{
			name:     "trimmed ahead of the group",
			commands: []string{"XADD s 1-0 a b", "XADD s 2-0 a b", "XADD s 3-0 a b", "XGROUP CREATE s g 0", "XTRIM s MAXLEN 1"},
			want:     want{Ready: 1},
		},
		{
			// redis#13957: the lag stays at 3 for good.
			name: "all read after a deletion and a trim",
			commands: []string{
				"XGROUP CREATE s g $ MKSTREAM", "XADD s 1-0 a b", "XADD s 2-0 a b", "XADD s 3-0 a b", "XADD s 4-0 a b", "XADD s 5-0 a b",
				"XREADGROUP GROUP g c COUNT 1 STREAMS s >", "XDEL s 3-0", "XTRIM s MAXLEN 1", "XREADGROUP GROUP g c STREAMS s >", "XACK s g 1-0 5-0",
			},
			want: want{},
		},
		{
			name:     "the last id was set far ahead",
			commands: []string{"XADD s 1-0 a b", "XGROUP CREATE s g 0", "XREADGROUP GROUP g c STREAMS s >", "XACK s g 1-0", "XSETID s 99-0"},
			want:     want{},
		},
		{
			name:     "the group was set back",
			commands: []string{"XADD s 1-0 a b", "XADD s 2-0 a b", "XGROUP CREATE s g $", "XGROUP SETID s g 0"},
			want:     want{Ready: 2},
		},
		{
			name:     "served entries deleted before they were acknowledged",
			commands: []string{"XADD s 1-0 a b", "XADD s 2-0 a b", "XGROUP CREATE s g 0", "XREADGROUP GROUP g c COUNT 1 STREAMS s >", "XDEL s 1-0"},
			want:     want{Ready: 1, InFlight: 1},
		},
		{
			name:     "another group is no matter",
			commands: []string{"XADD s 1-0 a b", "XGROUP CREATE s g 0", "XGROUP CREATE s other $", "XREADGROUP GROUP g c STREAMS s >", "XACK s g 1-0"},
			want:     want{},
		},
		{
			name:     "no group yet, to be created at the first entry",
			commands: []string{"XADD s 1-0 a b", "XADD s 2-0 a b", "XGROUP CREATE s other $"},
			want:     want{Ready: 2, Warning: "does not exist yet"},
		},
		{
			name:     "no group yet, to be created at the last entry",
			commands: []string{"XADD s 1-0 a b", "XADD s 2-0 a b"},
			params:   []string{"groupStart", "last"},
			want:     want{Warning: "does not exist yet"},
		},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			layouttest.EachServer(t, func(t *testing.T, v redistest.Version, server *redistest.Server) {
				t.Helper()
				for _, c := range row.commands {
					server.Do(layouttest.Words(c)...)
				}
				source := layouttest.OpenServer(t, server, nil)
				// Twice: what is remembered must not change the answer.
				for range 2 {
					r := backlogtest.MustRead(t, source, stream("s", "g", row.params...))
					if r.Missing || !r.InFlight.Known || r.InFlight.N != row.want.InFlight {
						t.Errorf("in flight %+v, want %d; missing %t", r.InFlight, row.want.InFlight, r.Missing)
					}
					exact := r.Ready == row.want.Ready
					bound := r.Quality == backlog.UpperBound && r.Ready > row.want.Ready && (r.Ready <= row.want.UpperBound || v.Before(7, 0) && row.want.Ready > 0)
					if !exact && !bound {
						t.Errorf("ready %d (%s), want %d", r.Ready, r.Quality, row.want.Ready)
					}
					if !strings.Contains(r.Warning, row.want.Warning) {
						t.Errorf("warning %q, want %q in it", r.Warning, row.want.Warning)
					}
				}
			})
		})
	}
}

// TestStreamNeverBelowTheTruth does random things to a stream, reads it after each and
// compares with the entries themselves.
func TestStreamNeverBelowTheTruth(t *testing.T) {
	t.Parallel()
	layouttest.EachServer(t, func(t *testing.T, _ redistest.Version, server *redistest.Server) {
		t.Helper()
		source := layouttest.OpenServer(t, server, nil)
		client := server.Client()
		run := 0
		rapid.Check(t, func(rt *rapid.T) {
			run++
			key := fmt.Sprintf("s%d", run)
			client.Do(t.Context(), "XGROUP", "CREATE", key, "g", "$", "MKSTREAM")
			next := 1
			// Adding comes first; the others need something to work on.
			for range rapid.IntRange(1, 12).Draw(rt, "steps") {
				some := fmt.Sprintf("%d-0", rapid.IntRange(0, next).Draw(rt, "id"))
				n := rapid.IntRange(1, 3).Draw(rt, "n")
				var command []any
				switch rapid.SampledFrom([]string{"add", "add", "read", "read", "read all", "ack", "delete", "delete", "trim", "setid"}).Draw(rt, "what") {
				case "add":
					for range n {
						client.Do(t.Context(), "XADD", key, fmt.Sprintf("%d-0", next), "a", "b")
						next++
					}
				case "read":
					command = []any{"XREADGROUP", "GROUP", "g", "c", "COUNT", n, "STREAMS", key, ">"}
				case "read all":
					command = []any{"XREADGROUP", "GROUP", "g", "c", "STREAMS", key, ">"}
				case "ack":
					command = []any{"XACK", key, "g", some}
				case "delete":
					command = []any{"XDEL", key, some}
				case "trim":
					command = []any{"XTRIM", key, "MAXLEN", n}
				case "setid":
					command = []any{"XGROUP", "SETID", key, "g", some}
				}
				if command != nil {
					client.Do(t.Context(), command...)
				}
				compareWithTruth(t, rt, source, server, key)
			}
		})
	})
}

func compareWithTruth(t *testing.T, rt *rapid.T, source backlog.Source, server *redistest.Server, key string) {
	t.Helper()
	pipe := server.Client().Pipeline()
	info := pipe.XInfoGroups(t.Context(), key)
	size := pipe.XLen(t.Context(), key)
	if _, err := pipe.Exec(t.Context()); err != nil {
		rt.Fatal(err)
	}
	groups, length := info.Val(), size.Val()
	left, err := server.Client().XRange(t.Context(), key, groups[0].LastDeliveredID, "+").Result()
	if err != nil {
		rt.Fatal(err)
	}
	left = slices.DeleteFunc(left, func(entry goredis.XMessage) bool { return entry.ID == groups[0].LastDeliveredID })
	truth := int64(len(left))
	results := backlogtest.Read(t, source, stream(key, "g"), stream(key, "g", "scan", "1000"))
	r, scanned := results[0], results[1]
	if r.Err != nil {
		rt.Fatal(r.Err)
	}
	got := r.Reading
	switch {
	case got.InFlight != backlog.Exactly(groups[0].Pending):
		rt.Fatalf("in flight %+v, want %d", got.InFlight, groups[0].Pending)
	case got.Quality == backlog.Exact && got.Ready != truth, got.Ready < truth, got.Ready > length:
		rt.Fatalf("ready %d (%s) of %d, truth %d; group %+v", got.Ready, got.Quality, length, truth, groups[0])
	case truth == 0 && got.Ready > 0 && got.Backlog() == got.Ready:
		rt.Fatalf("ready %d (%s) for good, truth 0; group %+v", got.Ready, got.Quality, groups[0])
	}
	if scanned.Err != nil || scanned.Reading.Quality == backlog.Exact && scanned.Reading.Ready != truth {
		rt.Fatalf("scanned %+v, truth %d", scanned, truth)
	}
}

// TestStreamAge: the age is that of the oldest entry that is not settled.
func TestStreamAge(t *testing.T) {
	t.Parallel()
	layouttest.EachServer(t, func(t *testing.T, _ redistest.Version, server *redistest.Server) {
		t.Helper()
		source := layouttest.OpenServer(t, server, nil)
		q := stream("s", "g")
		old := time.Now().Add(-time.Hour).Truncate(time.Millisecond)
		add := func(after time.Duration) time.Time {
			at := old.Add(after)
			server.Do("XADD", "s", fmt.Sprintf("%d-0", at.UnixMilli()), "a", "b")
			return at
		}
		want := func(kind backlog.AgeKind, since time.Time) {
			t.Helper()
			got := backlogtest.MustRead(t, source, q).Oldest
			if kind == backlog.AgeLowerBound {
				if got.Kind != kind || got.Since.Before(since) || got.Since.After(time.Now()) {
					t.Errorf("oldest %+v, want a lower bound after %s", got, since)
				}
				return
			}
			if diff := cmp.Diff(backlog.Age{Since: since, Kind: kind}, got); diff != "" {
				t.Error(diff)
			}
		}
		first := add(0)
		second := add(time.Minute)
		add(2 * time.Minute)
		server.Do("XGROUP", "CREATE", "s", "g", "0")
		begin := time.Now()
		server.Do("XREADGROUP", "GROUP", "g", "c", "COUNT", 2, "STREAMS", "s", ">")
		want(backlog.AgeExact, first)
		server.Do("XACK", "s", "g", fmt.Sprintf("%d-0", first.UnixMilli()))
		want(backlog.AgeExact, second)
		server.Do("XACK", "s", "g", fmt.Sprintf("%d-0", second.UnixMilli()))
		want(backlog.AgeLowerBound, begin)
		seen := backlogtest.MustRead(t, source, q).Oldest
		add(3 * time.Minute)
		want(backlog.AgeLowerBound, begin)
		if again := backlogtest.MustRead(t, source, q).Oldest; !again.Since.Equal(seen.Since) {
			t.Errorf("the same head has waited since %s and since %s", seen.Since, again.Since)
		}
		server.Do("XREADGROUP", "GROUP", "g", "c", "NOACK", "STREAMS", "s", ">")
		want(backlog.AgeUnknown, time.Time{})
	})
}
