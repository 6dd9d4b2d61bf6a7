package sampler_test

import (
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/backlogtest"
	"github.com/backlog-scaler/backlog-scaler/internal/sampler"
)

func TestFirstCallWaitsForTheFirstReading(t *testing.T) {
	withFixture(t, sampler.Options{}, func(f fixture) {
		f.fake.SetReady("jobs", 7)
		seen := f.observe("jobs")
		if seen.Latest.Ready != 7 || seen.Err != nil || !seen.Armed {
			f.Errorf("saw %+v", seen)
		}
	})
}

func TestFirstCallIsBounded(t *testing.T) {
	withFixture(t, sampler.Options{FirstReading: time.Second, ReadTimeout: 5 * time.Second}, func(f fixture) {
		f.fake.Freeze()
		began := time.Now()
		seen := f.observe("jobs")
		if took := time.Since(began); took != time.Second {
			f.Errorf("waited %s, want 1s", took)
		}
		if seen.Known() || !errors.Is(seen.Err, backlog.ErrUnavailable) {
			f.Errorf("saw %+v, want an error", seen)
		}
		f.fake.Thaw()
	})
}

func TestLaterCallsNeverWait(t *testing.T) {
	withFixture(t, sampler.Options{}, func(f fixture) {
		f.fake.SetReady("jobs", 7)
		f.observe("jobs")
		f.fake.Freeze()
		time.Sleep(500 * time.Millisecond)
		began := time.Now()
		for range 1000 {
			if seen := f.observe("jobs"); seen.Latest.Ready != 7 {
				f.Fatalf("saw %+v", seen)
			}
		}
		if took := time.Since(began); took != 0 {
			f.Errorf("waited %s", took)
		}
		f.fake.Thaw()
	})
}

func TestManyInterestsShareOneRead(t *testing.T) {
	withFixture(t, sampler.Options{}, func(f fixture) {
		for range 100 {
			f.subscribe("jobs")
		}
		f.observe("jobs")
		synctest.Wait()
		if _, queries, _ := f.fake.Reads(); queries != 1 {
			f.Errorf("%d queries, want 1", queries)
		}
	})
}

func TestQueuesThatFallDueTogetherAreOneBatch(t *testing.T) {
	withFixture(t, sampler.Options{}, func(f fixture) {
		for i := range 1000 {
			f.subscribe(fmt.Sprint("jobs", i))
		}
		time.Sleep(11 * time.Second)
		before, _, _ := f.fake.Reads()
		time.Sleep(30 * time.Second)
		if batches, _, _ := f.fake.Reads(); batches-before != 3 {
			f.Errorf("%d batches in three safety intervals, want 3", batches-before)
		}
	})
}

func TestIntervals(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name  string
		setup func(*backlogtest.Fake)
		want  int
	}{
		{"idle and confirmed: every minute", func(*backlogtest.Fake) {}, 1},
		{"idle and armed, but not confirmed: every ten seconds", func(f *backlogtest.Fake) { f.DisableConfirm() }, 6},
		{"active: every second", func(f *backlogtest.Fake) { f.SetReady("jobs", 1) }, 60},
		{"in flight: every second", func(f *backlogtest.Fake) { f.Set("jobs", backlog.Reading{InFlight: backlog.Exactly(1)}) }, 60},
		{"idle and not armed: polled", func(f *backlogtest.Fake) { f.DisableArming() }, 240},
		{"a queue in error: every ten seconds", func(f *backlogtest.Fake) { f.FailQueue("jobs", backlog.ErrDenied) }, 6},
	} {
		t.Run(tc.name, func(t *testing.T) {
			withFixture(t, sampler.Options{}, func(f fixture) {
				tc.setup(f.fake)
				f.subscribe("jobs").SetWaiting(false)
				// At first it is read more often.
				time.Sleep(2 * time.Minute)
				synctest.Wait()
				if got := f.queries(time.Minute); got != tc.want {
					f.Errorf("%d reads a minute, want %d", got, tc.want)
				}
			})
		})
	}
}

