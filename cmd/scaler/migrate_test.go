package main

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// scaledObject is one with a trigger of KEDA, and deployment its workload.
const (
	scaledObject = `apiVersion: keda.sh/v1alpha1
kind: ScaledObject
metadata: {name: mailer, namespace: shop}
spec:
  scaleTargetRef: {name: mailer}
  triggers:
    - type: redis
      metadata:
        addressFromEnv: REDIS
        passwordFromEnv: PASSWORD
        listName: mails
`
	deployment = `apiVersion: apps/v1
kind: Deployment
metadata: {name: mailer, namespace: shop}
spec:
  template:
    spec:
      containers:
        - name: app
          env:
            - {name: REDIS, value: "redis.shop.svc:6379"}
            - {name: PASSWORD, valueFrom: {secretKeyRef: {name: redis, key: password}}}
`
)

// TestMigrate: the exit codes, where the result goes, and what is read.
func TestMigrate(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	alone := write("alone.yaml", scaledObject)
	workload := write("workload.yml", deployment)
	folder := filepath.Dir(write("folder/deep/a.yaml", scaledObject))
	write("folder/b.json", `{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "x"}}`)
	write("folder/notes.txt", "{{ no manifest")
	write("folder/.git/config.yaml", "{{ no manifest")
	write("folder/deployment.yaml", deployment)
	broken := write("broken.yaml", "a: [\n")
	other := write("other.yaml", deployment)
	for _, tc := range []struct {
		name         string
		args         []string
		code         int
		stdout, want string
	}{
		{"whole", []string{alone, workload}, 0, `addresses: ["redis.shop.svc:6379"]`, "carried: shop/mailer trigger 0"},
		{"a folder", []string{filepath.Dir(folder)}, 0, "type: external-push # was: redis listName=mails (scaler migrate)", "0 gaps"},
		{"a gap", []string{alone}, 3, "addresses: [] # FILL IN", "something is left to do by hand"},
		{"JSON", []string{alone, "--format", "json"}, 3, "external-push", `"outcome": "carried"`},
		{"no YAML", []string{broken, alone}, 1, "external-push", broken + ":1: not valid YAML"},
		{"no object", []string{other}, 1, "", "no ScaledObject and no ScaledJob found"},
		{"no file", []string{filepath.Join(dir, "none.yaml")}, 1, "", "no such file"},
		{"nothing", nil, 2, "", "want a file, a folder, - for the standard input, or --cluster"},
		{"input twice", []string{"-", "-"}, 2, "", "- is given more than once"},
		{"no format", []string{alone, "--format", "xml"}, 2, "", "must be one of"},
		{"address", []string{alone, "--scaler-address", "scaler.keda.svc:1"}, 3, "scalerAddress: scaler.keda.svc:1", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			code, out, errText := scaler(append([]string{"migrate"}, tc.args...)...)
			if code != tc.code || !strings.Contains(out, tc.stdout) || !strings.Contains(errText, tc.want) {
				t.Errorf("code %d, want %d; no %q and %q in\n%s\n%s", code, tc.code, tc.stdout, tc.want, out, errText)
			}
		})
	}
	t.Run("report in a file", func(t *testing.T) {
		t.Parallel()
		file := filepath.Join(dir, "report")
		code, out, errText := scaler("migrate", alone, "--report", file, "--format", "json")
		if code != 3 || !strings.Contains(out, "external-push") || strings.Contains(errText, "outcome") {
			t.Errorf("code %d\n%s\n%s", code, out, errText)
		}
		if data, err := os.ReadFile(file); err != nil || !json.Valid(data) {
			t.Errorf("%v, or no JSON:\n%s", err, data)
		}
	})
	t.Run("into a folder", func(t *testing.T) {
		t.Parallel()
		into := filepath.Join(dir, "into")
		code, out, errText := scaler("migrate", alone, workload, "--output", into)
		if code != 0 || !strings.Contains(out, "3 files") {
			t.Errorf("code %d\n%s\n%s", code, out, errText)
		}
		for name, want := range map[string]string{"config.yaml": "connections:", "shop-scaledobject-mailer.yaml": "list: mails", "report.md": "# Migration"} {
			if data, err := os.ReadFile(filepath.Join(into, name)); err != nil || !strings.Contains(string(data), want) {
				t.Errorf("%s: %v, no %q in\n%s", name, err, want, data)
			}
		}
		// What was written is accepted once the Secret is mounted.
		if code, _, errText := scaler("check", "--config", filepath.Join(into, "config.yaml")); code != 1 || !strings.Contains(errText, "/etc/backlog-scaler/secrets/redis/password") {
			t.Errorf("code %d\n%s", code, errText)
		}
	})
}

