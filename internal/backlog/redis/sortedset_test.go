package redis_test

import (
	"fmt"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/backlogtest"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/layout/layouttest"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/redistest"
)

// TestSortedSetDue: what is due counts, what is not sets the timer.
func TestSortedSetDue(t *testing.T) {
	t.Parallel()
	now := time.Now()
	past, older, next, later := now.Add(-time.Minute), now.Add(-time.Hour), now.Add(time.Hour), now.Add(2*time.Hour)
	for name, unit := range map[string]struct {
		params map[string]string
		scale  float64 // score per second
	}{
		"seconds":      {nil, 1},
		"milliseconds": {map[string]string{"score": "milliseconds"}, 1000},
		"scale":        {map[string]string{"scoreScale": "4096000"}, 4096000},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			layouttest.EachServer(t, func(t *testing.T, _ redistest.Version, server *redistest.Server) {
				t.Helper()
				source := layouttest.OpenServer(t, server, nil)
				q := backlog.Query{Layout: "sortedSet", Queue: "z", Params: backlog.NewParams(unit.params)}
				add := func(at time.Time) {
					score := float64(at.UnixMilli()) / 1000 * unit.scale
					server.Do("ZADD", "z", strconv.FormatFloat(score, 'f', -1, 64), at.String())
				}
				type seen struct {
					Ready   int64
					NextDue time.Time
					Oldest  backlog.Age
					Missing bool
				}
				want := func(step string, w seen) {
					t.Helper()
					r := backlogtest.MustRead(t, source, q)
					// Scores are floating point numbers: a few microseconds are lost.
					got := seen{r.Ready, round(r.NextDue), backlog.Age{Since: round(r.Oldest.Since), Kind: r.Oldest.Kind}, r.Missing}
					w.NextDue, w.Oldest.Since = round(w.NextDue), round(w.Oldest.Since)
					if diff := cmp.Diff(w, got); diff != "" {
						t.Errorf("%s: %s", step, diff)
					}
				}
				want("missing", seen{Missing: true})
				add(next)
				add(later)
				want("future only", seen{NextDue: next})
				add(past)
				add(older)
				want("two due", seen{Ready: 2, NextDue: next, Oldest: backlog.Age{Since: older, Kind: backlog.AgeExact}})
				server.Do("ZREM", "z", next.String(), later.String())
				want("no future", seen{Ready: 2, Oldest: backlog.Age{Since: older, Kind: backlog.AgeExact}})
				server.Do("ZADD", "z", "+inf", "never", "-inf", "always")
				want("no time", seen{Ready: 3})
			})
		})
	}
}

func round(t time.Time) time.Time {
	if t.IsZero() {
		return time.Time{}
	}
	return t.Round(10 * time.Millisecond).UTC()
}

// TestSortedSetComesDue: at NextDue, and not before, the message is ready.
func TestSortedSetComesDue(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	source := layouttest.OpenServer(t, server, nil)
	var queries []backlog.Query
	var dues []time.Time
	for i := range 5 {
		q := backlog.Query{Layout: "sortedSet", Queue: fmt.Sprintf("z%d", i)}
		due := time.UnixMicro(time.Now().UnixMicro()).Add(2 * time.Second)
		server.Do("ZADD", q.Queue, strconv.FormatFloat(float64(due.UnixMicro())/1e6, 'f', -1, 64), "message")
		queries, dues = append(queries, q), append(dues, due)
	}
	for i, r := range slices.Clone(backlogtest.Read(t, source, queries...)) {
		if r.Err != nil {
			t.Fatal(r.Err)
		}
		time.Sleep(time.Until(layouttest.NotYetDue(t, r.Reading, dues[i]))) // What a reader does.
		if r := backlogtest.MustRead(t, source, queries[i]); r.Ready != 1 || !r.NextDue.IsZero() {
			t.Errorf("at NextDue: %+v", r)
		}
	}
}
