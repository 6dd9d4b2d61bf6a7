package server_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	pb "github.com/kedacore/keda/v2/pkg/scalers/externalscaler"
	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/backlog-scaler/backlog-scaler/internal/server"
)

// refOf is the n-th trigger of a namespace.
func refOf(namespace string, n int) *pb.ScaledObjectRef {
	r := ref(fmt.Sprintf("queue-%d", n))
	r.Namespace, r.Name = namespace, fmt.Sprintf("worker-%d", n)
	return r
}

func (w world) code(r *pb.ScaledObjectRef) codes.Code {
	w.Helper()
	_, err := w.client.IsActive(w.Context(), r)
	return status.Code(err)
}

// TestTriggersAreBounded: a namespace at its limit gets a clear error, others go on, and
// what KEDA does not ask about any more makes room.
func TestTriggersAreBounded(t *testing.T) {
	inWorld(t, server.Options{MaxTriggersPerNamespace: 2, MaxTriggers: 3}, func(w world) {
		for n := range 2 {
			if code := w.code(refOf("shop", n)); code != codes.OK {
				t.Fatalf("trigger %d: %v", n, code)
			}
		}
		_, err := w.client.IsActive(w.Context(), refOf("shop", 2))
		if status.Code(err) != codes.ResourceExhausted || !strings.Contains(err.Error(), `namespace "shop" already has 2 triggers, which --max-triggers-per-namespace`) {
			t.Errorf("one more: %v", err)
		}
		if code := w.code(refOf("shop", 0)); code != codes.OK {
			t.Errorf("one that is known: %v", code)
		}
		if code := w.code(refOf("bank", 0)); code != codes.OK {
			t.Errorf("another namespace: %v", code)
		}
		if _, err := w.client.IsActive(w.Context(), refOf("bank", 1)); status.Code(err) != codes.ResourceExhausted || !strings.Contains(err.Error(), "there are already 3 triggers") {
			t.Errorf("one more than all may have: %v", err)
		}
		if n := rejectedBy(t, w.registry, "triggers"); n < 2 {
			t.Errorf("the metrics have %v rejections, want at least 2", n)
		}
		time.Sleep(4 * time.Minute)
		w.code(refOf("shop", 0))
		time.Sleep(2 * time.Minute)
		for _, r := range []*pb.ScaledObjectRef{refOf("shop", 0), refOf("shop", 2), refOf("bank", 1)} {
			if code := w.code(r); code != codes.OK {
				t.Errorf("%s, after the others were forgotten: %v", r.GetName(), code)
			}
		}
	})
}

// rejectedBy returns how many rejections a limit has counted.
func rejectedBy(t *testing.T, registry *prometheus.Registry, kind string) float64 {
	t.Helper()
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, family := range families {
		if family.GetName() != "backlog_scaler_limit_rejections_total" {
			continue
		}
		for _, metric := range family.GetMetric() {
			if metric.GetLabel()[0].GetValue() == kind {
				return metric.GetCounter().GetValue()
			}
		}
	}
	return 0
}

// TestForgottenTriggersAreSwept: triggers are forgotten also while none is added.
func TestForgottenTriggersAreSwept(t *testing.T) {
	inWorld(t, server.Options{MaxTriggersPerNamespace: 5, MaxTriggers: 5}, func(w world) {
		for n := range 5 {
			w.code(refOf("shop", n))
		}
		time.Sleep(10 * time.Minute)
		if n := len(w.server.TriggerStatuses(time.Now(), everyone)); n != 0 {
			t.Errorf("%d triggers are known", n)
		}
		for n := range 5 {
			if code := w.code(refOf("bank", n)); code != codes.OK {
				t.Errorf("trigger %d after all were forgotten: %v", n, code)
			}
		}
	})
}

// TestStreamsAreBounded: there are three streams for each trigger that a namespace may
// have, and one that ends makes room.
func TestStreamsAreBounded(t *testing.T) {
	inWorld(t, server.Options{MaxTriggersPerNamespace: 2, MaxTriggers: 10}, func(w world) {
		var end []func()
		open := func(namespace string) error {
			stream, stop := w.openStream(refOf(namespace, 0))
			end = append(end, stop)
			_, err := stream.Recv()
			return err
		}
		for n := range 6 {
			if err := open("shop"); err != nil {
				t.Fatalf("stream %d: %v", n, err)
			}
		}
		if err := open("shop"); status.Code(err) != codes.ResourceExhausted || !strings.Contains(err.Error(), "already has 6 streams") {
			t.Errorf("one more: %v", err)
		}
		if err := open("bank"); err != nil {
			t.Errorf("another namespace: %v", err)
		}
		end[0]()
		synctest.Wait()
		if err := open("shop"); err != nil {
			t.Errorf("after one has ended: %v", err)
		}
		for _, stop := range end {
			stop()
		}
	})
}

// openStream opens a StreamIsActive that stop ends.
func (w world) openStream(r *pb.ScaledObjectRef) (stream pb.ExternalScaler_StreamIsActiveClient, stop func()) {
	w.Helper()
	ctx, cancel := context.WithCancel(w.Context())
	stream, err := w.client.StreamIsActive(ctx, r)
	if err != nil {
		w.Fatal(err)
	}
	return stream, cancel
}

// TestRejectedTriggersAreBounded: the triggers of a namespace that are refused leave room
// for those of others.
func TestRejectedTriggersAreBounded(t *testing.T) {
	inWorld(t, server.Options{}, func(w world) {
		refuse := func(namespace string, n int) {
			r := refOf(namespace, n)
			r.ScalerMetadata["tagret"] = "5"
			if code := w.code(r); code != codes.InvalidArgument {
				t.Fatalf("%s/%d: %v", namespace, n, code)
			}
		}
		for n := range 300 {
			refuse("shop", n)
		}
		for n := range 10 {
			refuse("bank", n)
		}
		known := map[string]int{}
		for _, a := range w.server.TriggerStatuses(time.Now(), everyone) {
			known[a.Namespace]++
		}
		if known["shop"] != 200 || known["bank"] != 10 {
			t.Errorf("remembered are %v, want 200 of shop and 10 of bank", known)
		}
	})
}

func TestNamesOfScaledObjectsAreBounded(t *testing.T) {
	inWorld(t, server.Options{}, func(w world) {
		r := ref("jobs")
		r.Name = strings.Repeat("n", 254)
		if _, err := w.client.IsActive(w.Context(), r); status.Code(err) != codes.InvalidArgument || !strings.Contains(err.Error(), "254 bytes long, want at most 253") {
			t.Errorf("got %v", err)
		}
	})
}
