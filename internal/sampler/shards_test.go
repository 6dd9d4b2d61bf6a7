package sampler_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/backlogtest"
	"github.com/backlog-scaler/backlog-scaler/internal/sampler"
)

// inShards is withFixture with an engine whose queues lie on the servers that their names begin
// with: "a:jobs" on "a".
func inShards(t *testing.T, test func(fixture)) {
	t.Helper()
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		fake := backlogtest.NewFake()
		fake.Shard(func(q backlog.Query) string {
			name, _, _ := strings.Cut(q.Queue, ":")
			return name
		})
		s := sampler.New([]backlog.Engine{fake.Engine()}, sampler.Options{})
		defer s.Close()
		if err := s.Apply(t.Context(), []backlog.Connection{{Name: "main", Engine: "fake"}}); err != nil {
			t.Fatal(err)
		}
		test(fixture{T: t, fake: fake, sampler: s})
	})
}

// TestSilentShardDelaysNoOther: a server that does not answer keeps the queues of others
// waiting neither for a read nor for a confirmation. Its own become unknown, and known again.
func TestSilentShardDelaysNoOther(t *testing.T) {
	inShards(t, func(f fixture) {
		silent, speaking := f.subscribe("a:jobs"), f.subscribe("b:jobs")
		f.fake.SetReady("a:jobs", 1)
		synctest.Wait()
		f.fake.FreezeShard("a")
		began := time.Now()
		for round := range 200 {
			// Reads of the silent one begin and end at any of these moments.
			time.Sleep(137 * time.Millisecond)
			ready := int64((round + 1) % 2)
			f.fake.SetReady("b:jobs", ready)
			if ready == 0 {
				// Work that is gone is seen by the next regular read.
				time.Sleep(time.Second)
			}
			time.Sleep(20 * time.Millisecond)
			synctest.Wait()
			if seen := speaking.Observation(); seen.Err != nil || seen.Latest.Ready != ready {
				f.Fatalf("round %d: the queue of another server is %+v, want %d ready", round, seen, ready)
			}
		}
		if seen := silent.Observation(); !errors.Is(seen.Err, backlog.ErrUnavailable) || seen.Latest.Ready != 1 || seen.Latest.At.After(began) {
			f.Errorf("the queue of the silent server is %+v, want its last reading and ErrUnavailable", seen)
		}
		if err := f.sampler.Stuck(); err != nil {
			f.Error(err)
		}
		f.fake.ThawShard("a")
		time.Sleep(10 * time.Second)
		synctest.Wait()
		if seen := silent.Observation(); seen.Err != nil || seen.Latest.Ready != 1 {
			f.Errorf("after it answers again: %+v", seen)
		}
	})
}

// TestPartlyConfirmed: what is confirmed of some servers stands, and only the queues of the
// others are read.
func TestPartlyConfirmed(t *testing.T) {
	inShards(t, func(f fixture) {
		for i := range 60 {
			f.subscribe(fmt.Sprint("a:jobs", i))
			f.subscribe(fmt.Sprint("b:jobs", i))
		}
		// Until a sixth of them is read in each interval.
		time.Sleep(3 * time.Minute)
		f.fake.FreezeShard("a")
		began := time.Now()
		time.Sleep(time.Minute)
		synctest.Wait()
		_, before, _ := f.fake.Reads()
		time.Sleep(time.Minute)
		synctest.Wait()
		if _, after, _ := f.fake.Reads(); after-before != 60 {
			f.Errorf("%d reads of the 60 queues of the other server in a minute, want 60", after-before)
		}
		for i := range 60 {
			if age := time.Since(f.observe(fmt.Sprint("b:jobs", i)).Latest.At); age > safety+3*time.Second {
				f.Fatalf("b:jobs%d was seen last %s ago", i, age)
			}
			seen := f.observe(fmt.Sprint("a:jobs", i))
			if !errors.Is(seen.Err, backlog.ErrUnavailable) || seen.Latest.At.After(began) {
				f.Fatalf("a:jobs%d of a server that is silent since %s: %+v", i, began, seen)
			}
		}
		f.fake.ThawShard("a")
		time.Sleep(10 * time.Second)
		synctest.Wait()
		if seen := f.observe("a:jobs7"); seen.Err != nil || !seen.Armed {
			f.Errorf("after it answers again: %+v", seen)
		}
	})
}

