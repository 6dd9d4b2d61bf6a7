package sampler_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/sampler"
)

func measured(milli int64) backlog.Reading {
	return backlog.Reading{Measured: backlog.Measurement{Milli: milli, Known: true}}
}

// TestMeasuredIsPolled: a number is read at the interval of its source, whether it is zero or not,
// because it is no work that waits.
func TestMeasuredIsPolled(t *testing.T) {
	t.Parallel()
	for name, milli := range map[string]int64{"zero": 0, "positive": 931, "negative": -5} {
		t.Run(name, func(t *testing.T) {
			withFixture(t, sampler.Options{IdlePoll: 5 * time.Second}, func(f fixture) {
				f.fake.DisableArming()
				f.fake.Set("load", measured(milli))
				f.observe("load")
				if n := f.queries(time.Minute); n != 12 {
					f.Errorf("%d reads in a minute, want 12", n)
				}
				if seen := f.observe("load"); seen.Latest.Measured.Milli != milli || !seen.Latest.Measured.Known || !seen.BecameNonempty.At.IsZero() {
					f.Errorf("saw %+v", seen)
				}
			})
		})
	}
}

// TestMeasuredChangeNotifies: a stream is notified when the number changes, and only then.
func TestMeasuredChangeNotifies(t *testing.T) {
	withFixture(t, sampler.Options{IdlePoll: time.Second}, func(f fixture) {
		f.fake.DisableArming()
		f.fake.Set("load", measured(0))
		sub := f.subscribe("load")
		synctest.Wait()
		<-sub.Changed()
		for _, milli := range []int64{1, 931, 0} {
			f.fake.Set("load", measured(milli))
			time.Sleep(2 * time.Second)
			synctest.Wait()
			select {
			case <-sub.Changed():
			default:
				f.Errorf("not notified of %d", milli)
			}
			time.Sleep(5 * time.Second)
			select {
			case <-sub.Changed():
				f.Errorf("notified although it stays %d", milli)
			default:
			}
		}
		if past := f.observe("load").Past; len(past) != 3 {
			f.Errorf("the past is %+v, want each number once", past)
		}
	})
}

// TestMeasuredAtTheShortestInterval: the shortest interval of all callers counts, and a caller that
// names none has that of the source.
func TestMeasuredAtTheShortestInterval(t *testing.T) {
	withFixture(t, sampler.Options{IdlePoll: 10 * time.Second}, func(f fixture) {
		f.fake.DisableArming()
		f.fake.Set("load", measured(5))
		every := func(interval time.Duration) *sampler.Subscription {
			want := interest("load")
			want.Interval = interval
			sub, err := f.sampler.Notify(want, func() {})
			if err != nil {
				f.Fatal(err)
			}
			return sub
		}
		reads := func(what string, want int) {
			f.Helper()
			time.Sleep(time.Minute)
			if n := f.queries(10 * time.Minute); n != want {
				f.Errorf("%s: %d reads in 10 minutes, want %d", what, n, want)
			}
		}
		slow := every(30 * time.Second)
		defer slow.Close()
		reads("each 30 s", 20)
		fast := every(2 * time.Second)
		reads("each 2 s as well", 300)
		fast.Close()
		reads("each 30 s again", 20)
		plain := f.subscribe("load")
		reads("a stream as well", 60)
		plain.Close()
		time.Sleep(5 * time.Minute)
		reads("each 30 s in the end", 20)
	})
}

// TestNotifyCallsForEachChange: the function is called in place of a channel.
func TestNotifyCallsForEachChange(t *testing.T) {
	withFixture(t, sampler.Options{}, func(f fixture) {
		calls := 0
		sub, err := f.sampler.Notify(interest("jobs"), func() { calls++ })
		if err != nil {
			f.Fatal(err)
		}
		time.Sleep(time.Second)
		synctest.Wait()
		before := calls
		f.fake.SetReady("jobs", 3)
		time.Sleep(time.Second)
		synctest.Wait()
		if calls <= before {
			f.Error("no call after a change")
		}
		sub.Close()
		before = calls
		f.fake.SetReady("jobs", 4)
		time.Sleep(time.Minute)
		synctest.Wait()
		if calls != before {
			f.Error("a call after the end")
		}
	})
}
