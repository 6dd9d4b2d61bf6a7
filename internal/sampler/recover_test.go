package sampler_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/sampler"
)

// TestPanicOfAnEngine: a panic in the read of one queue is the error of that queue. The
// other queues of its batch are read, and the process lives.
func TestPanicOfAnEngine(t *testing.T) {
	withFixture(t, sampler.Options{}, func(f fixture) {
		for i, queue := range []string{"first", "second", "poison", "fourth", "fifth"} {
			f.fake.SetReady(queue, int64(i+1))
		}
		f.fake.AfterRead(func(queries []backlog.Query) bool {
			if slices.ContainsFunc(queries, func(q backlog.Query) bool { return q.Queue == "poison" }) {
				panic("a decoder is wrong")
			}
			return false
		})
		// Subscribed before the first is read, so that they are one batch.
		var held []*sampler.Subscription
		for _, queue := range []string{"first", "second", "poison", "fourth", "fifth"} {
			held = append(held, f.subscribe(queue))
		}
		defer func() {
			for _, sub := range held {
				sub.Close()
			}
		}()
		for i, queue := range []string{"first", "second", "poison", "fourth", "fifth"} {
			seen := f.observe(queue)
			switch {
			case queue == "poison":
				if !errors.Is(seen.Err, backlog.ErrPanic) || !errors.Is(seen.Err, backlog.ErrUnavailable) || seen.Known() {
					t.Errorf("%s: %+v", queue, seen)
				}
			case seen.Err != nil || seen.Latest.Ready != int64(i+1):
				t.Errorf("%s: %+v", queue, seen)
			}
		}
		f.fake.AfterRead(nil)
		time.Sleep(time.Minute)
		if seen := f.observe("poison"); seen.Err != nil || seen.Latest.Ready != 3 {
			t.Errorf("after the panic: %+v", seen)
		}
	})
}
