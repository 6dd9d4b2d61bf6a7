// Package monitoring holds the tests of the alerts and of the dashboard.
package monitoring

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/prometheus/common/model"
	"github.com/prometheus/common/promslog"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/promql/promqltest"
	"github.com/prometheus/prometheus/rules"
	"sigs.k8s.io/yaml"
)

const (
	alertsFile     = "../chart/monitoring/alerts.yaml"
	alertTestsFile = "alerts_test.yaml"
)

// ruleTests is the part of promtool's format for unit tests that alerts_test.yaml uses.
type ruleTests struct {
	RuleFiles          []string       `json:"rule_files"`
	EvaluationInterval model.Duration `json:"evaluation_interval"`
	Tests              []ruleTest     `json:"tests"`
}

type ruleTest struct {
	Name           string         `json:"name"`
	Interval       model.Duration `json:"interval"`
	InputSeries    []inputSeries  `json:"input_series"`
	AlertRuleTests []alertTest    `json:"alert_rule_test"`
}

type inputSeries struct {
	Series string `json:"series"`
	Values string `json:"values"`
}

type alertTest struct {
	EvalTime  model.Duration  `json:"eval_time"`
	AlertName string          `json:"alertname"`
	Expected  []expectedAlert `json:"exp_alerts"`
}

// An expectedAlert firing. Annotations that are not given are not compared.
type expectedAlert struct {
	Labels      map[string]string `json:"exp_labels"`
	Annotations map[string]string `json:"exp_annotations"`
}

func readRuleTests(t *testing.T) ruleTests {
	t.Helper()
	data, err := os.ReadFile(alertTestsFile)
	if err != nil {
		t.Fatal(err)
	}
	var tests ruleTests
	if err := yaml.UnmarshalStrict(data, &tests); err != nil {
		t.Fatal(err)
	}
	return tests
}

// TestAlerts evaluates the rules by Prometheus' own rule manager over made-up series.
func TestAlerts(t *testing.T) {
	t.Parallel()
	tests := readRuleTests(t)
	for _, test := range tests.Tests {
		t.Run(test.Name, func(t *testing.T) {
			t.Parallel()
			run(t, time.Duration(tests.EvaluationInterval), test)
		})
	}
}

// TestEveryAlertFires shows that each rule has a test in which it fires and one in which it does not.
func TestEveryAlertFires(t *testing.T) {
	t.Parallel()
	fires, rests := map[string]bool{}, map[string]bool{}
	for _, test := range readRuleTests(t).Tests {
		for _, alert := range test.AlertRuleTests {
			fires[alert.AlertName] = fires[alert.AlertName] || len(alert.Expected) > 0
			rests[alert.AlertName] = rests[alert.AlertName] || len(alert.Expected) == 0
		}
	}
	for _, rule := range readRules(t) {
		if !fires[rule.Alert] {
			t.Errorf("no test in which %s fires", rule.Alert)
		}
		if !rests[rule.Alert] {
			t.Errorf("no test in which %s does not fire", rule.Alert)
		}
	}
}

func run(t *testing.T, every time.Duration, test ruleTest) {
	t.Helper()
	groups := loadGroups(t, every, test)
	wanted := slices.SortedFunc(slices.Values(test.AlertRuleTests), func(a, b alertTest) int {
		return cmp.Compare(a.EvalTime, b.EvalTime)
	})
	start := time.Unix(0, 0).UTC()
	for at := time.Duration(0); len(wanted) > 0; at += every {
		for _, group := range groups {
			group.Eval(t.Context(), start.Add(at))
		}
		for len(wanted) > 0 && time.Duration(wanted[0].EvalTime) <= at {
			compare(t, groups, wanted[0])
			wanted = wanted[1:]
		}
	}
}

func loadGroups(t *testing.T, every time.Duration, test ruleTest) []*rules.Group {
	t.Helper()
	var load strings.Builder
	fmt.Fprintf(&load, "load %s\n", test.Interval)
	for _, series := range test.InputSeries {
		fmt.Fprintf(&load, "  %s %s\n", series.Series, series.Values)
	}
	storage := promqltest.LoadedStorage(t, load.String())
	t.Cleanup(func() { _ = storage.Close() })
	manager := rules.NewManager(&rules.ManagerOptions{
		QueryFunc:  rules.EngineQueryFunc(promqltest.NewTestEngine(t, false, 0, 1_000_000), storage),
		Appendable: storage,
		Queryable:  storage,
		Context:    t.Context(),
		NotifyFunc: func(context.Context, string, ...*rules.Alert) {},
		Logger:     promslog.NewNopLogger(),
		Parser:     parser.NewParser(parser.Options{}),
	})
	groups, errs := manager.LoadGroups(every, labels.EmptyLabels(), "", nil, false, filepath.FromSlash(alertsFile))
	for _, err := range errs {
		t.Fatal(err)
	}
	for _, group := range groups {
		for _, rule := range group.AlertingRules() {
			rule.SetRestored(true) // else the first evaluations only wait for a state of before
		}
	}
	return slices.Collect(maps.Values(groups))
}

func compare(t *testing.T, groups []*rules.Group, want alertTest) {
	t.Helper()
	var got []expectedAlert
	for _, group := range groups {
		for _, rule := range group.AlertingRules() {
			if err := rule.LastError(); err != nil {
				t.Fatalf("evaluate %s: %v", rule.Name(), err)
			}
			if rule.Name() != want.AlertName {
				continue
			}
			for _, alert := range rule.ActiveAlerts() {
				if alert.State != rules.StateFiring {
					continue
				}
				firing := alert.Labels.Map()
				delete(firing, model.AlertNameLabel)
				got = append(got, expectedAlert{Labels: firing, Annotations: alert.Annotations.Map()})
			}
		}
	}
	for i := range got {
		if i >= len(want.Expected) {
			break
		}
		for name := range got[i].Annotations {
			if _, asked := want.Expected[i].Annotations[name]; !asked {
				delete(got[i].Annotations, name)
			}
		}
		if len(got[i].Annotations) == 0 {
			got[i].Annotations = nil
		}
	}
	if diff := gocmp.Diff(want.Expected, got); diff != "" {
		t.Errorf("%s at %s (-want +got):\n%s", want.AlertName, want.EvalTime, diff)
	}
}

// TestRunbooks: each alert leads to a section of docs/runbooks.md of its name, and there are no other sections.
func TestRunbooks(t *testing.T) {
	t.Parallel()
	document, err := os.ReadFile(filepath.Join("..", "..", "..", "docs", "runbooks.md"))
	if err != nil {
		t.Fatal(err)
	}
	var sections []string
	for line := range strings.Lines(string(document)) {
		if name, found := strings.CutPrefix(strings.TrimSpace(line), "## "); found {
			sections = append(sections, name)
		}
	}
	var alerts []string
	for _, r := range readRules(t) {
		alerts = append(alerts, r.Alert)
		want := "https://github.com/backlog-scaler/backlog-scaler/blob/main/docs/runbooks.md#" + strings.ToLower(r.Alert)
		if got := r.Annotations["runbook_url"]; got != want {
			t.Errorf("alert %s has the runbook %q, want %q", r.Alert, got, want)
		}
	}
	if diff := gocmp.Diff(alerts, sections); diff != "" {
		t.Errorf("the sections of docs/runbooks.md are not the alerts in their order (-alerts +sections):\n%s", diff)
	}
}
