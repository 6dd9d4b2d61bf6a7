package sampler_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/backlogtest"
	"github.com/backlog-scaler/backlog-scaler/internal/sampler"
)

// safety is the default of SafetyInterval.
const safety = 10 * time.Second

// TestConfirmedQueueStaysFresh: what is confirmed counts as seen, though hardly read.
func TestConfirmedQueueStaysFresh(t *testing.T) {
	withFixture(t, sampler.Options{}, func(f fixture) {
		sub := f.subscribe("jobs")
		time.Sleep(2 * time.Minute)
		_, before, _ := f.fake.Reads()
		asked := f.fake.Confirmations()
		for range 300 {
			time.Sleep(time.Second)
			synctest.Wait()
			for _, seen := range []backlog.Observation{sub.Observation(), f.observe("jobs")} {
				if age := time.Since(seen.Latest.At); age > safety || !seen.Armed || seen.Err != nil {
					f.Fatalf("%s old: %+v", age, seen)
				}
			}
		}
		if _, after, _ := f.fake.Reads(); after-before != 5 {
			f.Errorf("%d reads in five minutes, want 5", after-before)
		}
		if got := f.fake.Confirmations() - asked; got != 30 {
			f.Errorf("%d confirmations in five minutes, want 30", got)
		}
	})
}

// TestIdleReadsAreSpread: in each safety interval a sixth of the queues is read, in one
// batch, and one confirmation stands for all.
func TestIdleReadsAreSpread(t *testing.T) {
	withFixture(t, sampler.Options{}, func(f fixture) {
		for i := range 600 {
			f.subscribe(fmt.Sprint("jobs", i))
		}
		time.Sleep(2 * time.Minute)
		for range 12 {
			batches, queries, _ := f.fake.Reads()
			asked := f.fake.Confirmations()
			time.Sleep(safety)
			synctest.Wait()
			batchesAfter, queriesAfter, _ := f.fake.Reads()
			got := []int{batchesAfter - batches, queriesAfter - queries, f.fake.Confirmations() - asked}
			if diff := cmp.Diff([]int{1, 100, 1}, got); diff != "" {
				f.Errorf("batches, queries, confirmations (-want +got):\n%s", diff)
			}
		}
	})
}

// TestOutageOfConfirmedQueues: an engine that does not answer any more is found out as
// soon as by reading, and what was confirmed before is not older than that.
func TestOutageOfConfirmedQueues(t *testing.T) {
	t.Parallel()
	for name, fail := range map[string]func(*backlogtest.Fake){
		"refused": func(f *backlogtest.Fake) { f.Fail(fmt.Errorf("refused: %w", backlog.ErrUnavailable)) },
		"frozen":  func(f *backlogtest.Fake) { f.Freeze() },
	} {
		t.Run(name, func(t *testing.T) {
			withFixture(t, sampler.Options{ReadTimeout: time.Second}, func(f fixture) {
				for i := range 100 {
					f.subscribe(fmt.Sprint("jobs", i))
				}
				time.Sleep(155 * time.Second)
				began := time.Now()
				fail(f.fake)
				// An interval until it is asked, and the bounds of that and of the read.
				time.Sleep(safety + 2*time.Second)
				synctest.Wait()
				for i := range 100 {
					seen := f.observe(fmt.Sprint("jobs", i))
					if !errors.Is(seen.Err, backlog.ErrUnavailable) || seen.Armed {
						f.Fatalf("jobs%d in the outage: %+v", i, seen)
					}
					if age := began.Sub(seen.Latest.At); age < 0 || age > safety {
						f.Fatalf("jobs%d was seen last %s before the outage, want at most %s", i, age, safety)
					}
				}
				last := f.observe("jobs7").Latest.At
				time.Sleep(time.Minute)
				if seen := f.observe("jobs7"); seen.Err == nil || !seen.Latest.At.Equal(last) {
					f.Errorf("a minute into the outage: %+v, want it seen last at %s", seen, last)
				}
				if name == "frozen" {
					f.fake.Thaw()
				}
				f.fake.Fail(nil)
				time.Sleep(12 * time.Second)
				synctest.Wait()
				if seen := f.observe("jobs7"); seen.Err != nil || !seen.Armed {
					f.Errorf("after the outage: %+v", seen)
				}
			})
		})
	}
}

// TestWokenQueueIsNotConfirmed: a queue that changed and cannot be read was seen last
// when it was confirmed last before the change, whatever is confirmed of the others.
func TestWokenQueueIsNotConfirmed(t *testing.T) {
	withFixture(t, sampler.Options{}, func(f fixture) {
		f.subscribe("other")
		f.subscribe("jobs")
		time.Sleep(105 * time.Second)
		changed := time.Now()
		f.fake.FailQueue("jobs", fmt.Errorf("of another type: %w", backlog.ErrMismatch))
		f.fake.SetReady("jobs", 3)
		time.Sleep(time.Minute)
		synctest.Wait()
		seen := f.observe("jobs")
		if age := changed.Sub(seen.Latest.At); !errors.Is(seen.Err, backlog.ErrMismatch) || age < 0 || age > safety {
			f.Errorf("seen last %s before the change, want at most %s: %+v", age, safety, seen)
		}
		if other := f.observe("other"); time.Since(other.Latest.At) > safety {
			f.Errorf("the other queue: %+v", other)
		}
	})
}

