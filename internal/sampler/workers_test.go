package sampler_test

import (
	"maps"
	"testing"
	"testing/synctest"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/sampler"
)

// TestWorkersArePolled: which workers are busy is read at the interval of the caller, whether any is, and next to the queue. A
// change of one name notifies.
func TestWorkersArePolled(t *testing.T) {
	withFixture(t, sampler.Options{IdlePoll: 30 * time.Second}, func(f fixture) {
		f.fake.DisableArming()
		f.fake.SetWorkers("orders", map[string]bool{"a": true, "b": false})
		want := interest("orders")
		want.Query.Workers, want.Interval = true, time.Second
		sub, err := f.sampler.Subscribe(want)
		if err != nil {
			f.Fatal(err)
		}
		synctest.Wait()
		<-sub.Changed()
		if n := f.queries(10 * time.Second); n != 10 {
			f.Errorf("%d reads in 10s, want one in each second", n)
		}
		changed := map[string]bool{"a": false, "b": true}
		f.fake.SetWorkers("orders", changed)
		time.Sleep(2 * time.Second)
		synctest.Wait()
		select {
		case <-sub.Changed():
		default:
			f.Error("not notified of another busy worker")
		}
		if seen := sub.Observation().Latest.Workers; !maps.Equal(seen, changed) {
			f.Errorf("the workers are %v, want %v", seen, changed)
		}
		f.queries(10 * time.Second)
		select {
		case <-sub.Changed():
			f.Error("notified although nothing changed")
		default:
		}
		sub.Close()
		if n := f.queries(time.Minute); n > 3 {
			f.Errorf("%d reads in a minute after the end of the subscription", n)
		}
	})
}
