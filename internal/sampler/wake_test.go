package sampler_test

import (
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/sampler"
)

// TestWake: an idle queue whose change the engine did not notice is read at once.
func TestWake(t *testing.T) {
	// No other read comes by chance in the moments in which the test looks.
	rare := sampler.Options{SafetyInterval: 24 * time.Hour, ActiveInterval: 24 * time.Hour}
	withFixture(t, rare, func(f fixture) {
		several := interest("job?,mails")
		several.Query.Layout = "queues"
		for _, want := range []backlog.Interest{interest("jobs"), interest("mails"), several} {
			if _, err := f.sampler.Observe(f.Context(), want); err != nil {
				f.Fatal(err)
			}
		}
		time.Sleep(time.Second)
		f.fake.SetSilently("jobs", backlog.Reading{Ready: 7})
		if n := f.sampler.Wake("main", "jobs"); n != 2 {
			f.Errorf("%d queries read the queue, want the one that names it and the one whose pattern matches it", n)
		}
		time.Sleep(100 * time.Millisecond)
		synctest.Wait()
		seen := f.observe("jobs")
		if seen.Latest.Ready != 7 || seen.Last.Cause != backlog.CauseWakeUp {
			f.Errorf("%d ready, read because of %q", seen.Latest.Ready, seen.Last.Cause)
		}
		for _, unknown := range [][2]string{{"main", "letters"}, {"other", "jobs"}} {
			if n := f.sampler.Wake(unknown[0], unknown[1]); n != 0 {
				f.Errorf("%d queries of %v", n, unknown)
			}
		}
	})
}

// TestWakeWhileAConnectionChanges: requests come at any moment, also while a connection is opened with
// other settings.
func TestWakeWhileAConnectionChanges(t *testing.T) {
	withFixture(t, sampler.Options{}, func(f fixture) {
		f.observe("jobs")
		done := make(chan struct{})
		go func() {
			defer close(done)
			for range 100 {
				f.sampler.Wake("main", "jobs")
				time.Sleep(time.Millisecond)
			}
		}()
		for i := range 50 {
			settings := backlog.NewSettings(map[string]any{"password": backlog.NewSecret(strconv.Itoa(i))})
			if err := f.sampler.Apply(f.Context(), []backlog.Connection{{Name: "main", Engine: "fake", Settings: settings}}); err != nil {
				f.Fatal(err)
			}
			time.Sleep(time.Millisecond)
		}
		<-done
		if n := f.sampler.Wake("main", "jobs"); n != 1 {
			f.Errorf("%d queries are read, want 1", n)
		}
	})
}
