package sampler

import (
	"slices"
	"strconv"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
)

// TestPastIsBounded: however long the window and however many the queues, what is kept
// of a watch is bounded, and nothing that was large is lost from it.
func TestPastIsBounded(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ queues, seconds int }{{0, 7200}, {1, 7200}, {1000, 120}, {10_000, 30}} {
		t.Run(strconv.Itoa(c.queues), func(t *testing.T) {
			t.Parallel()
			queues := c.queues
			w := &watch{window: time.Hour, parts: true}
			now := time.Now()
			var o backlog.Observation
			for second := range c.seconds {
				latest := reading(now.Add(time.Duration(second)*time.Second), queues, int64(second%7))
				if second == c.seconds*2/3 {
					latest.Ready = 1000
				}
				o.Past = w.extendHistory(&o, latest)
				o.Latest = latest
				if kept := len(o.Past) * max(1, queues); kept > max(maxHistory, 3*queues) {
					t.Fatalf("after %d s %d readings of %d queues are kept", second, len(o.Past), queues)
				}
			}
			var largest int64
			for _, r := range o.Past {
				largest = max(largest, r.Ready)
			}
			if largest != 1000 {
				t.Errorf("the largest of the window is %d, want 1000", largest)
			}
		})
	}
}

func reading(at time.Time, queues int, ready int64) backlog.Reading {
	r := backlog.Reading{At: at, Ready: ready, Epoch: "one"}
	if queues > 0 {
		r.Parts = make([]backlog.Part, queues)
		for i := range r.Parts {
			r.Parts[i] = backlog.Part{Queue: strconv.Itoa(i), Reading: backlog.Reading{Ready: ready}}
		}
	}
	return r
}

// TestMergeLosesNothing: a merged reading has no count below either of the two, for the
// whole and for each queue, and is as old as the later one.
func TestMergeLosesNothing(t *testing.T) {
	t.Parallel()
	one := rapid.Custom(func(t *rapid.T) backlog.Reading {
		return backlog.Reading{
			Ready: rapid.Int64Range(0, 100).Draw(t, "ready"), Due: rapid.Int64Range(0, 100).Draw(t, "due"),
			InFlight: backlog.Exactly(rapid.Int64Range(0, 100).Draw(t, "in flight")), MaxUseful: rapid.Int64Range(0, 5).Draw(t, "useful"),
			Paused: rapid.Bool().Draw(t, "paused"),
		}
	})
	rapid.Check(t, func(t *rapid.T) {
		draw := func(name string) backlog.Reading {
			r := one.Draw(t, name)
			for _, queue := range rapid.SliceOfDistinct(rapid.SampledFrom([]string{"a", "b", "c"}), rapid.ID[string]).Draw(t, name+" queues") {
				r.Parts = append(r.Parts, backlog.Part{Queue: queue, Reading: one.Draw(t, queue)})
			}
			return r
		}
		earlier, later := draw("earlier"), draw("later")
		later.At = time.Now()
		merged := merge(earlier, later)
		parts := map[string]backlog.Reading{}
		for _, p := range merged.Parts {
			parts[p.Queue] = p.Reading
		}
		for _, r := range []backlog.Reading{earlier, later} {
			atLeast(t, "whole", merged, r)
			for _, p := range r.Parts {
				atLeast(t, p.Queue, parts[p.Queue], p.Reading)
			}
		}
		if !merged.At.Equal(later.At) {
			t.Errorf("it is of %v, want %v", merged.At, later.At)
		}
	})
}

func atLeast(t *rapid.T, name string, merged, r backlog.Reading) {
	t.Helper()
	limited := merged.MaxUseful > 0 && (r.MaxUseful == 0 || merged.MaxUseful < r.MaxUseful)
	if merged.Ready < r.Ready || merged.Due < r.Due || merged.InFlight.N < r.InFlight.N || limited || merged.Paused && !r.Paused {
		t.Errorf("%s: %+v asks for less than %+v", name, merged, r)
	}
}

// TestPastOfANamespaceIsBounded: the more watches a namespace has, the coarser is what each
// remembers, also of those that were there first and change no more. Nothing large is lost,
// and other namespaces remember as before.
func TestPastOfANamespaceIsBounded(t *testing.T) {
	t.Parallel()
	all := newHistoryBudget()
	start := time.Now()
	begin := func(namespace string, seconds int) (*watch, *backlog.Observation) {
		w := &watch{budget: all}
		w.extend(backlog.Interest{Namespace: namespace, Window: 10 * time.Hour})
		o := &backlog.Observation{}
		for second := range seconds {
			latest := reading(start.Add(time.Duration(second)*time.Second), 0, int64(second%7))
			if second == seconds/2 {
				latest.Ready = 1000
			}
			o.Past, o.Latest = w.extendHistory(o, latest), latest
		}
		return w, o
	}
	const seconds, watches = 1500, 200
	var first []*watch
	var seen []*backlog.Observation
	for range watches {
		w, o := begin("shop", seconds)
		first, seen = append(first, w), append(seen, o)
	}
	_, other := begin("bank", seconds)
	if len(other.Past) < seconds*9/10 {
		t.Errorf("another namespace remembers %d readings of %d", len(other.Past), seconds)
	}
	kept := 0
	for i, o := range seen {
		same := o.Latest
		same.At = same.At.Add(time.Minute)
		o.Past = first[i].extendHistory(o, same)
		kept += cap(o.Past)
		if !slices.ContainsFunc(o.Past, func(r backlog.Reading) bool { return r.Ready == 1000 }) {
			t.Fatalf("watch %d has forgotten its largest reading", i)
		}
	}
	if kept > historyPerNamespace*3/2 {
		t.Errorf("%d watches keep %d readings, want at most about %d", watches, kept, historyPerNamespace)
	}
	for _, w := range first {
		w.releaseBudget()
		w.releaseBudget()
	}
	if n := all.perWatch("shop"); n != maxHistory {
		t.Errorf("when they are gone one watch may keep %d", n)
	}
}
