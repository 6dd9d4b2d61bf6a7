package monitoring

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/promql/parser"
	"sigs.k8s.io/yaml"
)

// targetLabels are given to every series by Prometheus when it scrapes.
func targetLabels() []string { return []string{"instance", "job", "pod"} }

// A metric of metrics.yaml.
type metric struct {
	Name   string   `json:"name"`
	Type   string   `json:"type"`
	Labels []string `json:"labels"`
}

// readMetrics returns the labels of every series by its name.
func readMetrics(t *testing.T) map[string][]string {
	t.Helper()
	data, err := os.ReadFile("metrics.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Metrics  []metric `json:"metrics"`
		Policies []metric `json:"policies"`
	}
	if err := yaml.UnmarshalStrict(data, &file); err != nil {
		t.Fatal(err)
	}
	series := map[string][]string{}
	for _, m := range slices.Concat(file.Metrics, file.Policies) {
		if m.Type != "histogram" {
			series[m.Name] = m.Labels
			continue
		}
		series[m.Name+"_bucket"] = append(slices.Clone(m.Labels), "le")
		series[m.Name+"_sum"] = m.Labels
		series[m.Name+"_count"] = m.Labels
	}
	return series
}

type rule struct {
	Alert       string            `json:"alert"`
	Expr        string            `json:"expr"`
	Annotations map[string]string `json:"annotations"`
}

func readRules(t *testing.T) []rule {
	t.Helper()
	data, err := os.ReadFile(filepath.FromSlash(alertsFile))
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Groups []struct {
			Rules []rule `json:"rules"`
		} `json:"groups"`
	}
	if err := yaml.Unmarshal(data, &file); err != nil {
		t.Fatal(err)
	}
	var all []rule
	for _, group := range file.Groups {
		all = append(all, group.Rules...)
	}
	if len(all) == 0 {
		t.Fatal("there are no alerts")
	}
	return all
}

// A panel of the dashboard.
type panel struct {
	ID      int    `json:"id"`
	Type    string `json:"type"`
	Title   string `json:"title"`
	GridPos struct {
		H, W, X, Y int
	} `json:"gridPos"`
	Targets []struct {
		Expr string `json:"expr"`
	} `json:"targets"`
}

func readDashboard(t *testing.T) (panels []panel, variables map[string]string) {
	t.Helper()
	data, err := os.ReadFile(filepath.FromSlash("../chart/monitoring/dashboard.json"))
	if err != nil {
		t.Fatal(err)
	}
	var dashboard struct {
		Panels     []panel `json:"panels"`
		Templating struct {
			List []struct {
				Name       string `json:"name"`
				Type       string `json:"type"`
				Definition string `json:"definition"`
			} `json:"list"`
		} `json:"templating"`
	}
	if err := json.Unmarshal(data, &dashboard); err != nil {
		t.Fatal(err)
	}
	variables = map[string]string{}
	for _, variable := range dashboard.Templating.List {
		variables[variable.Name] = variable.Definition
	}
	return dashboard.Panels, variables
}

// TestQueries parses every expression of alerts and dashboard and holds its metrics and labels against
// metrics.yaml.
func TestQueries(t *testing.T) {
	t.Parallel()
	known := readMetrics(t)
	queries := map[string]string{}
	for _, rule := range readRules(t) {
		queries["alert "+rule.Alert] = rule.Expr
	}
	panels, variables := readDashboard(t)
	for _, panel := range panels {
		for i, target := range panel.Targets {
			queries[fmt.Sprintf("panel %q, query %d", panel.Title, i)] = target.Expr
		}
	}
	// label_values(SELECTOR, label) is Grafana's; as PromQL it is a grouping.
	labelValues := regexp.MustCompile(`^label_values\((.*), (\w+)\)$`)
	for name, definition := range variables {
		if definition == "" {
			continue
		}
		match := labelValues.FindStringSubmatch(definition)
		if match == nil {
			t.Errorf("variable %s: %q is not label_values(SELECTOR, label)", name, definition)
			continue
		}
		queries["variable "+name] = fmt.Sprintf("group by (%s) (%s)", match[2], match[1])
	}
	for _, where := range slices.Sorted(maps.Keys(queries)) {
		for _, fault := range queryFaults(known, variables, queries[where]) {
			t.Errorf("%s: %s", where, fault)
		}
	}
}

