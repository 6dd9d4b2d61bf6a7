package workload

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/redistest"
	"github.com/backlog-scaler/backlog-scaler/internal/demo/journal"
	"github.com/backlog-scaler/backlog-scaler/internal/hpa"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestDeployment(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		working := map[int]bool{}
		d := NewDeployment(time.Second, func(replica int, stop <-chan struct{}) {
			mu.Lock()
			working[replica] = true
			mu.Unlock()
			<-stop
			time.Sleep(3 * time.Second) // what was begun is finished
			mu.Lock()
			defer mu.Unlock()
			delete(working, replica)
		})
		check := func(want hpa.Scale, wantWorking ...int) {
			t.Helper()
			synctest.Wait()
			mu.Lock()
			defer mu.Unlock()
			var got []int
			for replica := range working {
				got = append(got, replica)
			}
			slices.Sort(got)
			if d.Scale() != want || !slices.Equal(got, wantWorking) {
				t.Errorf("scale %+v with %v working, want %+v with %v", d.Scale(), got, want, wantWorking)
			}
		}
		d.SetReplicas(3)
		check(hpa.Scale{Spec: 3, Status: 3})
		time.Sleep(time.Second)
		check(hpa.Steady(3), 1, 2, 3)
		d.SetReplicas(1)
		check(hpa.Steady(1), 1, 2, 3) // the two others finish
		d.SetReplicas(2)
		time.Sleep(time.Second)
		check(hpa.Steady(2), 1, 2, 3, 4) // a number is not given twice
		time.Sleep(2 * time.Second)
		check(hpa.Steady(2), 1, 4)
		d.SetReplicas(3)
		d.SetReplicas(2) // taken away before it works
		check(hpa.Steady(2), 1, 4)
		d.Close()
		check(hpa.Scale{})
		d.SetReplicas(5)
		check(hpa.Scale{})
	})
}

// Each layout hands out every message once and is empty at the end, while replicas
// come and go.
func TestAllMessagesAreDone(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	for _, spec := range []Spec{
		{Name: "a", Layout: "list", Bursts: Bursts{Messages: 30, Rounds: 2, Every: 100 * time.Millisecond}},
		{Name: "b", Layout: "stream", Bursts: Bursts{Messages: 30, Spread: 300 * time.Millisecond, Rounds: 1}},
		{Name: "c", Layout: "sortedSet", Bursts: Bursts{Messages: 30, Delay: time.Second, Rounds: 1}},
	} {
		t.Run(spec.Layout, func(t *testing.T) {
			t.Parallel()
			spec.Work = 10 * time.Millisecond
			w, err := New(t.Context(), server.Client(), spec, journal.New())
			if err != nil {
				t.Fatal(err)
			}
			w.deployment.startUp = 10 * time.Millisecond
			ctx, cancel := context.WithCancel(t.Context())
			var running sync.WaitGroup
			running.Go(func() { w.Run(ctx) })
			defer running.Wait()
			defer cancel()
			want := int64(30 * spec.Bursts.Rounds)
			scale := int32(0)
			redistest.Eventually(t, "all is done", func() bool {
				scale = scale%5 + 1
				w.SetReplicas(scale)
				sent, done := w.Counts()
				return sent == want && done >= want
			})
			w.SetReplicas(0)
			redistest.Eventually(t, "it is finished", w.Finished)
			cancel()
			running.Wait()
			if sent, done := w.Counts(); sent != want || done != want {
				t.Errorf("%d sent and %d done, want %d", sent, done, want)
			}
			keys := map[string]string{"a": "LLEN", "b": "XLEN", "c": "ZCARD"}
			for _, key := range []string{spec.Name, spec.Name + ":working"} {
				if left := server.Do(keys[spec.Name], key); left != int64(0) {
					t.Errorf("%v messages are left in %s", left, key)
				}
			}
		})
	}
}

func TestDelayedMessagesAreNotEarly(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	q, err := newQueue(t.Context(), server.Client(), Spec{Name: "later", Layout: "sortedSet"})
	if err != nil {
		t.Fatal(err)
	}
	due := time.Now().Add(300 * time.Millisecond)
	if err := q.put(t.Context(), []string{"job"}, due); err != nil {
		t.Fatal(err)
	}
	c := q.consumer("worker")
	redistest.Eventually(t, "the job is handed out", func() bool {
		job, err := c.take(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if job != "" && time.Now().Before(due.Add(-time.Millisecond)) {
			t.Fatalf("%s is handed out %s early", job, time.Until(due))
		}
		return job == "job"
	})
}

func TestSpecs(t *testing.T) {
	t.Parallel()
	var got []string
	for _, spec := range Specs(10, 3) {
		got = append(got, fmt.Sprint(spec.Name, " ", spec.Layout, " ", spec.Bursts.Every, " ", spec.Bursts.Rounds))
	}
	want := []string{"emails list 9s 3", "orders stream 11s 3", "reminders sortedSet 10s 3", "invoices list 12s 3"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("specs (-want +got):\n%s", diff)
	}
	if _, err := newQueue(t.Context(), nil, Spec{Layout: "shoebox"}); err == nil {
		t.Error("there is no error for an unknown layout")
	}
}
