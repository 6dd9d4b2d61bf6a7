package sampler_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/backlogtest"
	"github.com/backlog-scaler/backlog-scaler/internal/sampler"
)

// A world is a sampler on a fake engine, in a bubble of synctest time.
type world struct {
	*testing.T
	fake    *backlogtest.Fake
	sampler *sampler.Sampler
}

func inWorld(t *testing.T, options sampler.Options, test func(world)) {
	t.Helper()
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		fake := backlogtest.NewFake()
		s := sampler.New([]backlog.Engine{fake.Engine()}, options)
		defer s.Close()
		if err := s.Apply(t.Context(), []backlog.Connection{{Name: "main", Engine: "fake"}}); err != nil {
			t.Fatal(err)
		}
		test(world{T: t, fake: fake, sampler: s})
	})
}

func interest(queue string) backlog.Interest {
	return backlog.Interest{
		Connection: "main", Window: time.Minute,
		Query: backlog.Query{Layout: "queue", Queue: queue},
	}
}

func (w world) observe(queue string) backlog.Observation {
	w.Helper()
	seen, err := w.sampler.Observe(w.Context(), interest(queue))
	if err != nil {
		w.Fatal(err)
	}
	return seen
}

func (w world) subscribe(queue string) *sampler.Subscription {
	w.Helper()
	sub, err := w.sampler.Subscribe(interest(queue))
	if err != nil {
		w.Fatal(err)
	}
	w.Cleanup(sub.Close)
	return sub
}

// queries returns how many queries are answered while d passes.
func (w world) queries(d time.Duration) int {
	_, before, _ := w.fake.Reads()
	time.Sleep(d)
	synctest.Wait()
	_, after, _ := w.fake.Reads()
	return after - before
}

func TestFirstCallWaitsForTheFirstReading(t *testing.T) {
	inWorld(t, sampler.Options{}, func(w world) {
		w.fake.SetReady("jobs", 7)
		seen := w.observe("jobs")
		if seen.Latest.Ready != 7 || seen.Err != nil || !seen.Armed {
			w.Errorf("saw %+v", seen)
		}
	})
}

func TestFirstCallIsBounded(t *testing.T) {
	inWorld(t, sampler.Options{FirstReading: time.Second, ReadTimeout: 5 * time.Second}, func(w world) {
		w.fake.Freeze()
		began := time.Now()
		seen := w.observe("jobs")
		if took := time.Since(began); took != time.Second {
			w.Errorf("waited %s, want 1s", took)
		}
		if seen.Known() || !errors.Is(seen.Err, backlog.ErrUnavailable) {
			w.Errorf("saw %+v, want an error", seen)
		}
		w.fake.Thaw()
	})
}

func TestLaterCallsNeverWait(t *testing.T) {
	inWorld(t, sampler.Options{}, func(w world) {
		w.fake.SetReady("jobs", 7)
		w.observe("jobs")
		w.fake.Freeze()
		time.Sleep(500 * time.Millisecond)
		began := time.Now()
		for range 1000 {
			if seen := w.observe("jobs"); seen.Latest.Ready != 7 {
				w.Fatalf("saw %+v", seen)
			}
		}
		if took := time.Since(began); took != 0 {
			w.Errorf("waited %s", took)
		}
		w.fake.Thaw()
	})
}

func TestManyInterestsShareOneRead(t *testing.T) {
	inWorld(t, sampler.Options{}, func(w world) {
		for range 100 {
			w.subscribe("jobs")
		}
		w.observe("jobs")
		synctest.Wait()
		if _, queries, _ := w.fake.Reads(); queries != 1 {
			w.Errorf("%d queries, want 1", queries)
		}
	})
}