// TestShardsAreReadInBatches: what falls due together on one server is one batch there.
func TestShardsAreReadInBatches(t *testing.T) {
	inShards(t, func(f fixture) {
		for i := range 100 {
			f.fake.SetReady(fmt.Sprint("a:jobs", i), 1)
			f.fake.SetReady(fmt.Sprint("b:jobs", i), 1)
			f.subscribe(fmt.Sprint("a:jobs", i))
			f.subscribe(fmt.Sprint("b:jobs", i))
		}
		time.Sleep(5 * time.Second)
		synctest.Wait()
		batches, queries, _ := f.fake.Reads()
		time.Sleep(10 * time.Second)
		synctest.Wait()
		batchesAfter, queriesAfter, _ := f.fake.Reads()
		if b, q := batchesAfter-batches, queriesAfter-queries; b != 20 || q != 2000 {
			f.Errorf("%d queries in %d batches, want 2000 in 20", q, b)
		}
	})
}

// TestFreshCallWhileAnotherReadIsUnderWay: a call for a queue that waits for its server's present read
// to end gets what the next one finds.
func TestFreshCallWhileAnotherReadIsUnderWay(t *testing.T) {
	inShards(t, func(f fixture) {
		f.subscribe("a:slow")
		waiting := f.subscribe("a:jobs")
		time.Sleep(3 * time.Minute)
		synctest.Wait()
		release := make(chan struct{})
		f.fake.AfterRead(func(queries []backlog.Query) bool {
			if queries[0].Queue == "a:slow" {
				<-release
			}
			return false
		})
		f.fake.SetReady("a:slow", 1)
		synctest.Wait()
		f.fake.SetReady("a:jobs", 1)
		synctest.Wait()
		if seen := waiting.Observation(); seen.Latest.Ready != 0 {
			f.Fatalf("the queue is %+v, and its server is still busy", seen)
		}
		want := interest("a:jobs")
		want.Fresh, want.Memo = true, new(backlog.Memo)
		began, answered := time.Now(), make(chan *backlog.Observation, 1)
		go func() {
			seen, err := f.sampler.Observe(f.Context(), want)
			if err != nil {
				f.Error(err)
			}
			answered <- seen
		}()
		synctest.Wait()
		close(release)
		seen := <-answered
		if took := time.Since(began); seen.Err != nil || seen.Latest.Ready != 1 || took > 250*time.Millisecond {
			f.Errorf("the call gets %+v after %s, want 1 ready at once", seen, took)
		}
	})
}

// TestStuckShard: a read of one server that does not end, although its time is over, is
// noticed, and the others are read.
func TestStuckShard(t *testing.T) {
	inShards(t, func(f fixture) {
		other := f.subscribe("b:jobs")
		synctest.Wait()
		release := make(chan struct{})
		f.fake.AfterRead(func(queries []backlog.Query) bool {
			if queries[0].Queue == "a:jobs" {
				<-release
			}
			return false
		})
		f.subscribe("a:jobs")
		time.Sleep(15 * time.Second)
		if err := f.sampler.Stuck(); err == nil {
			f.Error("a read that takes 15 s is not noticed")
		}
		f.fake.SetReady("b:jobs", 1)
		time.Sleep(20 * time.Millisecond)
		synctest.Wait()
		if seen := other.Observation(); seen.Latest.Ready != 1 {
			f.Errorf("the queue of another server is %+v, want 1 ready", seen)
		}
		close(release)
		time.Sleep(10 * time.Second)
		synctest.Wait()
		if err := f.sampler.Stuck(); err != nil {
			f.Error(err)
		}
	})
}
