package sampler_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/sampler"
)

// TestCauses has one queue live through everything that can have it looked at.
func TestCauses(t *testing.T) {
	withFixture(t, sampler.Options{}, func(f fixture) {
		f.subscribe("jobs")
		synctest.Wait()
		began := time.Now()
		for _, step := range []struct {
			do   func()
			wait time.Duration
			want backlog.Cause
			woke bool
		}{
			{func() {}, 0, backlog.CauseFirst, false},
			{func() { // from here on half a second away from the regular reads
				time.Sleep(2 * time.Minute)
				for f.observe("jobs").Last.Cause != backlog.CausePoll {
					time.Sleep(time.Second)
				}
				time.Sleep(time.Until(f.observe("jobs").Last.At.Add(10*time.Second + 500*time.Millisecond)))
			}, 0, backlog.CauseConfirmed, false},
			{func() { f.fake.SetReady("jobs", 3) }, 20 * time.Millisecond, backlog.CauseWakeUp, true},
			{func() {}, time.Second, backlog.CausePoll, false},
			{func() { f.fake.SetReady("jobs", 4) }, 20 * time.Millisecond, backlog.CauseWakeUp, false},
			{func() { f.fake.Set("jobs", backlog.Reading{NextDue: time.Now().Add(2500 * time.Millisecond)}) }, 20 * time.Millisecond, backlog.CauseWakeUp, false},
			{func() { f.fake.SetReady("other", 1) }, 2500 * time.Millisecond, backlog.CauseDue, false},
			{func() { f.fake.Fail(fmt.Errorf("refused: %w", backlog.ErrUnavailable)) }, 11 * time.Second, backlog.CauseRetry, false},
			{func() {
				f.fake.Fail(nil)
				if err := f.sampler.Apply(f.Context(), []backlog.Connection{{Name: "main", Engine: "fake", Settings: backlog.NewSettings(map[string]any{"password": backlog.NewSecret("new")})}}); err != nil {
					f.Fatal(err)
				}
			}, 0, backlog.CauseReopened, false},
		} {
			step.do()
			time.Sleep(step.wait)
			synctest.Wait()
			seen := f.observe("jobs")
			if diff := cmp.Diff(step.want, seen.Last.Cause); diff != "" {
				f.Errorf("%s: cause (-want +got):\n%s", time.Since(began), diff)
			}
			if step.woke && seen.BecameNonempty != seen.Last {
				f.Errorf("%s: woken at %+v, want %+v", time.Since(began), seen.BecameNonempty, seen.Last)
			}
			if !step.woke && seen.BecameNonempty == seen.Last {
				f.Errorf("%s: a read that found no work after none counts as waking: %+v", time.Since(began), seen.BecameNonempty)
			}
		}
	})
}