func TestWakeUpReadsAtOnce(t *testing.T) {
	withFixture(t, sampler.Options{}, func(f fixture) {
		sub := f.subscribe("jobs")
		<-sub.Changed()
		// Half an interval after a regular read: right after one a wake-up waits WakeInterval.
		for sub.Observation().Last.Cause != backlog.CausePoll {
			time.Sleep(time.Second)
		}
		time.Sleep(time.Until(sub.Observation().Last.At.Add(safety / 2)))
		began := time.Now()
		f.fake.SetReady("jobs", 3)
		<-sub.Changed()
		if took := time.Since(began); took != 0 {
			f.Errorf("the wake-up took %s", took)
		}
		if seen := sub.Observation(); seen.Latest.Ready != 3 {
			f.Errorf("saw %+v", seen)
		}
	})
}

func TestHotQueueCostsAtMostFiftyReadsASecond(t *testing.T) {
	withFixture(t, sampler.Options{}, func(f fixture) {
		sub := f.subscribe("jobs") // waiting for more, so every change is of interest
		synctest.Wait()
		stop := make(chan struct{})
		go func() {
			for n := int64(0); ; n++ {
				select {
				case <-stop:
					return
				case <-time.After(time.Millisecond):
					f.fake.SetReady("jobs", n)
				}
			}
		}()
		if got := f.queries(10 * time.Second); got > 500 || got < 400 {
			f.Errorf("%d reads in ten seconds, want close to 500", got)
		}
		sub.SetWaiting(false)
		synctest.Wait()
		if got := f.queries(10 * time.Second); got > 12 {
			f.Errorf("%d reads in ten seconds with no call waiting, want 10", got)
		}
		close(stop)
	})
}

func TestDelayedWorkIsReadWhenItFallsDue(t *testing.T) {
	withFixture(t, sampler.Options{}, func(f fixture) {
		due := time.Now().Add(3456 * time.Millisecond)
		f.fake.Set("later", backlog.Reading{NextDue: due})
		sub := f.subscribe("later")
		<-sub.Changed()
		time.Sleep(time.Until(due) + 20*time.Millisecond) // the least time between two reads
		synctest.Wait()
		if read := sub.Observation().Latest.At; read.Before(due) {
			f.Errorf("read at %s, want %s", read, due)
		}
	})
}

func TestOutageKeepsTheLastReadingAndRecovers(t *testing.T) {
	withFixture(t, sampler.Options{}, func(f fixture) {
		f.fake.SetReady("jobs", 9)
		f.observe("jobs")
		f.fake.Fail(fmt.Errorf("no route: %w", backlog.ErrUnavailable))
		time.Sleep(time.Minute)
		seen := f.observe("jobs")
		if seen.Latest.Ready != 9 || !errors.Is(seen.Err, backlog.ErrUnavailable) {
			f.Errorf("in the outage: %+v", seen)
		}
		if age := time.Since(seen.FailingSince); age < 58*time.Second {
			f.Errorf("failing for %s, want a minute", age)
		}
		batches, _, _ := f.fake.Reads()
		time.Sleep(time.Minute)
		if after, _, _ := f.fake.Reads(); after-batches > 16 {
			f.Errorf("%d attempts a minute, want about 12", after-batches)
		}
		f.fake.Fail(nil)
		f.fake.SetReady("jobs", 4)
		time.Sleep(6100 * time.Millisecond)
		if seen := f.observe("jobs"); seen.Err != nil || seen.Latest.Ready != 4 {
			f.Errorf("after the outage: %+v", seen)
		}
	})
}

func TestOneBadQueueDoesNotDisturbTheOthers(t *testing.T) {
	withFixture(t, sampler.Options{}, func(f fixture) {
		f.fake.FailQueue("bad", fmt.Errorf("wrong type: %w", backlog.ErrMismatch))
		f.fake.SetReady("good", 2)
		if seen := f.observe("bad"); !errors.Is(seen.Err, backlog.ErrMismatch) || seen.Known() {
			f.Errorf("bad: %+v", seen)
		}
		f.observe("good")
		if got := f.queries(10 * time.Second); got < 10 {
			f.Errorf("%d reads in ten seconds, want 10 of the good queue", got)
		}
	})
}

