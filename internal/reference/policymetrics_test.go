package reference

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/expfmt"
	"go.yaml.in/yaml/v3"

	"github.com/backlog-scaler/backlog-scaler/internal/policies"
	policymetrics "github.com/backlog-scaler/backlog-scaler/internal/policies/metrics"
	"github.com/backlog-scaler/backlog-scaler/internal/policy"
	"github.com/backlog-scaler/backlog-scaler/internal/schedule"
)

// manyPolicies are more policies than are reported. Each has every metric.
type manyPolicies struct{}

func (manyPolicies) Keys() []policies.Key {
	keys := make([]policies.Key, 3000)
	for i := range keys {
		keys[i] = policies.Key{Namespace: "shop", Name: fmt.Sprintf("billing-%04d", i)}
	}
	return keys
}

func (manyPolicies) Status(key policies.Key) (policies.Status, bool) {
	return policies.Status{
		Policy:      policies.Policy{Key: key, Spec: policy.Spec{Schedules: []schedule.Spec{{Name: "night"}}}},
		TargetKnown: true, Decided: true,
		Outcome: policies.Outcome{Decision: policy.Decision{
			Signals: []policy.SignalState{{Name: "orders", State: policy.Known}},
			Steps:   []policy.Step{{Reason: policy.ReasonNeed, Name: "orders"}},
		}},
	}, true
}

// policyMetrics are the metrics of a scaler that watches policies.
func policyMetrics(t *testing.T) []Metric {
	t.Helper()
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(policymetrics.NewCollector(manyPolicies{}))
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	var page bytes.Buffer
	for _, family := range families {
		if _, err := expfmt.MetricFamilyToText(&page, family); err != nil {
			t.Fatal(err)
		}
	}
	metrics, err := ParseMetrics(&page)
	if err != nil {
		t.Fatal(err)
	}
	return metrics
}

// policyReasons is a table of the reasons of policies.
func policyReasons() string {
	rows := table{{"reason", "what it means"}}
	for _, r := range policy.Reasons() {
		rows = append(rows, []string{code(string(r.Reason)), cell(r.Doc)})
	}
	return rows.String()
}

// TestPolicyMetrics holds the list that dashboard and alerts are checked with against the metrics.
func TestPolicyMetrics(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile(filepath.Join(root, "deploy", "keda", "monitoring", "metrics.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Policies []struct {
			Name   string
			Type   string
			Labels []string
		}
	}
	if err := yaml.Unmarshal(data, &file); err != nil {
		t.Fatal(err)
	}
	var listed []Metric
	for _, m := range file.Policies {
		listed = append(listed, Metric{Name: m.Name, Type: m.Type, Labels: m.Labels})
	}
	sorted := cmpopts.SortSlices(func(a, b string) bool { return a < b })
	byName := cmpopts.SortSlices(func(a, b Metric) bool { return a.Name < b.Name })
	exposed := slices.DeleteFunc(policyMetrics(t), func(m Metric) bool { return strings.HasSuffix(m.Name, "_omitted") })
	if diff := cmp.Diff(exposed, listed, sorted, byName, cmpopts.IgnoreFields(Metric{}, "Help")); diff != "" {
		t.Errorf("metrics.yaml, against the metrics (-want +got):\n%s", diff)
	}
}
