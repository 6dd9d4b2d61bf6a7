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

// A told is a server.Told in words.
type told struct {
	Method, Answer string
	Ago, Same      time.Duration
}

func (w world) told(a server.Account) []told {
	w.Helper()
	var all []told
	for _, t := range a.Told {
		answer := t.Code
		switch {
		case t.Value != nil:
			answer = fmt.Sprint(*t.Value)
		case t.Target != nil:
			answer = fmt.Sprint("target ", *t.Target)
		case t.Active != nil:
			answer = strconv.FormatBool(*t.Active)
		}
		all = append(all, told{t.Method, answer, time.Since(t.At), time.Since(t.Since)})
	}
	return all
}

// account is that of the only trigger.
func (w world) account() server.Account {
	w.Helper()
	all := w.server.Accounts(time.Now(), everyone)
	if len(all) != 1 {
		w.Fatalf("%d accounts, want 1: %+v", len(all), all)
	}
	return all[0]
}

func TestAccountRemembersWhatWasTold(t *testing.T) {
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
		a := w.account()
		if a.AskedBy != "IsActive" || time.Since(a.Asked) != 5*time.Second || a.Streams != 0 || a.Decision.Value != 9 || a.Err != nil {
			w.Errorf("account %+v", a)
		}
		want := []told{
			{"IsActive", "true", 5 * time.Second, 5 * time.Second},
			{"GetMetrics", "9", 5 * time.Second, 15 * time.Second},
			{"GetMetricSpec", "target 5", 15 * time.Second, 15 * time.Second},
		}
		slices.SortFunc(want[:2], func(a, b told) int { return strings.Compare(b.Method, a.Method) })
		got := w.told(a)
		slices.SortFunc(got[:2], func(a, b told) int { return strings.Compare(b.Method, a.Method) })
		if diff := cmp.Diff(want, got); diff != "" {
			w.Errorf("told (-want +got):\n%s", diff)
		}
		w.fake.Fail(fmt.Errorf("refused: %w", backlog.ErrUnavailable))
		time.Sleep(time.Minute)
		for range 3 {
			if _, err := w.client.GetMetrics(w.Context(), &pb.GetMetricsRequest{ScaledObjectRef: r}); err == nil {
				w.Fatal("a value after a minute without a reading")
			}
			time.Sleep(time.Second)
		}
		a = w.account()
		if a.Err == nil || a.Code != "Unavailable" {
			w.Errorf("account of an outage: %v, %q", a.Err, a.Code)
		}
		if diff := cmp.Diff(told{"GetMetrics", "Unavailable", time.Second, 3 * time.Second}, w.told(a)[0]); diff != "" {
			w.Errorf("told in an outage (-want +got):\n%s", diff)
		}
	})
}

func TestAccountOfARefusedTrigger(t *testing.T) {
	inWorld(t, server.Options{TriggerTTL: time.Minute}, func(w world) {
		r := ref("jobs", "tagret", "5", "passwordFromEnv", "hunter2", "target", strings.Repeat("9", 1000))
		for range 3 {
			if _, err := w.client.IsActive(w.Context(), r); err == nil {
				w.Fatal("accepted")
			}
			time.Sleep(10 * time.Second)
		}
		a := w.account()
		if !a.Refused || a.Code != "InvalidArgument" || !strings.Contains(a.Err.Error(), "tagret: unknown key") ||
			time.Since(a.RefusedSince) != 30*time.Second || time.Since(a.Asked) != 10*time.Second || a.AskedBy != "IsActive" {
			w.Errorf("account %+v", a)
		}
		want := map[string]string{
			"scalerAddress": "scaler:9090", "connection": "main", "queue": "jobs",
			"tagret": "(withheld)", "passwordFromEnv": "(withheld)", "target": strings.Repeat("9", 100) + "...",
		}
		if diff := cmp.Diff(want, a.Metadata); diff != "" {
			w.Errorf("metadata (-want +got):\n%s", diff)
		}
		if all := w.server.Accounts(time.Now(), func(string, string) bool { return false }); len(all) != 0 {
			w.Errorf("accounts that nobody wants: %+v", all)
		}
		time.Sleep(time.Minute)
		if all := w.server.Accounts(time.Now(), everyone); len(all) != 0 {
			w.Errorf("accounts a minute after the last call: %+v", all)
		}
	})
}

// TestAccountsAreInOrder, and hold every trigger once.
func TestAccountsAreInOrder(t *testing.T) {
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
		for _, a := range w.server.Accounts(time.Now(), everyone) {
			got = append(got, a.Namespace+"/"+a.ScaledObject)
			ids[a.ID] = true
		}
		if diff := cmp.Diff(want, got); diff != "" || len(ids) != len(want) {
			w.Errorf("accounts, with %d ids (-want +got):\n%s", len(ids), diff)
		}
	})
}

// TestAccountKeepsNoQueueAlive: being looked at is not being asked for.
func TestAccountKeepsNoQueueAlive(t *testing.T) {
	inWorld(t, server.Options{TriggerTTL: time.Minute}, func(w world) {
		w.isActive(ref("jobs"))
		for range 70 {
			time.Sleep(time.Second)
			w.server.Accounts(time.Now(), everyone)
		}
		if all := w.server.Accounts(time.Now(), everyone); len(all) != 0 {
			w.Errorf("accounts 70 s after the last call: %+v", all)
		}
	})
}

// TestMetricsAreToldWithThreeAllocations: remembering what was told costs none.
func TestMetricsAreToldWithThreeAllocations(t *testing.T) { //nolint:paralleltest // it counts what the process allocates
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
