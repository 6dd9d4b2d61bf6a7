package sampler_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/backlogtest"
	"github.com/backlog-scaler/backlog-scaler/internal/sampler"
)

// A fixture is a sampler on a fake engine, in a bubble of synctest time.
type fixture struct {
	*testing.T
	fake    *backlogtest.Fake
	sampler *sampler.Sampler
}

func withFixture(t *testing.T, options sampler.Options, test func(fixture)) {
	t.Helper()
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		fake := backlogtest.NewFake()
		s := sampler.New([]backlog.Engine{fake.Engine()}, options)
		defer s.Close()
		if err := s.Apply(t.Context(), []backlog.Connection{{Name: "main", Engine: "fake"}}); err != nil {
			t.Fatal(err)
		}
		test(fixture{T: t, fake: fake, sampler: s})
	})
}

func interest(queue string) backlog.Interest {
	return backlog.Interest{
		Connection: "main", Window: time.Minute,
		Query: backlog.Query{Layout: "queue", Queue: queue},
	}
}

func (f fixture) observe(queue string) backlog.Observation {
	f.Helper()
	seen, err := f.sampler.Observe(f.Context(), interest(queue))
	if err != nil {
		f.Fatal(err)
	}
	return *seen
}

func (f fixture) subscribe(queue string) *sampler.Subscription {
	f.Helper()
	sub, err := f.sampler.Subscribe(interest(queue))
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(sub.Close)
	return sub
}

// queries returns how many queries are answered while d passes.
func (f fixture) queries(d time.Duration) int {
	_, before, _ := f.fake.Reads()
	time.Sleep(d)
	synctest.Wait()
	_, after, _ := f.fake.Reads()
	return after - before
}
