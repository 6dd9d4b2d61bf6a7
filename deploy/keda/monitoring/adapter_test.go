package monitoring

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"text/template"

	"github.com/prometheus/prometheus/promql/parser"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"

	"github.com/backlog-scaler/backlog-scaler/deploy/internal/helmchart"
)

// An adapterConfig is the configuration of Prometheus Adapter. Rules are those of custom.metrics.k8s.io:
// https://github.com/kubernetes-sigs/prometheus-adapter/blob/v0.12.0/pkg/config/config.go
type adapterConfig struct {
	Rules         []adapterRule `json:"rules"`
	ExternalRules []adapterRule `json:"externalRules"`
}

// An adapterRule makes series a metric of the API.
type adapterRule struct {
	SeriesQuery string `json:"seriesQuery"`
	Resources   struct {
		Overrides map[string]struct {
			Group    string `json:"group"`
			Resource string `json:"resource"`
		} `json:"overrides"`
	} `json:"resources"`
	Name struct {
		As string `json:"as"`
	} `json:"name"`
	MetricsQuery string `json:"metricsQuery"`
}

// TestAdapterExamples holds the rules of the examples with Prometheus Adapter against metrics.yaml, and the
// metric of their HorizontalPodAutoscaler against the rules.
func TestAdapterExamples(t *testing.T) {
	t.Parallel()
	known := readMetrics(t)
	for _, file := range []string{"plain-hpa.yaml", "plain-hpa-with-keda.yaml"} {
		t.Run(file, func(t *testing.T) {
			t.Parallel()
			data, err := os.ReadFile(filepath.Join("..", "examples", file))
			if err != nil {
				t.Fatal(err)
			}
			for _, fault := range adapterFaults(t, known, data) {
				t.Error(fault)
			}
		})
	}
}

// TestAdapterExamplesRefuse shows that the check can fail.
func TestAdapterExamplesRefuse(t *testing.T) {
	t.Parallel()
	known := readMetrics(t)
	data, err := os.ReadFile(filepath.Join("..", "examples", "plain-hpa-with-keda.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct{ from, to, want string }{
		"unknown metric":          {"backlog_scaler_trigger_value{", "backlog_scaler_trigger_size{", "no metric"},
		"unknown label":           {`queue!=""`, `queu!=""`, `no label "queu"`},
		"label of a resource":     {"namespace: {resource", "tenant: {resource", `no label "tenant"`},
		"broken query":            {"max by (<<.GroupBy>>) (", "max by (<<.GroupBy>> (", "unexpected"},
		"unknown field of a rule": {"metricsQuery:", "metricQuery:", "metricQuery"},
		"name of the metric":      {"          name: queue_backlog_messages", "          name: queue_backlog", "no rule"},
		"label of the selector":   {"              queue: orders", "              stream: orders", `no label "stream"`},
		"external rules":          {"    rules:", "    externalRules:", "no rule"},
		"another namespace":       {"          kind: Namespace\n          name: shop", "          kind: Namespace\n          name: store", "is in the namespace"},
	} {
		if !strings.Contains(string(data), test.from) {
			t.Fatalf("%s: the example has no %q", name, test.from)
		}
		faults := strings.Join(adapterFaults(t, known, []byte(strings.Replace(string(data), test.from, test.to, 1))), "; ")
		if !strings.Contains(faults, test.want) {
			t.Errorf("%s: faults %q do not say %q", name, faults, test.want)
		}
	}
}

// adapterFaults returns what is wrong in a file with the adapter's ConfigMap and an autoscaler.
func adapterFaults(t *testing.T, known map[string][]string, data []byte) []string {
	t.Helper()
	objects, err := helmchart.Objects("example", data)
	if err != nil {
		t.Fatal(err)
	}
	var config adapterConfig
	var hpa autoscalingv2.HorizontalPodAutoscaler
	for _, object := range objects {
		switch object.Kind() {
		case "ConfigMap":
			var content corev1.ConfigMap
			if err := yaml.UnmarshalStrict(object.YAML, &content); err != nil {
				return []string{err.Error()}
			}
			if err := yaml.UnmarshalStrict([]byte(content.Data["config.yaml"]), &config); err != nil {
				return []string{err.Error()}
			}
		case "HorizontalPodAutoscaler":
			if err := yaml.UnmarshalStrict(object.YAML, &hpa); err != nil {
				return []string{err.Error()}
			}
		}
	}
	var faults []string
	for _, rule := range slices.Concat(config.Rules, config.ExternalRules) {
		faults = append(faults, rule.faults(known)...)
	}
	if len(hpa.Spec.Metrics) == 0 {
		faults = append(faults, "there is no autoscaler with a metric")
	}
	for i := range hpa.Spec.Metrics {
		faults = append(faults, config.metricFaults(known, hpa.Namespace, &hpa.Spec.Metrics[i])...)
	}
	return faults
}

// faults returns what is wrong in a rule.
func (r adapterRule) faults(known map[string][]string) []string {
	faults := queryFaults(known, nil, r.SeriesQuery)
	for label := range r.Resources.Overrides {
		if !slices.Contains(known[r.series()], label) {
			faults = append(faults, fmt.Sprintf("the series of %s have no label %q", r.Name.As, label))
		}
	}
	if len(faults) > 0 {
		return faults
	}
	query, err := template.New("").Delims("<<", ">>").Parse(r.MetricsQuery)
	if err != nil {
		return []string{err.Error()}
	}
	var expanded strings.Builder
	if err := query.Execute(&expanded, map[string]string{
		"Series": r.series(), "LabelMatchers": `namespace="shop",queue="orders"`, "GroupBy": "namespace",
	}); err != nil {
		return []string{err.Error()}
	}
	return queryFaults(known, nil, expanded.String())
}

// series returns the name of the series; empty if the query is none.
func (r adapterRule) series() string {
	expr, err := parser.NewParser(parser.Options{}).ParseExpr(r.SeriesQuery)
	if err != nil {
		return ""
	}
	if selector, ok := expr.(*parser.VectorSelector); ok {
		return selector.Name
	}
	return ""
}

// metricFaults returns what is wrong in a metric of an autoscaler: a rule of its API has to make it.
func (c adapterConfig) metricFaults(known map[string][]string, namespace string, metric *autoscalingv2.MetricSpec) []string {
	var wanted autoscalingv2.MetricIdentifier
	var rules []adapterRule
	switch {
	case metric.External != nil:
		wanted, rules = metric.External.Metric, c.ExternalRules
	case metric.Object != nil:
		wanted, rules = metric.Object.Metric, c.Rules
		if object := metric.Object.DescribedObject; object.Kind == "Namespace" && object.Name != namespace {
			return []string{fmt.Sprintf("the metric is of the namespace %s, and the autoscaler is in the namespace %s", object.Name, namespace)}
		}
	default:
		return []string{fmt.Sprintf("a metric of type %s", metric.Type)}
	}
	at := slices.IndexFunc(rules, func(r adapterRule) bool { return r.Name.As == wanted.Name })
	if at < 0 {
		return []string{"no rule of its API makes the metric " + wanted.Name}
	}
	var faults []string
	for label := range wanted.Selector.MatchLabels {
		if !slices.Contains(known[rules[at].series()], label) {
			faults = append(faults, fmt.Sprintf("the metric %s has no label %q", wanted.Name, label))
		}
	}
	return faults
}
