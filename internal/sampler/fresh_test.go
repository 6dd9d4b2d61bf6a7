package sampler_test

import (
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/sampler"
)

// observeFresh returns an observation of a read that begins after the call.
func (f fixture) observeFresh() *backlog.Observation {
	f.Helper()
	want := interest("jobs")
	want.Fresh, want.Memo = true, new(backlog.Memo)
	seen, err := f.sampler.Observe(f.Context(), want)
	if err != nil {
		f.Fatal(err)
	}
	return seen
}

// TestFreshReadsAfterTheCall: a call gets what a read finds that begins after it, also where the queue is
// armed, or has work and is read each second.
func TestFreshReadsAfterTheCall(t *testing.T) {
	withFixture(t, sampler.Options{}, func(f fixture) {
		for i := range int64(5) {
			f.fake.SetSilently("jobs", backlog.Reading{Ready: i})
			began := time.Now()
			seen := f.observeFresh()
			if seen.Latest.Ready != i || seen.Latest.At.Before(began) {
				t.Errorf("%d reads as %+v", i, seen.Latest)
			}
			if took := time.Since(began); took > 250*time.Millisecond {
				t.Errorf("the call waited for %s, want at most the time between two such reads", took)
			}
			if i > 0 && seen.Last.Cause != backlog.CauseCall {
				t.Errorf("the cause of the read is %s, want %s", seen.Last.Cause, backlog.CauseCall)
			}
		}
	})
}

// TestFreshCallsShareReads: many calls at once cost one read, or two where one is under way.
func TestFreshCallsShareReads(t *testing.T) {
	withFixture(t, sampler.Options{}, func(f fixture) {
		f.observe("jobs")
		time.Sleep(time.Minute)
		_, before, _ := f.fake.Reads()
		var calls sync.WaitGroup
		for range 100 {
			calls.Go(func() { f.observeFresh() })
		}
		calls.Wait()
		if _, after, _ := f.fake.Reads(); after-before > 2 {
			t.Errorf("100 calls cost %d reads, want at most 2", after-before)
		}
	})
}

// TestFreshIsBounded: while the engine does not answer, or fails, a call gets the error and no old reading as
// if it were new. A connection that is removed ends the wait.
func TestFreshIsBounded(t *testing.T) {
	withFixture(t, sampler.Options{FirstReading: 2 * time.Second}, func(f fixture) {
		f.fake.SetReady("jobs", 3)
		f.observe("jobs")
		f.fake.Fail(fmt.Errorf("refused: %w", backlog.ErrUnavailable))
		if seen := f.observeFresh(); seen.Err == nil {
			t.Errorf("a read that failed is %+v, want its error", seen)
		}
		f.fake.Fail(nil)
		f.fake.Freeze()
		began := time.Now()
		if seen := f.observeFresh(); seen.Err == nil {
			t.Errorf("a read that is not answered is %+v, want an error", seen)
		}
		if took := time.Since(began); took > 2*time.Second {
			t.Errorf("the call waited for %s, want at most 2s", took)
		}
		f.fake.Thaw()
		done := make(chan *backlog.Observation, 1)
		f.fake.Freeze()
		go func() { done <- f.observeFresh() }()
		synctest.Wait()
		if err := f.sampler.Apply(f.Context(), nil); err != nil {
			t.Fatal(err)
		}
		<-done
	})
}
