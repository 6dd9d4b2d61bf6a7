package server_test

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	pb "github.com/kedacore/keda/v2/pkg/scalers/externalscaler"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/server"
)

func everyone(string, string) bool { return true }

// A lastResponse is a server.LastResponse in words.
type lastResponse struct {
	Method, Answer string
	Ago, Same      time.Duration
}

func (w world) lastResponses(a server.TriggerStatus) []lastResponse {
	w.Helper()
	var all []lastResponse
	for _, t := range a.LastResponses {
		answer := t.Code
		switch {
		case t.Value != nil:
			answer = fmt.Sprint(*t.Value)
		case t.Target != nil:
			answer = fmt.Sprint("target ", *t.Target)
		case t.Active != nil:
			answer = strconv.FormatBool(*t.Active)
		}
		all = append(all, lastResponse{t.Method, answer, time.Since(t.At), time.Since(t.UnchangedSince)})
	}
	return all
}

// status returns the status of the only trigger.
func (w world) status() server.TriggerStatus {
	w.Helper()
	all := w.server.TriggerStatuses(time.Now(), everyone)
	if len(all) != 1 {
		w.Fatalf("%d statuses, want 1: %+v", len(all), all)
	}
	return all[0]
}

func TestStatusHasTheLastResponses(t *testing.T) {
	inWorld(t, server.Options{}, func(w world) {
		w.fake.SetReady("jobs", 9)
		r := ref("jobs")
		if _, err := w.client.GetMetricSpec(w.Context(), r); err != nil {
			w.Fatal(err)
		}
		w.value(r)
		time.Sleep(10 * time.Second)
		w.value(r)
		w.isActive(r)
		time.Sleep(5 * time.Second)
		a := w.status()
		if a.LastMethod != "IsActive" || time.Since(a.LastCall) != 5*time.Second || a.OpenStreams != 0 || a.Decision.Value != 9 || a.Err != nil {
			w.Errorf("status %+v", a)
		}
		want := []lastResponse{
			{"IsActive", "true", 5 * time.Second, 5 * time.Second},
			{"GetMetrics", "9", 5 * time.Second, 15 * time.Second},
			{"GetMetricSpec", "target 5", 15 * time.Second, 15 * time.Second},
		}
		slices.SortFunc(want[:2], func(a, b lastResponse) int { return strings.Compare(b.Method, a.Method) })
		got := w.lastResponses(a)
		slices.SortFunc(got[:2], func(a, b lastResponse) int { return strings.Compare(b.Method, a.Method) })
		if diff := cmp.Diff(want, got); diff != "" {
			w.Errorf("last responses (-want +got):\n%s", diff)
		}
		w.fake.Fail(fmt.Errorf("refused: %w", backlog.ErrUnavailable))
		time.Sleep(time.Minute)
		for range 3 {
			if _, err := w.client.GetMetrics(w.Context(), &pb.GetMetricsRequest{ScaledObjectRef: r}); err == nil {
				w.Fatal("a value after a minute without a reading")
			}
			time.Sleep(time.Second)
		}
		a = w.status()
		if a.Err == nil || a.Code != "Unavailable" {
			w.Errorf("status of an outage: %v, %q", a.Err, a.Code)
		}
		if diff := cmp.Diff(lastResponse{"GetMetrics", "Unavailable", time.Second, 3 * time.Second}, w.lastResponses(a)[0]); diff != "" {
			w.Errorf("last responses in an outage (-want +got):\n%s", diff)
		}
	})
}

func TestStatusOfARejectedTrigger(t *testing.T) {
	inWorld(t, server.Options{TriggerTTL: time.Minute}, func(w world) {
		r := ref("jobs", "tagret", "5", "passwordFromEnv", "hunter2", "target", strings.Repeat("9", 1000))
		for range 3 {
			if _, err := w.client.IsActive(w.Context(), r); err == nil {
				w.Fatal("accepted")
			}
			time.Sleep(10 * time.Second)
		}
		a := w.status()
		if !a.Rejected || a.Code != "InvalidArgument" || !strings.Contains(a.Err.Error(), "tagret: unknown key") ||
			time.Since(a.RejectedSince) != 30*time.Second || time.Since(a.LastCall) != 10*time.Second || a.LastMethod != "IsActive" {
			w.Errorf("status %+v", a)
		}
		want := map[string]string{
			"scalerAddress": "scaler:9090", "connection": "main", "queue": "jobs",
			"tagret": "[redacted]", "passwordFromEnv": "[redacted]", "target": strings.Repeat("9", 100) + "...",
		}
		if diff := cmp.Diff(want, a.Metadata); diff != "" {
			w.Errorf("metadata (-want +got):\n%s", diff)
		}
		if all := w.server.TriggerStatuses(time.Now(), func(string, string) bool { return false }); len(all) != 0 {
			w.Errorf("statuses without a reader: %+v", all)
		}
		time.Sleep(time.Minute)
		if all := w.server.TriggerStatuses(time.Now(), everyone); len(all) != 0 {
			w.Errorf("statuses a minute after the last call: %+v", all)
		}
	})
}

// TestStatusesAreInOrder, and hold every trigger once.
func TestStatusesAreInOrder(t *testing.T) {
	inWorld(t, server.Options{}, func(w world) {
		var want []string
		for _, name := range []string{"c", "a", "b"} {
			r := ref("jobs-" + name)
			r.Name = "worker-" + name
			w.isActive(r)
			w.isActive(r)
			want = append(want, "shop/worker-"+name)
		}
		slices.Sort(want)
		var got []string
		ids := map[string]bool{}
		for _, a := range w.server.TriggerStatuses(time.Now(), everyone) {
			got = append(got, a.Namespace+"/"+a.ScaledObject)
			ids[a.ID] = true
		}
		if diff := cmp.Diff(want, got); diff != "" || len(ids) != len(want) {
			w.Errorf("statuses, with %d ids (-want +got):\n%s", len(ids), diff)
		}
	})
}

// TestStatusKeepsNoQueueAlive: a status is no call of KEDA.
func TestStatusKeepsNoQueueAlive(t *testing.T) {
	inWorld(t, server.Options{TriggerTTL: time.Minute}, func(w world) {
		w.isActive(ref("jobs"))
		for range 70 {
			time.Sleep(time.Second)
			w.server.TriggerStatuses(time.Now(), everyone)
		}
		if all := w.server.TriggerStatuses(time.Now(), everyone); len(all) != 0 {
			w.Errorf("statuses 70 s after the last call: %+v", all)
		}
	})
}

// TestGetMetricsAllocates at most three times: the call history allocates nothing.
func TestGetMetricsAllocates(t *testing.T) { //nolint:paralleltest // it counts what the process allocates
	srv, refs := newBenchServer(t)
	request := &pb.GetMetricsRequest{ScaledObjectRef: refs[7], MetricName: "m"}
	allocations := testing.AllocsPerRun(1000, func() {
		if _, err := srv.GetMetrics(t.Context(), request); err != nil {
			t.Fatal(err)
		}
	})
	if allocations > 3 {
		t.Errorf("%v allocations for one GetMetrics, want at most 3", allocations)
	}
}