func TestQueuesThatFallDueTogetherAreOneBatch(t *testing.T) {
	inWorld(t, sampler.Options{}, func(w world) {
		for i := range 1000 {
			w.subscribe(fmt.Sprint("jobs", i))
		}
		time.Sleep(11 * time.Second)
		before, _, _ := w.fake.Reads()
		time.Sleep(30 * time.Second)
		if batches, _, _ := w.fake.Reads(); batches-before != 3 {
			w.Errorf("%d batches in three safety intervals, want 3", batches-before)
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
		{"idle and armed, but not confirmed: every ten seconds", func(f *backlogtest.Fake) { f.Unsettle() }, 6},
		{"active: every second", func(f *backlogtest.Fake) { f.SetReady("jobs", 1) }, 60},
		{"in flight: every second", func(f *backlogtest.Fake) { f.Set("jobs", backlog.Reading{InFlight: backlog.Exactly(1)}) }, 60},
		{"idle and not armed: polled", func(f *backlogtest.Fake) { f.Deafen() }, 240},
		{"a queue in error: every ten seconds", func(f *backlogtest.Fake) { f.FailQueue("jobs", backlog.ErrDenied) }, 6},
	} {
		t.Run(tc.name, func(t *testing.T) {
			inWorld(t, sampler.Options{}, func(w world) {
				tc.setup(w.fake)
				w.subscribe("jobs").SetWaiting(false)
				// At first it is read more often.
				time.Sleep(2 * time.Minute)
				synctest.Wait()
				if got := w.queries(time.Minute); got != tc.want {
					w.Errorf("%d reads a minute, want %d", got, tc.want)
				}
			})
		})
	}
}

func TestWakeUpReadsAtOnce(t *testing.T) {
	inWorld(t, sampler.Options{}, func(w world) {
		sub := w.subscribe("jobs")
		<-sub.Changed()
		// Half an interval after a regular read: right after one a wake-up waits WakeInterval.
		for sub.Observation().Last.Cause != backlog.CausePoll {
			time.Sleep(time.Second)
		}
		time.Sleep(time.Until(sub.Observation().Last.At.Add(safety / 2)))
		began := time.Now()
		w.fake.SetReady("jobs", 3)
		<-sub.Changed()
		if took := time.Since(began); took != 0 {
			w.Errorf("the wake-up took %s", took)
		}
		if seen := sub.Observation(); seen.Latest.Ready != 3 {
			w.Errorf("saw %+v", seen)
		}
	})
}

func TestHotQueueCostsAtMostFiftyReadsASecond(t *testing.T) {
	inWorld(t, sampler.Options{}, func(w world) {
		sub := w.subscribe("jobs") // waiting for more, so every change is of interest
		synctest.Wait()
		stop := make(chan struct{})
		go func() {
			for n := int64(0); ; n++ {
				select {
				case <-stop:
					return
				case <-time.After(time.Millisecond):
					w.fake.SetReady("jobs", n)
				}
			}
		}()
		if got := w.queries(10 * time.Second); got > 500 || got < 400 {
			w.Errorf("%d reads in ten seconds, want close to 500", got)
		}
		sub.SetWaiting(false)
		synctest.Wait()
		if got := w.queries(10 * time.Second); got > 12 {
			w.Errorf("%d reads in ten seconds with nobody waiting, want 10", got)
		}
		close(stop)
	})
}

func TestDelayedWorkIsReadWhenItFallsDue(t *testing.T) {
	inWorld(t, sampler.Options{}, func(w world) {
		due := time.Now().Add(3456 * time.Millisecond)
		w.fake.Set("later", backlog.Reading{NextDue: due})
		sub := w.subscribe("later")
		<-sub.Changed()
		time.Sleep(time.Until(due) + 20*time.Millisecond) // the least time between two reads
		synctest.Wait()
		if read := sub.Observation().Latest.At; read.Before(due) {
			w.Errorf("read at %s, want %s", read, due)
		}
	})
}

func TestOutageKeepsTheLastReadingAndRecovers(t *testing.T) {
	inWorld(t, sampler.Options{}, func(w world) {
		w.fake.SetReady("jobs", 9)
		w.observe("jobs")
		w.fake.Fail(fmt.Errorf("no route: %w", backlog.ErrUnavailable))
		time.Sleep(time.Minute)
		seen := w.observe("jobs")
		if seen.Latest.Ready != 9 || !errors.Is(seen.Err, backlog.ErrUnavailable) {
			w.Errorf("in the outage: %+v", seen)
		}
		if age := time.Since(seen.FailingSince); age < 58*time.Second {
			w.Errorf("failing for %s, want a minute", age)
		}
		batches, _, _ := w.fake.Reads()
		time.Sleep(time.Minute)
		if after, _, _ := w.fake.Reads(); after-batches > 16 {
			w.Errorf("%d attempts a minute, want about 12", after-batches)
		}
		w.fake.Fail(nil)
		w.fake.SetReady("jobs", 4)
		time.Sleep(6100 * time.Millisecond)
		if seen := w.observe("jobs"); seen.Err != nil || seen.Latest.Ready != 4 {
			w.Errorf("after the outage: %+v", seen)
		}
	})
}

func TestOneBadQueueDoesNotDisturbTheOthers(t *testing.T) {
	inWorld(t, sampler.Options{}, func(w world) {
		w.fake.FailQueue("bad", fmt.Errorf("wrong type: %w", backlog.ErrMismatch))
		w.fake.SetReady("good", 2)
		if seen := w.observe("bad"); !errors.Is(seen.Err, backlog.ErrMismatch) || seen.Known() {
			w.Errorf("bad: %+v", seen)
		}
		w.observe("good")
		if got := w.queries(10 * time.Second); got < 10 {
			w.Errorf("%d reads in ten seconds, want 10 of the good queue", got)
		}
	})
}

func TestPartialOutageDoesNotDelayTheRest(t *testing.T) {
	inWorld(t, sampler.Options{}, func(w world) {
		w.fake.FailQueue("on a dead node", backlog.ErrUnavailable)
		w.subscribe("on a dead node")
		sub := w.subscribe("jobs")
		time.Sleep(time.Minute)
		for n := range int64(50) {
			<-sub.Changed()
			time.Sleep(1234 * time.Millisecond)
			began := time.Now()
			w.fake.SetReady("jobs", n%2)
			time.Sleep(20 * time.Millisecond) // the least time between two reads
			synctest.Wait()
			if seen := sub.Observation(); seen.Latest.Ready != n%2 || seen.Latest.At.Before(began) {
				w.Fatalf("round %d: saw %+v at %s", n, seen.Latest, began)
			}
		}
	})
}

func TestUnwantedQueueIsForgotten(t *testing.T) {
	inWorld(t, sampler.Options{WatchTTL: time.Minute}, func(w world) {
		w.observe("jobs")
		held := w.subscribe("held")
		w.queries(3 * time.Minute)
		if got := w.queries(time.Minute); got != 1 {
			w.Errorf("%d reads a minute, want 1 of the queue that is held", got)
		}
		held.Close()
		held.Close()
		w.queries(3 * time.Minute)
		if got := w.queries(time.Minute); got != 0 {
			w.Errorf("%d reads a minute of queues that nobody wants", got)
		}
	})
}

func TestPastReadingsWithinTheWindow(t *testing.T) {
	inWorld(t, sampler.Options{}, func(w world) {
		sub := w.subscribe("jobs")
		<-sub.Changed()
		for _, n := range []int64{1, 5, 5, 2, 0} {
			w.fake.SetReady("jobs", n)
			time.Sleep(10 * time.Second)
		}
		var past []int64
		for _, r := range sub.Observation().Past {
			past = append(past, r.Ready)
		}
		if diff := cmp.Diff([]int64{0, 1, 5, 2}, past); diff != "" {
			w.Errorf("past (-want +got):\n%s", diff)
		}
		time.Sleep(2 * time.Minute)
		w.fake.SetReady("jobs", 8)
		time.Sleep(100 * time.Millisecond)
		past = nil
		for _, r := range sub.Observation().Past {
			past = append(past, r.Ready)
		}
		if diff := cmp.Diff([]int64{0}, past); diff != "" {
			w.Errorf("past after the window (-want +got):\n%s", diff)
		}
	})
}

func TestApplyReconnectsOnlyWhatChanged(t *testing.T) {
	inWorld(t, sampler.Options{}, func(w world) {
		w.fake.SetReady("jobs", 5)
		w.observe("jobs")
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
			if err := w.sampler.Apply(w.Context(), step.connections); err != nil {
				w.Fatal(err)
			}
			if _, _, opened := w.fake.Reads(); opened != step.opened {
				w.Errorf("%s: %d sources were opened so far, want %d", step.name, opened, step.opened)
			}
			if seen := w.observe("jobs"); seen.Latest.Ready != 5 {
				w.Errorf("%s: saw %+v", step.name, seen)
			}
		}
		sub := w.subscribe("jobs")
		if err := w.sampler.Apply(w.Context(), nil); err != nil {
			w.Fatal(err)
		}
		<-sub.Changed()
		if !sub.Gone() {
			w.Error("the connection was removed and its subscription was not told")
		}
		if _, err := w.sampler.Observe(w.Context(), interest("jobs")); !errors.Is(err, sampler.ErrNoConnection) {
			w.Errorf("error %v, want ErrNoConnection", err)
		}
	})
}

func TestStuckLoopIsReported(t *testing.T) {
	inWorld(t, sampler.Options{}, func(w world) {
		w.observe("jobs")
		time.Sleep(time.Hour)
		synctest.Wait()
		if err := w.sampler.Stuck(); err != nil {
			w.Errorf("an idle loop is said to be stuck: %v", err)
		}
	})
	t.Run("a read that ignores its deadline", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			release := make(chan struct{})
			engine := backlog.Engine{Name: "fake", Open: func(context.Context, backlog.Connection, *slog.Logger) (backlog.Source, error) {
				return deadlock{release}, nil
			}}
			s := sampler.New([]backlog.Engine{engine}, sampler.Options{})
			defer s.Close()
			if err := s.Apply(t.Context(), []backlog.Connection{{Name: "main", Engine: "fake"}}); err != nil {
				t.Fatal(err)
			}
			if _, err := s.Observe(t.Context(), interest("jobs")); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Minute)
			if err := s.Stuck(); err == nil {
				t.Error("a loop that hangs for a minute is not said to be stuck")
			}
			close(release)
		})
	})
}

// A deadlock is a source whose reads hang, whatever their context says.
type deadlock struct{ release chan struct{} }

func (d deadlock) Read(_ context.Context, queries []backlog.Query) []backlog.Result {
	<-d.release
	results := make([]backlog.Result, len(queries))
	for i := range results {
		results[i].Err = backlog.ErrUnavailable
	}
	return results
}

func (d deadlock) Status() backlog.Status { return backlog.Status{} }

func (d deadlock) Close() error { return nil }
