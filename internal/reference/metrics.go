package reference

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
)

// A Metric is a family of series on /metrics.
type Metric struct {
	Name, Type, Help string
	// Labels are sorted.
	Labels []string
}

// ParseMetrics parses a page of metrics in the text format. The result is sorted by name.
func ParseMetrics(r io.Reader) ([]Metric, error) {
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(r)
	if err != nil {
		return nil, fmt.Errorf("parse metrics: %w", err)
	}
	metrics := make([]Metric, 0, len(families))
	for _, name := range slices.Sorted(maps.Keys(families)) {
		family := families[name]
		metrics = append(metrics, Metric{
			Name: name, Type: strings.ToLower(family.GetType().String()), Help: family.GetHelp(), Labels: labels(family),
		})
	}
	return metrics, nil
}

func labels(family *dto.MetricFamily) []string {
	seen := map[string]bool{}
	for _, m := range family.GetMetric() {
		for _, pair := range m.GetLabel() {
			seen[pair.GetName()] = true
		}
	}
	return slices.Sorted(maps.Keys(seen))
}

// Metrics returns a table of the metrics whose names begin with one of prefixes, in the order
// of the prefixes.
func Metrics(metrics []Metric, prefixes ...string) string {
	t := table{{"metric", "type", "labels", "meaning"}}
	for _, prefix := range prefixes {
		for _, m := range metrics {
			if strings.HasPrefix(m.Name, prefix) {
				t = append(t, []string{code(m.Name), m.Type, code(strings.Join(m.Labels, "`, `")), cell(m.Help)})
			}
		}
	}
	return t.String()
}
