package trigger_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/decision"
	"github.com/backlog-scaler/backlog-scaler/internal/trigger"
)

func TestParseSignal(t *testing.T) {
	t.Parallel()
	plain := trigger.Trigger{Connection: "orders", Query: backlog.Query{Layout: "list", Queue: "jobs"}, Policy: defaults(), MetricName: "list-jobs"}
	with := func(change func(*decision.Spec)) trigger.Trigger {
		changed := plain
		change(&changed.Policy)
		return changed
	}
	drain := func(s *decision.Spec) {
		s.Target, s.DrainTime, s.RateWindow = 30, time.Minute, time.Minute
	}
	counted := with(drain)
	counted.Query.Layout, counted.MetricName = "many", "many-jobs"
	tests := map[string]struct {
		metadata map[string]string
		want     trigger.Signal
	}{
		"plain":         {map[string]string{"list": "jobs"}, trigger.Signal{Trigger: plain}},
		"with a target": {map[string]string{"list": "jobs", "target": "20"}, trigger.Signal{Trigger: with(func(s *decision.Spec) { s.Target = 20 }), HasTarget: true}},
		"with a drain time": {
			map[string]string{"list": "jobs", "drainTime": "60s", "throughput": "0.5"}, trigger.Signal{Trigger: with(drain), HasTarget: true},
		},
		"learned": {
			map[string]string{"many": "jobs", "drainTime": "60s", "throughput": " learned", "throughputFloor": "0.5", "throughputCeiling": "8"},
			trigger.Signal{Trigger: counted, HasTarget: true, Learned: &trigger.Learned{Floor: 0.5, Ceiling: 8}},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := catalog().ParseSignal("shop", "orders", test.metadata)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, got, cmpopts.IgnoreFields(trigger.Signal{}, "Workers", "NoWorkers")); diff != "" {
				t.Errorf("signal (-want +got):\n%s", diff)
			}
		})
	}
}

func TestParseSignalRejects(t *testing.T) {
	t.Parallel()
	learned := func(pairs ...string) map[string]string {
		metadata := map[string]string{"list": "jobs", "drainTime": "60s", "throughput": "learned", "throughputFloor": "1", "throughputCeiling": "8"}
		for i := 0; i < len(pairs); i += 2 {
			metadata[pairs[i]] = pairs[i+1]
		}
		return metadata
	}
	tests := map[string]struct {
		connection string
		metadata   map[string]string
		want       string
	}{
		"an unknown key":               {"orders", map[string]string{"list": "jobs", "targett": "5"}, `did you mean "target"`},
		"a connection":                 {"vault", map[string]string{"list": "jobs"}, "no connection"},
		"staleness":                    {"orders", map[string]string{"list": "jobs", "maxStaleness": "1m"}, "next to trigger"},
		"an environment":               {"orders", map[string]string{"listFromEnv": "QUEUE"}, "the value itself under list"},
		"a floor alone":                {"orders", map[string]string{"list": "jobs", "throughputFloor": "1"}, "is for throughput: learned"},
		"no floor":                     {"orders", learned("throughputFloor", ""), "throughputFloor: required"},
		"a floor of zero":              {"orders", learned("throughputFloor", "0"), "greater than 0"},
		"a ceiling that is text":       {"orders", learned("throughputCeiling", "fast"), "fast: want messages in a second"},
		"a ceiling without end":        {"orders", learned("throughputCeiling", "Inf"), "at most"},
		"a layout that does not count": {"orders", learned(), "throughput: cannot be learned: the layout list does not count finished messages"},
		"a ceiling below a floor":      {"orders", learned("throughputCeiling", "0.5"), "less than throughputFloor"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if _, err := catalog().ParseSignal("shop", test.connection, test.metadata); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %v, want one with %q", err, test.want)
			}
		})
	}
}

func TestLearnedIsForPolicies(t *testing.T) {
	t.Parallel()
	_, err := catalog().Parse("shop", map[string]string{"connection": "orders", "list": "jobs", "drainTime": "60s", "throughput": "learned"})
	if err == nil || !strings.Contains(err.Error(), "AutoscalerPolicy") {
		t.Errorf("error %v, want one that names the AutoscalerPolicy", err)
	}
}

func TestParsePolicy(t *testing.T) {
	t.Parallel()
	got, err := catalog().WithPolicies().Parse("shop", map[string]string{"policy": "billing.v2", "scalerAddress": "scaler:9090"})
	if err != nil {
		t.Fatal(err)
	}
	want := trigger.Trigger{
		PolicyName: "billing.v2", Query: backlog.Query{Layout: "policy", Queue: "billing.v2", Namespace: "shop"}, Policy: decision.Spec{Target: 1, Count: decision.CountAll},
		MetricName: got.MetricName,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("trigger (-want +got):\n%s", diff)
	}
	// The dot had to be changed, so a hash keeps billing-v2 apart.
	if !strings.HasPrefix(got.MetricName, "policy-billing-v2-") {
		t.Errorf("metric name %q", got.MetricName)
	}
}

func TestParsePolicyRejects(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		catalog  *trigger.Catalog
		metadata map[string]string
		want     string
	}{
		"without the flag":    {catalog(), map[string]string{"policy": "billing"}, "--policies"},
		"an empty name":       {catalog().WithPolicies(), map[string]string{"policy": " "}, "is empty"},
		"no name":             {catalog().WithPolicies(), map[string]string{"policy": "Billing"}, "lower-case"},
		"a long name":         {catalog().WithPolicies(), map[string]string{"policy": strings.Repeat("b", 300)}, "at most 253"},
		"a further key":       {catalog().WithPolicies(), map[string]string{"policy": "billing", "target": "5"}, "target: does not go with policy"},
		"a connection":        {catalog().WithPolicies(), map[string]string{"policy": "billing", "connection": "orders"}, "connection: does not go with policy"},
		"from an environment": {catalog().WithPolicies(), map[string]string{"policyFromEnv": "billing"}, "the name itself"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := test.catalog.Parse("shop", test.metadata)
			if faults := (trigger.MetadataError{}); !errors.As(err, &faults) || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %v, want faults with %q", err, test.want)
			}
		})
	}
}
