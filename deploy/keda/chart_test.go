// Package keda holds the tests of the Helm chart, of the examples and of the documentation next to it.
package keda

//go:generate go test . -run TestGolden|TestReadmeTable -update

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"helm.sh/helm/v3/pkg/chartutil"
	"helm.sh/helm/v3/pkg/lint"
	"helm.sh/helm/v3/pkg/lint/support"
	"sigs.k8s.io/yaml"

	"github.com/backlog-scaler/backlog-scaler/deploy/internal/helmchart"
)

var update = flag.Bool("update", false, "write the golden files again")

// valueSets are the files of testdata/values, without their ending.
func valueSets() []string {
	return []string{"defaults", "everything", "engines", "tls", "tls-exec", "bare", "policies", "policies-namespaces"}
}

// withPolicies reports whether a set enables policies.
func withPolicies(set string) bool { return strings.HasPrefix(set, "policies") }

func loadChart(t *testing.T) *helmchart.Chart {
	t.Helper()
	chart, err := helmchart.Load("chart")
	if err != nil {
		t.Fatal(err)
	}
	return chart
}

func readValues(t *testing.T, set string) map[string]any {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", "values", set+".yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var values map[string]any
	if err := yaml.UnmarshalStrict(data, &values); err != nil {
		t.Fatalf("parse values %s: %v", set, err)
	}
	return values
}

func render(t *testing.T, set string) helmchart.Rendered {
	t.Helper()
	rendered, err := loadChart(t).Render(readValues(t, set))
	if err != nil {
		t.Fatal(err)
	}
	return rendered
}

// TestLint is `helm lint --strict`: a warning fails.
func TestLint(t *testing.T) {
	for _, set := range valueSets() {
		t.Run(set, func(t *testing.T) {
			linter := lint.All("chart", readValues(t, set), helmchart.Namespace, true)
			for _, message := range linter.Messages {
				// An icon is advice, which --strict lets pass too.
				if message.Severity > support.InfoSev {
					t.Error(message.Error())
				}
			}
		})
	}
}

