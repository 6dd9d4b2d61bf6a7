package server_test

import (
	"context"
	"errors"
	"io"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	pb "github.com/kedacore/keda/v2/pkg/scalers/externalscaler"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/server"
	"github.com/backlog-scaler/backlog-scaler/internal/trigger"
)

// An event is a message of a stream and when it came, counted from the start.
type event struct {
	After  time.Duration
	Active bool
}

// record collects the messages of a StreamIsActive until it ends.
func (w world) record(ctx context.Context, r *pb.ScaledObjectRef) (events func() []event, ended <-chan error) {
	w.Helper()
	stream, err := w.client.StreamIsActive(ctx, r)
	if err != nil {
		w.Fatal(err)
	}
	began := time.Now()
	var mu sync.Mutex
	var all []event
	end := make(chan error, 1)
	go func() {
		for {
			reply, err := stream.Recv()
			if err != nil {
				end <- err
				return
			}
			mu.Lock()
			all = append(all, event{time.Since(began), reply.GetResult()})
			mu.Unlock()
		}
	}()
	return func() []event {
		synctest.Wait()
		mu.Lock()
		defer mu.Unlock()
		return slices.Clone(all)
	}, end
}

func TestStreamIsActive(t *testing.T) {
	inWorld(t, server.Options{}, func(w world) {
		ctx, cancel := context.WithCancel(w.Context())
		events, ended := w.record(ctx, ref("jobs"))
		time.Sleep(5500 * time.Millisecond)
		w.fake.SetReady("jobs", 1)
		time.Sleep(70 * time.Second)
		w.fake.SetReady("jobs", 0)
		time.Sleep(10 * time.Second)
		want := []event{
			{0, false},
			{5500 * time.Millisecond, true},
			{7500 * time.Millisecond, true},
			{11500 * time.Millisecond, true},
			{19500 * time.Millisecond, true},
			{35500 * time.Millisecond, true},
			{67500 * time.Millisecond, true},
		}
		got := events()
		end := got[len(got)-1]
		if late := end.After - 75500*time.Millisecond; end.Active || late < 0 || late > time.Second {
			t.Errorf("the last event is %+v, want inactive within a second of 75.5s", end)
		}
		if diff := cmp.Diff(want, got[:len(got)-1], cmp.Transformer("round", func(d time.Duration) string { return d.Round(500 * time.Millisecond).String() })); diff != "" {
			t.Errorf("events (-want +got):\n%s", diff)
		}
		cancel()
		if err := <-ended; status.Code(err) != codes.Canceled {
			t.Errorf("ended with %v", err)
		}
	})
}

func TestStreamSaysActiveAtMostOnceASecond(t *testing.T) {
	inWorld(t, server.Options{}, func(w world) {
		ctx, cancel := context.WithCancel(w.Context())
		defer cancel()
		events, _ := w.record(ctx, ref("jobs"))
		for range 200 {
			w.fake.SetReady("jobs", 1)
			time.Sleep(37 * time.Millisecond)
			w.fake.SetReady("jobs", 0)
			time.Sleep(61 * time.Millisecond)
		}
		edges := 0
		var last time.Duration
		for _, e := range events() {
			if !e.Active {
				continue
			}
			edges++
			if e.After-last < time.Second && edges > 1 {
				t.Errorf("active at %s and at %s", last, e.After)
			}
			last = e.After
		}
		if edges < 5 {
			t.Errorf("said active %d times in twenty seconds of flapping", edges)
		}
	})
}

func TestStreamKeepsSilentAboutWhatIsUnknown(t *testing.T) {
	inWorld(t, server.Options{}, func(w world) {
		w.fake.Fail(backlog.ErrUnavailable)
		ctx, cancel := context.WithCancel(w.Context())
		defer cancel()
		events, _ := w.record(ctx, ref("jobs"))
		time.Sleep(time.Minute)
		if got := events(); len(got) != 0 {
			t.Errorf("said %v while nothing was known", got)
		}
		w.fake.SetReady("jobs", 1)
		w.fake.Fail(nil)
		time.Sleep(7 * time.Second)
		if got := events(); len(got) == 0 || !got[0].Active {
			t.Errorf("said %v after the recovery", got)
		}
		w.fake.Fail(backlog.ErrUnavailable)
		time.Sleep(5 * time.Minute)
		for _, e := range events() {
			if !e.Active {
				t.Errorf("said inactive at %s, in an outage", e.After)
			}
		}
	})
}

func TestStreamsEndWithEOF(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name string
		end  func(world)
	}{
		{"when the server drains", func(w world) { w.server.Drain(); w.server.Drain() }},
		{"at the end of their lifetime", func(world) { time.Sleep(34 * time.Minute) }},
	} {
		t.Run(tc.name, func(t *testing.T) {
			inWorld(t, server.Options{StreamLifetime: 30 * time.Minute}, func(w world) {
				_, ended := w.record(w.Context(), ref("jobs"))
				specs, err := w.client.StreamMetricSpec(w.Context(), ref("jobs"))
				if err != nil {
					t.Fatal(err)
				}
				if _, err := specs.Recv(); err != nil {
					t.Fatal(err)
				}
				synctest.Wait()
				tc.end(w)
				if err := <-ended; !errors.Is(err, io.EOF) {
					t.Errorf("StreamIsActive ended with %v, want EOF", err)
				}
				if _, err := specs.Recv(); !errors.Is(err, io.EOF) {
					t.Errorf("StreamMetricSpec ended with %v, want EOF", err)
				}
			})
		})
	}
}

func TestStreamsFollowTheConfiguration(t *testing.T) {
	inWorld(t, server.Options{}, func(w world) {
		engines := []backlog.Engine{w.fake.Engine()}
		_, ended := w.record(w.Context(), ref("jobs"))
		specs, err := w.client.StreamMetricSpec(w.Context(), ref("jobs"))
		if err != nil {
			t.Fatal(err)
		}
		got := make(chan error, 10)
		go func() {
			for {
				_, err := specs.Recv()
				got <- err
				if err != nil {
					return
				}
			}
		}()
		if err := <-got; err != nil {
			t.Fatal(err)
		}
		w.server.SetCatalog(trigger.NewCatalog(connections(), engines))
		synctest.Wait()
		if len(got) != 0 || len(ended) != 0 {
			t.Error("a configuration that changes nothing for the trigger was reported to KEDA")
		}
		w.server.SetCatalog(trigger.NewCatalog(nil, engines))
		if err := <-ended; status.Code(err) != codes.PermissionDenied {
			t.Errorf("StreamIsActive ended with %v", err)
		}
		if err := <-got; status.Code(err) != codes.PermissionDenied {
			t.Errorf("StreamMetricSpec ended with %v", err)
		}
		if _, err := w.client.IsActive(w.Context(), ref("jobs")); status.Code(err) != codes.PermissionDenied {
			t.Errorf("a parsed trigger outlived its configuration: %v", err)
		}
	})
}
