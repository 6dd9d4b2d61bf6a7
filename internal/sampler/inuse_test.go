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

// touch changes a queue so that no read finds anything in it, 20 times a second for d.
func (f fixture) touch(queue string, d time.Duration) {
	for range d / (50 * time.Millisecond) {
		f.fake.SetReady(queue, 0)
		time.Sleep(50 * time.Millisecond)
	}
	synctest.Wait()
}

// TestDrainedQueueInUse reads a queue that is drained at every read as often as one
// with work, no more, and notes when it changed last: which is no sign of work.
func TestDrainedQueueInUse(t *testing.T) {
	withFixture(t, sampler.Options{}, func(f fixture) {
		want := interest("jobs")
		want.InUse = 20 * time.Second
		sub, err := f.sampler.Subscribe(want)
		if err != nil {
			f.Fatal(err)
		}
		defer sub.Close()
		<-sub.Changed()
		sub.SetWaiting(false)
		if seen := sub.Observation(); !seen.LastChange.IsZero() {
			f.Errorf("a queue that was only read has changed: %+v", seen)
		}
		_, before, _ := f.fake.Reads()
		f.fake.SetReady("jobs", 0)
		<-sub.Changed()
		f.touch("jobs", 10*time.Second)
		_, after, _ := f.fake.Reads()
		if reads := after - before; reads < 9 || reads > 12 {
			f.Errorf("%d reads in 10 s of a drained queue in use, want one a second", reads)
		}
		// It was woken right after the read before the last.
		if since := time.Since(sub.Observation().LastChange); since > 2*time.Second {
			f.Errorf("the queue changes, and did so last %s ago", since)
		}
		if seen := sub.Observation(); !seen.LastTraffic.IsZero() {
			f.Errorf("a change is taken for work: %+v", seen)
		}
		if reads := f.queries(10 * time.Second); reads < 9 || reads > 11 {
			f.Errorf("%d reads in the first 10 s after that, want one a second", reads)
		}
		f.queries(15*time.Second + time.Minute)
		if reads := f.queries(time.Minute); reads != 1 {
			f.Errorf("%d reads a minute of a queue that is in use no more, want 1", reads)
		}
	})
}

// TestWaitingSubscriberHasDrainedQueueReadAtOnce, in use or not.
func TestWaitingSubscriberHasDrainedQueueReadAtOnce(t *testing.T) {
	withFixture(t, sampler.Options{}, func(f fixture) {
		want := interest("jobs")
		want.InUse = 20 * time.Second
		sub, err := f.sampler.Subscribe(want)
		if err != nil {
			f.Fatal(err)
		}
		defer sub.Close()
		<-sub.Changed()
		f.touch("jobs", time.Second)
		f.fake.SetReady("jobs", 1)
		began := time.Now()
		for sub.Observation().Latest.Ready == 0 {
			<-sub.Changed()
		}
		if took := time.Since(began); took > 20*time.Millisecond {
			f.Errorf("read %s after the wake-up", took)
		}
	})
}

// TestWhatIsNotArmedIsNotHeard: such a wake-up is there to arm.
func TestWhatIsNotArmedIsNotHeard(t *testing.T) {
	withFixture(t, sampler.Options{}, func(f fixture) {
		f.fake.DisableArming()
		f.observe("jobs")
		f.touch("jobs", time.Second)
		if seen := f.observe("jobs"); !seen.LastChange.IsZero() {
			f.Errorf("heard: %+v", seen)
		}
	})
}

// A changing is a source that notices a change of its queue in each read, and wakes
// after it.
type changing struct{ wakes chan backlog.Wake }

func (c changing) Read(_ context.Context, queries []backlog.Query, results []backlog.Result) []backlog.Result {
	for range queries {
		results = append(results, backlog.Result{Reading: backlog.Reading{At: time.Now()}, Changed: true})
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
			withFixture(t, sampler.Options{}, func(f fixture) {
				f.fake.DisableArming()
				f.fake.Set("jobs", count(5))
				f.observe("jobs")
				time.Sleep(time.Second)
				if seen := f.observe("jobs"); !seen.LastTraffic.IsZero() {
					f.Errorf("a counter that stands still counts as traffic: %+v", seen)
				}
				f.fake.Set("jobs", count(6))
				time.Sleep(time.Second)
				if seen := f.observe("jobs"); seen.LastTraffic.IsZero() {
					f.Errorf("a counter that moves is no traffic: %+v", seen)
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
			withFixture(t, sampler.Options{}, func(f fixture) {
				want := interest("jobs")
				want.Counters, want.Parts = tc.counters, tc.parts
				for _, r := range []backlog.Reading{parts(3, 1), parts(2, 2), parts(1, 3), parts(1, 4)} {
					f.fake.Set("jobs", r)
					if _, err := f.sampler.Observe(f.Context(), want); err != nil {
						f.Fatal(err)
					}
					time.Sleep(3 * time.Second)
					synctest.Wait()
				}
				seen, err := f.sampler.Observe(f.Context(), want)
				if err != nil {
					f.Fatal(err)
				}
				if len(seen.Latest.Parts) != 2 {
					f.Errorf("%d parts at last", len(seen.Latest.Parts))
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
					f.Errorf("past (-want +got):\n%s", diff)
				}
			})
		})
	}
}

func TestObservationsSayWhetherTheProgramJustStarted(t *testing.T) {
	withFixture(t, sampler.Options{}, func(f fixture) {
		f.fake.FailQueue("early", backlog.ErrUnavailable)
		f.observe("early")
		time.Sleep(2 * time.Minute)
		f.fake.FailQueue("early", nil)
		time.Sleep(10 * time.Second)
		late := f.observe("late")
		if late.AfterStart || !late.Since.Equal(time.Now()) {
			f.Errorf("asked for 2 min after the start: %+v", late)
		}
		if early := f.observe("early"); !early.AfterStart || time.Since(early.Since) > 10*time.Second {
			f.Errorf("asked for at the start and first read now: %+v", early)
		}
	})
}

// TestPartsAreNews also where their sums stay the same.
func TestPartsAreNews(t *testing.T) {
	withFixture(t, sampler.Options{}, func(f fixture) {
		two := func(a, b int64) backlog.Reading {
			return backlog.Aggregate([]backlog.Part{{Queue: "a", Reading: backlog.Reading{Ready: a}}, {Queue: "b", Reading: backlog.Reading{Ready: b}}})
		}
		f.fake.Set("jobs", two(1, 2))
		want := interest("jobs")
		want.Parts = true
		sub, err := f.sampler.Subscribe(want)
		if err != nil {
			f.Fatal(err)
		}
		defer sub.Close()
		<-sub.Changed()
		f.fake.Set("jobs", two(2, 1))
		<-sub.Changed()
		if got := sub.Observation().Latest.Parts[0].Reading.Ready; got != 2 {
			f.Errorf("%d ready in the first part, want 2", got)
		}
	})
}