func TestLintFindsFaults(t *testing.T) {
	folder := t.TempDir()
	if err := os.CopyFS(folder, os.DirFS("chart")); err != nil {
		t.Fatal(err)
	}
	broken := filepath.Join(folder, "templates", "broken.yaml")
	if err := os.WriteFile(broken, []byte("kind: {{ .Values.nothing.here }}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	linter := lint.All(folder, readValues(t, "defaults"), helmchart.Namespace, true)
	if linter.HighestSeverity < support.ErrorSev {
		t.Errorf("a broken template passes the linter: %v", linter.Messages)
	}
}

// TestGolden compares the rendered chart with the golden files. `go test ./keda -update` writes them.
func TestGolden(t *testing.T) {
	t.Parallel()
	for _, set := range valueSets() {
		t.Run(set, func(t *testing.T) {
			t.Parallel()
			rendered := render(t, set)
			got := rendered.Manifest + "---\n# NOTES.txt\n" + rendered.Notes
			got = strings.Replace(got, dashboard(t), "    (monitoring/dashboard.json)\n", 1)
			got = strings.Replace(got, definition(t), "(policies/backlog-scaler.github.io_autoscalerpolicies.yaml)\n", 1)
			file := filepath.Join("testdata", "golden", set+".yaml")
			if *update {
				if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(strings.Split(string(want), "\n"), strings.Split(got, "\n")); diff != "" {
				t.Errorf("rendered chart differs from %s (-want +got):\n%s", file, diff)
			}
		})
	}
}

// dashboard is the dashboard as the chart indents it. It is its own golden file.
func dashboard(t *testing.T) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("chart", "monitoring", "dashboard.json"))
	if err != nil {
		t.Fatal(err)
	}
	var text strings.Builder
	for line := range strings.Lines(string(data)) {
		text.WriteString("    " + line)
	}
	return text.String()
}

// definition is the custom resource definition, which is generated elsewhere.
func definition(t *testing.T) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("chart", "policies", "backlog-scaler.github.io_autoscalerpolicies.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func TestKubeVersion(t *testing.T) {
	t.Parallel()
	chart := loadChart(t)
	for version, want := range map[string]bool{
		"v1.26.15": false, "v1.27.0": true, "v1.27.3-gke.100": true, "v1.36.3": true,
	} {
		if got := chartutil.IsCompatibleRange(chart.KubeVersion(), version); got != want {
			t.Errorf("Kubernetes %s: compatible %v, want %v", version, got, want)
		}
	}
}

// TestBadValues checks that a mistake is refused and that the text says what is wrong.
func TestBadValues(t *testing.T) {
	t.Parallel()
	connection := func(settings string) string {
		return "connections: {orders: {engine: redis, namespaces: [shop], addresses: ['redis:6379'], " + settings + "}}"
	}
	tests := map[string]struct {
		values string
		want   []string
	}{
		"unknown key":                 {"replicas: 2", []string{"replicas", "not allowed"}},
		"unknown nested key":          {"image: {name: x}", []string{"/image", "name", "not allowed"}},
		"wrong type":                  {"replicaCount: two", []string{"/replicaCount", "got string, want integer"}},
		"log level":                   {"scaler: {logLevel: loud}", []string{"/scaler/logLevel", "debug", "warn"}},
		"duration without unit":       {"scaler: {maxStaleness: '30'}", []string{"/scaler/maxStaleness", "does not match pattern"}},
		"admin address without port":  {"scaler: {adminAddress: 127.0.0.1}", []string{"/scaler/adminAddress", "does not match pattern"}},
		"negative drain":              {"scaler: {drainDelaySeconds: -1}", []string{"/scaler/drainDelaySeconds", "minimum"}},
		"no engine":                   {"connections: {orders: {namespaces: [shop]}}", []string{"/connections/orders", "engine"}},
		"unknown engine":              {"connections: {orders: {engine: redsi, namespaces: [shop]}}", []string{"/connections/orders/engine", "redis"}},
		"no namespace may use it":     {"connections: {orders: {engine: redis, addresses: ['r:1'], namespaces: []}}", []string{"/connections/orders/namespaces", "minItems"}},
		"misspelt setting":            {connection("databse: 1"), []string{"/connections/orders", "databse", "not allowed"}},
		"password in clear":           {connection("password: hunter2"), []string{"/connections/orders/password", "want object"}},
		"two sources of one password": {connection("password: {env: A, file: b}"), []string{"/connections/orders/password", "maxProperties"}},
		"sentinel without master":     {connection("mode: sentinel"), []string{"/connections/orders", "masterName"}},
		"number without URL":          {"connections: {load: {engine: prometheus, namespaces: [shop]}}", []string{"/connections/load", "url"}},
		"URL with a user":             {"connections: {load: {engine: http, namespaces: [shop], url: 'http://u:p@x'}}", []string{"/connections/load/url", "does not match pattern"}},
		"setting of another engine":   {"connections: {load: {engine: http, namespaces: [shop], url: 'http://x', namespaceLabel: ns}}", []string{"/connections/load", "namespaceLabel", "not allowed"}},
		"certificate without key":     {connection("tls: true, tlsCertFile: a"), []string{"/connections/orders", "tlsKeyFile"}},
		"TLS without secret":          {"tls: {enabled: true}", []string{"/tls/existingSecret", "minLength"}},
		"gRPC probes with TLS":        {"tls: {enabled: true, existingSecret: a}\nprobes: {type: grpc}", []string{"probes of Kubernetes speak no TLS", "auto, http or exec"}},
		"privileged port":             {"service: {grpcPort: 90}", []string{"/service/grpcPort", "minimum"}},
		"secret with a bad name":      {"secrets: [{name: A_b, secretName: x}]", []string{"/secrets/0/name", "does not match pattern"}},
		"secret without source":       {"secrets: [{name: a}]", []string{"/secrets/0", "secretName"}},
		"memory that is no quantity":  {"resources: {limits: {memory: lots}}", []string{"resources.limits.memory", "lots", "Mi"}},
		"unknown alert":               {"prometheusRule: {enabled: true, disabled: [Nonsense]}", []string{"Nonsense", "BacklogScalerAbsent"}},
		"no disruption at all":        {"podDisruptionBudget: {maxUnavailable: 0}", []string{"/podDisruptionBudget/maxUnavailable"}},
		"policy open to everyone":     {"networkPolicy: {kedaNamespaceSelector: {kubernetes.io/metadata.name: null}}", []string{"/networkPolicy/kedaNamespaceSelector"}},
		"namespace that is none":      {"policies: {namespaces: ['Shop']}", []string{"/policies/namespaces/0", "does not match pattern"}},
		"kind in place of a resource": {"policies: {extraTargets: [{group: argoproj.io, resource: Rollout}]}", []string{"/policies/extraTargets/0/resource"}},
		"digest that is none":         {"image: {digest: latest}", []string{"/image/digest", "does not match pattern"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var values map[string]any
			if err := yaml.UnmarshalStrict([]byte(test.values), &values); err != nil {
				t.Fatal(err)
			}
			_, err := loadChart(t).Render(values)
			if err == nil {
				t.Fatal("the values are accepted")
			}
			for _, want := range test.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("error %q does not say %q", err, want)
				}
			}
		})
	}
}
