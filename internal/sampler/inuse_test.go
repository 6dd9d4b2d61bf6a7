package sampler_test

import (
	"context"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/sampler"
)

// stir changes a queue so that no look finds anything in it, 20 times a second for d.
func (w world) stir(queue string, d time.Duration) {
	for range d / (50 * time.Millisecond) {
		w.fake.SetReady(queue, 0)
		time.Sleep(50 * time.Millisecond)
	}
	synctest.Wait()
}

// TestDrainedQueueInUse reads a queue that is drained at every look as often as one
// with work, no more, and notes when it changed last: which is no sign of work.
func TestDrainedQueueInUse(t *testing.T) {
	inWorld(t, sampler.Options{}, func(w world) {
		want := interest("jobs")
		want.InUse = 20 * time.Second
		sub, err := w.sampler.Subscribe(want)
		if err != nil {
			w.Fatal(err)
		}
		defer sub.Close()
		<-sub.Changed()
		sub.SetWaiting(false)
		if seen := sub.Observation(); !seen.LastChange.IsZero() {
			w.Errorf("a queue that was only read has changed: %+v", seen)
		}
		_, before, _ := w.fake.Reads()
		w.fake.SetReady("jobs", 0)
		<-sub.Changed()
		w.stir("jobs", 10*time.Second)
		_, after, _ := w.fake.Reads()
		if reads := after - before; reads < 9 || reads > 12 {
			w.Errorf("%d reads in 10 s of a drained queue in use, want one a second", reads)
		}
		// It was woken right after the read before the last.
		if since := time.Since(sub.Observation().LastChange); since > 2*time.Second {
			w.Errorf("the queue changes, and did so last %s ago", since)
		}
		if seen := sub.Observation(); !seen.LastTraffic.IsZero() {
			w.Errorf("a change is taken for work: %+v", seen)
		}
		if reads := w.queries(10 * time.Second); reads < 9 || reads > 11 {
			w.Errorf("%d reads in the first 10 s after that, want one a second", reads)
		}
		w.queries(15*time.Second + time.Minute)
		if reads := w.queries(time.Minute); reads != 1 {
			w.Errorf("%d reads a minute of a queue that is in use no more, want 1", reads)
		}
	})
}

// TestWaitingSubscriberHasDrainedQueueReadAtOnce, in use or not.
func TestWaitingSubscriberHasDrainedQueueReadAtOnce(t *testing.T) {
	inWorld(t, sampler.Options{}, func(w world) {
		want := interest("jobs")
		want.InUse = 20 * time.Second
		sub, err := w.sampler.Subscribe(want)
		if err != nil {
			w.Fatal(err)
		}
		defer sub.Close()
		<-sub.Changed()
		w.stir("jobs", time.Second)
		w.fake.SetReady("jobs", 1)
		began := time.Now()
		for sub.Observation().Latest.Ready == 0 {
			<-sub.Changed()
		}
		if took := time.Since(began); took > 20*time.Millisecond {
			w.Errorf("read %s after the wake-up", took)
		}
	})
}

// TestWhatIsNotArmedIsNotHeard: such a wake-up is there to arm.
func TestWhatIsNotArmedIsNotHeard(t *testing.T) {
	inWorld(t, sampler.Options{}, func(w world) {
		w.fake.Deafen()
		w.observe("jobs")
		w.stir("jobs", time.Second)
		if seen := w.observe("jobs"); !seen.LastChange.IsZero() {
			w.Errorf("heard: %+v", seen)
		}
	})
}

// A changing is a source that notices a change of its queue in each read, and wakes
// after it.
type changing struct{ wakes chan backlog.Wake }

func (c changing) Read(_ context.Context, queries []backlog.Query) []backlog.Result {
	results := make([]backlog.Result, len(queries))
	for i := range results {
		results[i] = backlog.Result{Reading: backlog.Reading{At: time.Now()}, Changed: true}
	}
	return results
}

func (c changing) Wakes() <-chan backlog.Wake { return c.wakes }

func (c changing) Status() backlog.Status { return backlog.Status{WakeUp: "events"} }

func (c changing) Close() error { close(c.wakes); return nil }

// TestChangeDuringAReadIsHeard: the change is known only from the read, because the queue
// is not armed when its wake-up arrives.
func TestChangeDuringAReadIsHeard(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		engine := backlog.Engine{Name: "fake", Open: func(context.Context, backlog.Connection, *slog.Logger) (backlog.Source, error) {
			return changing{make(chan backlog.Wake)}, nil
		}}
		s := sampler.New([]backlog.Engine{engine}, sampler.Options{})
		defer s.Close()
		if err := s.Apply(t.Context(), []backlog.Connection{{Name: "main", Engine: "fake"}}); err != nil {
			t.Fatal(err)
		}
		seen, err := s.Observe(t.Context(), interest("jobs"))
		if err != nil || seen.Armed || !seen.LastChange.Equal(time.Now()) || !seen.LastTraffic.IsZero() {
			t.Errorf("%+v, error %v, want it not armed, heard of now and no sign of work", seen, err)
		}
	})
}

