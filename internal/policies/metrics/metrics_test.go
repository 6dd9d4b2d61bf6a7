package metrics

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"

	"github.com/backlog-scaler/backlog-scaler/internal/policies"
	"github.com/backlog-scaler/backlog-scaler/internal/policy"
	"github.com/backlog-scaler/backlog-scaler/internal/schedule"
)

// known are policies in memory.
type known []policies.Status

func (k known) Keys() []policies.Key {
	keys := make([]policies.Key, len(k))
	for i := range k {
		keys[i] = k[i].Policy.Key
	}
	return keys
}

func (k known) Status(key policies.Key) (policies.Status, bool) {
	place := slices.IndexFunc(k, func(s policies.Status) bool { return s.Policy.Key == key })
	if place < 0 {
		return policies.Status{}, false
	}
	return k[place], true
}

// billing is a policy with a decision on it, changed by change.
func billing(change func(*policies.Status)) policies.Status {
	s := policies.Status{
		Policy: policies.Policy{
			Key:  policies.Key{Namespace: "shop", Name: "billing"},
			Spec: policy.Spec{Schedules: []schedule.Spec{{Name: "night"}, {Name: "sale"}}},
		},
		Target:      policies.Target{Target: policy.Target{Replicas: 4, Available: 3}},
		TargetKnown: true, Decided: true,
		Outcome: policies.Outcome{Replicas: 6, Decision: policy.Decision{
			Replicas: 6, Wanted: 8, Floor: 2, Ceiling: 20,
			Schedule: schedule.State{Open: []string{"sale"}},
			Signals: []policy.SignalState{
				{Name: "orders", Value: 90, State: policy.Known},
				{Name: "mails", Value: 7, State: policy.Stale},
				{Name: "reports", State: policy.Ignored},
				{Name: "latency", Value: 1.5, State: policy.Replaced},
				{Name: "load", State: policy.Holding},
			},
			Steps: []policy.Step{
				{Reason: policy.ReasonIgnored, Name: "reports"}, {Reason: policy.ReasonIgnored, Name: "load"}, {Reason: policy.ReasonStepUp, Before: 8, After: 6},
			},
		}},
	}
	change(&s)
	return s
}

// lines are the series of policies, without namespace and name.
func lines(t *testing.T, reported ...policies.Status) []string {
	t.Helper()
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(NewCollector(known(reported)))
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, family := range families {
		for _, m := range family.GetMetric() {
			words := []string{strings.TrimPrefix(family.GetName(), "backlog_scaler_policy_")}
			for _, pair := range m.GetLabel() {
				if name := pair.GetName(); name != "namespace" && name != "policy" {
					words = append(words, pair.GetValue())
				}
			}
			all = append(all, fmt.Sprintf("%s %v", strings.Join(words, " "), m.GetGauge().GetValue()))
		}
	}
	return all
}

func TestCollector(t *testing.T) {
	t.Parallel()
	bounds := []string{"available 3", "ceiling 20"}
	signals := []string{
		"signal_known latency 0", "signal_known load 0", "signal_known mails 1", "signal_known orders 1", "signal_known reports 0",
		"signal_value latency 1.5", "signal_value mails 7", "signal_value orders 90",
	}
	windows := []string{"window_open night 0", "window_open sale 1"}
	for _, tc := range []struct {
		name   string
		change func(*policies.Status)
		want   []string
	}{
		{"decided", func(*policies.Status) {}, slices.Concat(
			bounds, []string{"decided 1", "floor 2", "reason ignored 1", "reason stepUp 1", "replicas 4", "reported 6"}, signals, []string{"wanted 8"}, windows)},
		{"a signal holds", func(s *policies.Status) { s.Outcome.Err = policy.ErrUnknown }, slices.Concat(
			bounds, []string{"decided 0", "floor 2", "reason ignored 1", "reason stepUp 1", "replicas 4"}, signals, windows)},
		{"mistakes", func(s *policies.Status) {
			s.Outcome = policies.Outcome{Problems: []policies.Problem{{Err: errors.New("formula")}}}
		}, []string{"available 3", "decided 0", "replicas 4"}},
		{"no workload", func(s *policies.Status) {
			s.Target, s.Outcome = policies.Target{Err: errors.New("not found")}, policies.Outcome{Err: errors.New("not found")}
		}, []string{"decided 0"}},
		{"the workload is not read yet", func(s *policies.Status) {
			s.Target, s.TargetKnown, s.Outcome = policies.Target{}, false, policies.Outcome{Err: errors.New("not read")}
		}, []string{"decided 0"}},
		{"not decided on yet", func(s *policies.Status) { s.Decided = false }, nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(tc.want, lines(t, billing(tc.change))); diff != "" {
				t.Errorf("series (-want +got):\n%s", diff)
			}
		})
	}
}

// TestNames holds the names and helps to the rules of Prometheus.
func TestNames(t *testing.T) {
	t.Parallel()
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(NewCollector(known{billing(func(*policies.Status) {})}))
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	problems, err := promlint.NewWithMetricFamilies(families).Lint()
	if err != nil || len(problems) > 0 {
		t.Errorf("%v, %v", problems, err)
	}
}

// TestPageIsBounded: no namespace loses its series because another one has many policies.
func TestPageIsBounded(t *testing.T) {
	t.Parallel()
	var all known
	add := func(namespace string, n int) {
		for i := range n {
			all = append(all, billing(func(s *policies.Status) {
				s.Policy.Key = policies.Key{Namespace: namespace, Name: fmt.Sprintf("p-%03d", i)}
			}))
		}
	}
	add("a-tenant-with-many", 500)
	add("shop", 3)
	c := NewCollector(all)
	c.most = 100
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(c)
	counts := map[string]int{}
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, family := range families {
		for _, m := range family.GetMetric() {
			namespace := m.GetLabel()[0].GetValue()
			switch family.GetName() {
			case "backlog_scaler_policy_decided":
				counts[namespace]++
			case "backlog_scaler_metrics_policies_omitted":
				counts["omitted of "+namespace] = int(m.GetGauge().GetValue())
			}
		}
	}
	want := map[string]int{"shop": 3, "a-tenant-with-many": 97, "omitted of a-tenant-with-many": 403}
	if diff := cmp.Diff(want, counts); diff != "" {
		t.Errorf("policies by namespace (-want +got):\n%s", diff)
	}
}

func BenchmarkCollect(b *testing.B) {
	var all known
	for i := range 1000 {
		all = append(all, billing(func(s *policies.Status) { s.Policy.Name = fmt.Sprintf("p-%04d", i) }))
	}
	registry := prometheus.NewRegistry()
	registry.MustRegister(NewCollector(all))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := registry.Gather(); err != nil {
			b.Fatal(err)
		}
	}
}