func TestPartialOutageDoesNotDelayTheRest(t *testing.T) {
	withFixture(t, sampler.Options{}, func(f fixture) {
		f.fake.FailQueue("on a dead node", backlog.ErrUnavailable)
		f.subscribe("on a dead node")
		sub := f.subscribe("jobs")
		time.Sleep(time.Minute)
		for n := range int64(50) {
			<-sub.Changed()
			time.Sleep(1234 * time.Millisecond)
			began := time.Now()
			f.fake.SetReady("jobs", n%2)
			time.Sleep(20 * time.Millisecond) // the least time between two reads
			synctest.Wait()
			if seen := sub.Observation(); seen.Latest.Ready != n%2 || seen.Latest.At.Before(began) {
				f.Fatalf("round %d: saw %+v at %s", n, seen.Latest, began)
			}
		}
	})
}

func TestUnwantedQueueIsForgotten(t *testing.T) {
	withFixture(t, sampler.Options{WatchTTL: time.Minute}, func(f fixture) {
		f.observe("jobs")
		held := f.subscribe("held")
		f.queries(3 * time.Minute)
		if got := f.queries(time.Minute); got != 1 {
			f.Errorf("%d reads a minute, want 1 of the queue that is held", got)
		}
		held.Close()
		held.Close()
		f.queries(3 * time.Minute)
		if got := f.queries(time.Minute); got != 0 {
			f.Errorf("%d reads a minute of queues without a subscription", got)
		}
	})
}

func TestPastReadingsWithinTheWindow(t *testing.T) {
	withFixture(t, sampler.Options{}, func(f fixture) {
		sub := f.subscribe("jobs")
		<-sub.Changed()
		for _, n := range []int64{1, 5, 5, 2, 0} {
			f.fake.SetReady("jobs", n)
			time.Sleep(10 * time.Second)
		}
		var past []int64
		for _, r := range sub.Observation().Past {
			past = append(past, r.Ready)
		}
		if diff := cmp.Diff([]int64{0, 1, 5, 2}, past); diff != "" {
			f.Errorf("past (-want +got):\n%s", diff)
		}
		time.Sleep(2 * time.Minute)
		f.fake.SetReady("jobs", 8)
		time.Sleep(100 * time.Millisecond)
		past = nil
		for _, r := range sub.Observation().Past {
			past = append(past, r.Ready)
		}
		if diff := cmp.Diff([]int64{0}, past); diff != "" {
			f.Errorf("past after the window (-want +got):\n%s", diff)
		}
	})
}

func TestApplyReconnectsOnlyWhatChanged(t *testing.T) {
	withFixture(t, sampler.Options{}, func(f fixture) {
		f.fake.SetReady("jobs", 5)
		f.observe("jobs")
		same := backlog.Connection{Name: "main", Engine: "fake", Namespaces: []string{"other"}}
		changed := same
		changed.Settings = backlog.NewSettings(map[string]any{"password": backlog.NewSecret("new")})
		for _, step := range []struct {
			name        string
			connections []backlog.Connection
			opened      int
		}{
			{"namespaces alone", []backlog.Connection{same}, 1},
			{"another password", []backlog.Connection{changed}, 2},
			{"one more", []backlog.Connection{changed, {Name: "second", Engine: "fake"}}, 3},
		} {
			if err := f.sampler.Apply(f.Context(), step.connections); err != nil {
				f.Fatal(err)
			}
			if _, _, opened := f.fake.Reads(); opened != step.opened {
				f.Errorf("%s: %d sources were opened so far, want %d", step.name, opened, step.opened)
			}
			if seen := f.observe("jobs"); seen.Latest.Ready != 5 {
				f.Errorf("%s: saw %+v", step.name, seen)
			}
		}
		sub := f.subscribe("jobs")
		if err := f.sampler.Apply(f.Context(), nil); err != nil {
			f.Fatal(err)
		}
		<-sub.Changed()
		if !sub.Gone() {
			f.Error("the connection was removed and its subscription was not notified")
		}
		if _, err := f.sampler.Observe(f.Context(), interest("jobs")); !errors.Is(err, sampler.ErrNoConnection) {
			f.Errorf("error %v, want ErrNoConnection", err)
		}
	})
}