func TestCountersStir(t *testing.T) {
	t.Parallel()
	for name, count := range map[string]func(n int64) backlog.Reading{
		"enqueued": func(n int64) backlog.Reading { return backlog.Reading{Enqueued: backlog.Exactly(n)} },
		"dequeued": func(n int64) backlog.Reading { return backlog.Reading{Dequeued: backlog.Exactly(n)} },
		"passed":   func(n int64) backlog.Reading { return backlog.Reading{Passed: backlog.Exactly(n)} },
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, sampler.Options{}, func(w world) {
				w.fake.Deafen()
				w.fake.Set("jobs", count(5))
				w.observe("jobs")
				time.Sleep(time.Second)
				if seen := w.observe("jobs"); !seen.LastTraffic.IsZero() {
					w.Errorf("a counter that stands still stirs: %+v", seen)
				}
				w.fake.Set("jobs", count(6))
				time.Sleep(time.Second)
				if seen := w.observe("jobs"); seen.LastTraffic.IsZero() {
					w.Errorf("a counter that moves does not stir: %+v", seen)
				}
			})
		})
	}
}

// TestPastIsKeptAsFarAsSomebodyWants keeps readings that differ in counters or parts
// alone only where they are asked for.
func TestPastIsKeptAsFarAsSomebodyWants(t *testing.T) {
	t.Parallel()
	parts := func(a, b int64) backlog.Reading {
		return backlog.Aggregate([]backlog.Part{
			{Queue: "a", Reading: backlog.Reading{Ready: a, Enqueued: backlog.Exactly(10 * a)}},
			{Queue: "b", Reading: backlog.Reading{Ready: b, Enqueued: backlog.Exactly(b)}},
		})
	}
	for _, tc := range []struct {
		name            string
		counters, parts bool
		want            []int64 // the ready messages of part a in past readings; -1 without parts
	}{
		{"nothing", false, false, []int64{-1}},
		{"counters", true, false, []int64{-1, -1, -1}},
		{"parts", false, true, []int64{3, 2, 1}},
		{"both", true, true, []int64{3, 2, 1}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			inWorld(t, sampler.Options{}, func(w world) {
				want := interest("jobs")
				want.Counters, want.Parts = tc.counters, tc.parts
				var seen backlog.Observation
				for _, r := range []backlog.Reading{parts(3, 1), parts(2, 2), parts(1, 3), parts(1, 4)} {
					w.fake.Set("jobs", r)
					var err error
					if seen, err = w.sampler.Observe(w.Context(), want); err != nil {
						w.Fatal(err)
					}
					time.Sleep(3 * time.Second)
					synctest.Wait()
				}
				if seen, _ = w.sampler.Observe(w.Context(), want); len(seen.Latest.Parts) != 2 {
					w.Errorf("%d parts at last", len(seen.Latest.Parts))
				}
				var got []int64
				for _, r := range seen.Past {
					if len(r.Parts) == 0 {
						got = append(got, -1)
						continue
					}
					got = append(got, r.Parts[0].Reading.Ready)
				}
				if diff := cmp.Diff(tc.want, got); diff != "" {
					w.Errorf("past (-want +got):\n%s", diff)
				}
			})
		})
	}
}

func TestObservationsSayWhetherTheProgramJustStarted(t *testing.T) {
	inWorld(t, sampler.Options{}, func(w world) {
		w.fake.FailQueue("early", backlog.ErrUnavailable)
		w.observe("early")
		time.Sleep(2 * time.Minute)
		w.fake.FailQueue("early", nil)
		time.Sleep(10 * time.Second)
		late := w.observe("late")
		if late.AfterStart || !late.Since.Equal(time.Now()) {
			w.Errorf("asked for 2 min after the start: %+v", late)
		}
		if early := w.observe("early"); !early.AfterStart || time.Since(early.Since) > 10*time.Second {
			w.Errorf("asked for at the start and first read now: %+v", early)
		}
	})
}

// TestPartsAreNews also where their sums stay the same.
func TestPartsAreNews(t *testing.T) {
	inWorld(t, sampler.Options{}, func(w world) {
		two := func(a, b int64) backlog.Reading {
			return backlog.Aggregate([]backlog.Part{{Queue: "a", Reading: backlog.Reading{Ready: a}}, {Queue: "b", Reading: backlog.Reading{Ready: b}}})
		}
		w.fake.Set("jobs", two(1, 2))
		want := interest("jobs")
		want.Parts = true
		sub, err := w.sampler.Subscribe(want)
		if err != nil {
			w.Fatal(err)
		}
		defer sub.Close()
		<-sub.Changed()
		w.fake.Set("jobs", two(2, 1))
		<-sub.Changed()
		if got := sub.Observation().Latest.Parts[0].Reading.Ready; got != 2 {
			w.Errorf("%d ready in the first part, want 2", got)
		}
	})
}