// TestChangedQueueIsNotConfirmed: the change of a queue with work is left to its regular
// read, and until then the queue was seen last before the change.
func TestChangedQueueIsNotConfirmed(t *testing.T) {
	t.Parallel()
	for _, when := range []string{"while it is read", "after it was read"} {
		t.Run(when, func(t *testing.T) {
			withFixture(t, sampler.Options{ActiveInterval: time.Minute}, func(f fixture) {
				f.subscribe("other")
				f.fake.SetReady("jobs", 3)
				f.subscribe("jobs").SetWaiting(false)
				time.Sleep(2 * time.Minute)
				var changed time.Time
				change := func() {
					changed = time.Now()
					f.fake.SetReady("jobs", 5)
					// Time for the wake-up to arrive.
					time.Sleep(time.Millisecond)
				}
				if when == "while it is read" {
					f.fake.AfterRead(func(queries []backlog.Query) bool {
						if !slices.Contains(queries, interest("jobs").Query) {
							return false
						}
						change()
						return true
					})
				}
				for f.observe("jobs").Last.Cause != backlog.CausePoll {
					time.Sleep(time.Second)
					synctest.Wait()
				}
				if changed.IsZero() {
					change()
				}
				time.Sleep(2 * safety)
				synctest.Wait()
				seen := f.observe("jobs")
				if age := seen.Latest.At.Sub(changed); seen.Latest.Ready != 3 || age < -safety || age > time.Millisecond {
					f.Errorf("seen last %s after the change: %+v", age, seen)
				}
			})
		})
	}
}

// TestLostWakeUpIsMadeGood: an engine that does not keep its promise costs a minute.
func TestLostWakeUpIsMadeGood(t *testing.T) {
	withFixture(t, sampler.Options{}, func(f fixture) {
		f.subscribe("jobs")
		time.Sleep(2 * time.Minute)
		f.fake.SetSilently("jobs", backlog.Reading{Ready: 4})
		time.Sleep(time.Minute)
		synctest.Wait()
		if seen := f.observe("jobs"); seen.Latest.Ready != 4 {
			f.Errorf("a minute after a wake-up that was lost: %+v", seen)
		}
	})
}

// TestChangedQueueIsRead: for a minute after a change, or its first read, an idle queue
// is read in each safety interval, for what a worker took may show late and unheard.
func TestChangedQueueIsRead(t *testing.T) {
	t.Parallel()
	for name, stir := range map[string]func(fixture){
		"read first": func(fixture) {},
		"changed again": func(f fixture) {
			time.Sleep(3 * time.Minute)
			f.fake.SetReady("jobs", 1)
			time.Sleep(time.Second)
			f.fake.SetReady("jobs", 0)
		},
	} {
		t.Run(name, func(t *testing.T) {
			withFixture(t, sampler.Options{}, func(f fixture) {
				f.subscribe("jobs")
				stir(f)
				time.Sleep(45 * time.Second)
				f.fake.SetSilently("jobs", backlog.Reading{InFlight: backlog.Exactly(1)})
				time.Sleep(safety)
				synctest.Wait()
				if seen := f.observe("jobs"); seen.Latest.InFlight.N != 1 {
					f.Errorf("work that was taken is not seen: %+v", seen)
				}
			})
		})
	}
}

// TestTakenWorkIsSeenSoon: a queue that was found empty because a worker is just taking
// its message is read again within two seconds, though the rest of that is not heard.
func TestTakenWorkIsSeenSoon(t *testing.T) {
	withFixture(t, sampler.Options{}, func(f fixture) {
		f.subscribe("jobs")
		time.Sleep(3 * time.Minute)
		f.fake.SetReady("jobs", 1)
		time.Sleep(5 * time.Second)
		f.fake.SetReady("jobs", 0)
		time.Sleep(time.Second)
		f.fake.SetSilently("jobs", backlog.Reading{InFlight: backlog.Exactly(1)})
		time.Sleep(time.Second)
		synctest.Wait()
		if seen := f.observe("jobs"); seen.Latest.InFlight.N != 1 {
			f.Errorf("work that was taken is not seen: %+v", seen)
		}
	})
}

// TestChangeDuringARead: a queue with work that is found empty, and is filled again
// before the sampler knows of it, is read once more.
func TestChangeDuringARead(t *testing.T) {
	withFixture(t, sampler.Options{}, func(f fixture) {
		f.fake.SetReady("jobs", 5)
		f.observe("jobs")
		synctest.Wait()
		f.fake.AfterRead(func([]backlog.Query) bool {
			f.fake.SetReady("jobs", 3)
			// Time for the wake-up to arrive.
			time.Sleep(time.Millisecond)
			return true
		})
		f.fake.SetReady("jobs", 0)
		time.Sleep(1100 * time.Millisecond)
		synctest.Wait()
		if seen := f.observe("jobs"); seen.Latest.Ready != 3 {
			f.Errorf("saw %+v, want the 3 that came while it was read", seen)
		}
	})
}
