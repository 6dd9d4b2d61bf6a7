package server_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	pb "github.com/kedacore/keda/v2/pkg/scalers/externalscaler"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/server"
)

// TestWarmingUpAfterAStart tells growth at once, and nothing that might be a shrink
// before the hold is over.
func TestWarmingUpAfterAStart(t *testing.T) {
	inWorld(t, server.Options{}, func(w world) {
		ctx, cancel := context.WithCancel(w.Context())
		w.fake.SetReady("busy", 12)
		busy, idle := ref("busy", "hold", "30s"), ref("idle", "hold", "30s")
		busyEvents, busyEnded := w.record(ctx, busy)
		idleEvents, idleEnded := w.record(ctx, idle)
		time.Sleep(5 * time.Second)
		for _, r := range []*pb.ScaledObjectRef{busy, idle} {
			_, err := w.client.GetMetrics(w.Context(), &pb.GetMetricsRequest{ScaledObjectRef: r})
			if status.Code(err) != codes.Unavailable || !strings.Contains(err.Error(), "warming up after a start: the hold window of 30s fills in 25s") {
				t.Errorf("5 s after the start: %v", err)
			}
		}
		w.fake.SetReady("busy", 13)
		time.Sleep(5 * time.Second)
		if got := w.value(busy).GetMetricValueFloat(); got != 13 {
			t.Errorf("growth is reported as %v", got)
		}
		time.Sleep(25 * time.Second)
		cancel()
		for _, ended := range []<-chan error{busyEnded, idleEnded} {
			if err := <-ended; status.Code(err) != codes.Canceled {
				t.Errorf("ended with %v", err)
			}
		}
		if got := busyEvents(); len(got) == 0 || got[0].After > 100*time.Millisecond || !got[0].Active {
			t.Errorf("events of a busy queue: %v", got)
		}
		got := idleEvents()
		if diff := cmp.Diff([]event{{30 * time.Second, false}}, got, cmp.Transformer("round", func(d time.Duration) string { return d.Round(time.Second).String() })); diff != "" {
			t.Errorf("events of an idle queue (-want +got):\n%s", diff)
		}
	})
}

// TestDeadbandIsNotReported remembers between calls the last reported value.
func TestDeadbandIsNotReported(t *testing.T) {
	inWorld(t, server.Options{}, func(w world) {
		r := ref("jobs", "target", "50")
		for _, step := range []struct{ ready, told float64 }{{100, 100}, {104, 100}, {97, 100}, {106, 106}, {102, 106}, {101, 101}, {0, 0}, {3, 3}} {
			w.fake.SetReady("jobs", int64(step.ready))
			time.Sleep(1100 * time.Millisecond)
			if got := w.value(r).GetMetricValueFloat(); got != step.told {
				t.Errorf("%v messages are reported as %v, want %v", step.ready, got, step.told)
			}
		}
	})
}

func TestReasonsAreMetrics(t *testing.T) {
	inWorld(t, server.Options{}, func(w world) {
		w.fake.Set("jobs", backlog.Reading{Ready: 9, MaxUseful: 1})
		w.value(ref("jobs", "maxReplicas", "4", "target", "2"))
		families, err := w.registry.Gather()
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, family := range families {
			if family.GetName() != "backlog_scaler_trigger_decision_reason" {
				continue
			}
			for _, m := range family.GetMetric() {
				if m.GetGauge().GetValue() != 1 {
					t.Errorf("%v", m)
				}
				for _, pair := range m.GetLabel() {
					if pair.GetName() == "reason" {
						got = append(got, pair.GetValue())
					}
				}
			}
		}
		slices.Sort(got)
		if diff := cmp.Diff([]string{"maxReplicas", "workerLimit"}, got); diff != "" {
			t.Errorf("reasons (-want +got):\n%s", diff)
		}
	})
}
