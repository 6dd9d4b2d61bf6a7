package sampler_test

import (
	"testing"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/sampler"
)

// TestMemo: a caller with a memo is answered from where its query is, for as long as that is read.
func TestMemo(t *testing.T) {
	withFixture(t, sampler.Options{}, func(f fixture) {
		f.fake.SetReady("jobs", 1)
		want := interest("jobs")
		want.Memo = &backlog.Memo{}
		observe := func() int64 {
			seen, err := f.sampler.Observe(f.Context(), want)
			if err != nil {
				f.Fatal(err)
			}
			return seen.Latest.Ready
		}
		for range 100 {
			if n := observe(); n != 1 {
				f.Fatalf("%d ready, want 1", n)
			}
			time.Sleep(time.Minute)
		}
		// Without requests the queue is forgotten; then it is read again, like a new one.
		time.Sleep(24 * time.Hour)
		f.fake.SetSilently("jobs", backlog.Reading{Ready: 2})
		if n := observe(); n != 2 {
			f.Errorf("%d ready, want 2", n)
		}
		// The connection is closed, and comes back.
		if err := f.sampler.Apply(f.Context(), nil); err != nil {
			f.Fatal(err)
		}
		if _, err := f.sampler.Observe(f.Context(), want); err == nil {
			f.Error("a queue of a closed connection is answered from the memo")
		}
		if err := f.sampler.Apply(f.Context(), []backlog.Connection{{Name: "main", Engine: "fake"}}); err != nil {
			f.Fatal(err)
		}
		f.fake.SetReady("jobs", 3)
		if n := observe(); n != 3 {
			f.Errorf("%d ready, want 3", n)
		}
	})
}