func TestQueriesRefuse(t *testing.T) {
	t.Parallel()
	known := readMetrics(t)
	for query, want := range map[string]string{
		"sum(backlog_scaler_queue_redy_messages)": "no metric",
		"sum(": "unclosed",
		`backlog_scaler_connection_up{queue="a"}`:             `no label "queue"`,
		"sum by (mode) (backlog_scaler_connection_up)":        `no label "mode"`,
		`backlog_scaler_connection_up{connection=~"$region"}`: "variable",
	} {
		faults := strings.Join(queryFaults(known, map[string]string{}, query), "; ")
		if !strings.Contains(faults, want) {
			t.Errorf("query %s: faults %q do not say %q", query, faults, want)
		}
	}
}

// queryFaults parses a query and reports metrics, labels and variables that do not exist.
func queryFaults(known map[string][]string, variables map[string]string, query string) []string {
	var faults []string
	plain := regexp.MustCompile(`\$[A-Za-z_]\w*`).ReplaceAllStringFunc(query, func(variable string) string {
		if variable == "$__rate_interval" {
			return "5m"
		}
		if _, ok := variables[variable[1:]]; !ok {
			faults = append(faults, "there is no variable "+variable)
		}
		return "x"
	})
	expr, err := parser.NewParser(parser.Options{}).ParseExpr(plain)
	if err != nil {
		return append(faults, err.Error())
	}
	allowed := targetLabels()
	parser.Inspect(expr, func(node parser.Node, _ []parser.Node) error {
		selector, ok := node.(*parser.VectorSelector)
		if !ok {
			return nil
		}
		has, ok := known[selector.Name]
		if !ok {
			faults = append(faults, fmt.Sprintf("there is no metric %q", selector.Name))
		}
		allowed = append(allowed, has...)
		for _, matcher := range selector.LabelMatchers {
			if matcher.Name != model.MetricNameLabel && !slices.Contains(slices.Concat(has, targetLabels()), matcher.Name) {
				faults = append(faults, fmt.Sprintf("%s has no label %q", selector.Name, matcher.Name))
			}
		}
		return nil
	})
	parser.Inspect(expr, func(node parser.Node, _ []parser.Node) error {
		if aggregate, ok := node.(*parser.AggregateExpr); ok && !aggregate.Without {
			for _, label := range aggregate.Grouping {
				if !slices.Contains(allowed, label) {
					faults = append(faults, fmt.Sprintf("no metric of the query has the label %q: no label %q", label, label))
				}
			}
		}
		return nil
	})
	return faults
}

// TestDashboardLayout checks what Grafana does not: identifiers are unique and no two panels overlap.
func TestDashboardLayout(t *testing.T) {
	t.Parallel()
	panels, _ := readDashboard(t)
	ids := map[int]string{}
	cells := map[[2]int]string{}
	for _, panel := range panels {
		if other, taken := ids[panel.ID]; taken {
			t.Errorf("panels %q and %q have the identifier %d", panel.Title, other, panel.ID)
		}
		ids[panel.ID] = panel.Title
		if panel.GridPos.X+panel.GridPos.W > 24 || panel.GridPos.W <= 0 || panel.GridPos.H <= 0 {
			t.Errorf("panel %q does not fit in 24 columns", panel.Title)
		}
		for x := range panel.GridPos.W {
			for y := range panel.GridPos.H {
				cell := [2]int{panel.GridPos.X + x, panel.GridPos.Y + y}
				if other, taken := cells[cell]; taken {
					t.Fatalf("panels %q and %q overlap", panel.Title, other)
				}
				cells[cell] = panel.Title
			}
		}
		if panel.Type != "row" && len(panel.Targets) == 0 {
			t.Errorf("panel %q asks for nothing", panel.Title)
		}
	}
}