// asJSON is a list of the API server.
func asJSON(t *testing.T, apiVersion, kind string, items ...map[string]any) []byte {
	t.Helper()
	data, err := json.Marshal(map[string]any{"apiVersion": apiVersion, "kind": kind, "metadata": map[string]any{}, "items": items})
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// TestMigrateCluster reads from an API server, and only reads.
func TestMigrateCluster(t *testing.T) {
	t.Parallel()
	object := map[string]any{
		"apiVersion": "keda.sh/v1alpha1", "kind": "ScaledObject",
		"metadata": map[string]any{"name": "mailer", "namespace": "shop", "uid": "1", "resourceVersion": "7", "annotations": map[string]any{
			"kubectl.kubernetes.io/last-applied-configuration": `{"password":"hunter2"}`,
		}},
		"spec": map[string]any{"scaleTargetRef": map[string]any{"name": "mailer"}, "triggers": []any{map[string]any{
			"type": "redis", "metadata": map[string]any{"addressFromEnv": "REDIS", "listName": "mails"},
		}}},
		"status": map[string]any{"hpaName": "x"},
	}
	workload := map[string]any{
		"apiVersion": "apps/v1", "kind": "Deployment", "metadata": map[string]any{"name": "mailer", "namespace": "shop"},
		"spec": map[string]any{"template": map[string]any{"spec": map[string]any{"containers": []any{map[string]any{
			"name": "app", "env": []any{map[string]any{"name": "REDIS", "value": "redis.shop.svc:6379"}},
		}}}}},
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet || strings.Contains(r.URL.Path, "secrets") {
			t.Errorf("%s %s", r.Method, r.URL)
		}
		w.Header().Set("Content-Type", "application/json")
		switch r.URL.Path {
		case "/apis/keda.sh/v1alpha1/scaledobjects":
			_, _ = w.Write(asJSON(t, "keda.sh/v1alpha1", "ScaledObjectList", object))
		case "/apis/apps/v1/namespaces/shop/deployments":
			_, _ = w.Write(asJSON(t, "apps/v1", "DeploymentList", workload))
		case "/api/v1/namespaces/shop/configmaps":
			w.WriteHeader(http.StatusForbidden)
			_, _ = w.Write([]byte(`{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"Forbidden","code":403,"message":"no"}`))
		default:
			_, _ = w.Write(asJSON(t, "v1", "List"))
		}
	}))
	defer server.Close()
	kubeconfig := filepath.Join(t.TempDir(), "config")
	text := "apiVersion: v1\nkind: Config\ncurrent-context: c\ncontexts: [{name: c, context: {cluster: s, user: \"\"}}]\nclusters: [{name: s, cluster: {server: \"" + server.URL + "\"}}]\n"
	if err := os.WriteFile(kubeconfig, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	code, out, errText := scaler("migrate", "--cluster", "--kubeconfig", kubeconfig)
	want := `# Connections for the triggers that "scaler migrate" has changed.
connections:
  redis:
    engine: redis
    namespaces: [shop]
    addresses: ["redis.shop.svc:6379"]
---
apiVersion: keda.sh/v1alpha1
kind: ScaledObject
metadata:
  name: mailer
  namespace: shop
spec:
  scaleTargetRef:
    name: mailer
  triggers:
    - metadata:
        scalerAddress: backlog-scaler.backlog-scaler.svc:9090
        connection: redis
        list: mails
        target: "5"
        activation: "0"
      type: external-push # was: redis listName=mails (scaler migrate)
`
	if code != 0 || out != want || strings.Contains(out+errText, "hunter2") {
		t.Errorf("code %d\n%s\n%s", code, out, errText)
	}
	if !strings.Contains(errText, "configmaps of namespace shop may not be read") {
		t.Errorf("no note in\n%s", errText)
	}
}

// TestMigrateShadow compares two pages of metrics.
func TestMigrateShadow(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := filepath.Join(dir, "a.yaml")
	if err := os.WriteFile(file, []byte(scaledObject+"---\n"+deployment), 0o600); err != nil {
		t.Fatal(err)
	}
	serve := func(text string) string {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(text)) }))
		t.Cleanup(server.Close)
		return server.URL
	}
	keda := serve(`keda_scaler_metrics_value{metric="s0-redis-mails",namespace="shop",scaledObject="mailer",scaler="redisScaler",triggerIndex="0",type="scaledobject"} 7` + "\n")
	ours := func(number string) string {
		return serve(`backlog_scaler_trigger_value{connection="redis",namespace="shop",queue="mails",scaledobject="shop.scaledobject.mailer.0",trigger="list-mails"} ` + number + "\n")
	}
	same, other, none := ours("7"), ours("8"), serve("")
	gone := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(gone.Close)
	for _, tc := range []struct {
		name         string
		args         []string
		code         int
		stdout, want string
	}{
		{"watches", []string{"--shadow"}, 0, "  shop.scaledobject.mailer.0:\n    namespace: shop\n    connection: redis\n    list: mails\n", "carried"},
		{"equal", []string{"--shadow", "--keda-metrics", keda, "--scaler-metrics", same}, 0, "shop/mailer  0        7     7", ""},
		{"differs", []string{"--shadow", "--keda-metrics", keda, "--scaler-metrics", other}, 3, "differs, and the report announced nothing", "1 triggers differ"},
		{"no value", []string{"--shadow", "--keda-metrics", keda, "--scaler-metrics", none}, 3, "the scaler has no value for the watch shop.scaledobject.mailer.0", "1 had no values"},
		{"no page", []string{"--shadow", "--keda-metrics", gone.URL, "--scaler-metrics", same}, 1, "", "read the metrics of KEDA: " + gone.URL + " answered 404"},
		{"one page", []string{"--shadow", "--keda-metrics", keda}, 2, "", "want both, with --shadow"},
		{"no shadow", []string{"--keda-metrics", keda, "--scaler-metrics", same}, 2, "", "want both, with --shadow"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			code, out, errText := scaler(append([]string{"migrate", file, "--for", "10ms"}, tc.args...)...)
			if code != tc.code || !strings.Contains(out, tc.stdout) || !strings.Contains(errText, tc.want) {
				t.Errorf("code %d, want %d; no %q and %q in\n%s\n%s", code, tc.code, tc.stdout, tc.want, out, errText)
			}
		})
	}
}
