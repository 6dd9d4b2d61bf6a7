package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const (
	healthyManifest = `apiVersion: keda.sh/v1alpha1
kind: ScaledObject
metadata: {name: billing, namespace: shop}
spec:
  scaleTargetRef: {name: billing}
  pollingInterval: 20
  maxReplicaCount: 20
  triggers:
    - type: external-push
      metadata: {scalerAddress: "backlog-scaler.backlog-scaler.svc:9090", connection: orders, list: jobs}
`
	kubeconfigOfNothing = `apiVersion: v1
kind: Config
current-context: test
contexts: [{name: test, context: {cluster: test}}]
clusters: [{name: test, cluster: {server: "http://127.0.0.1:1"}}]
`
)

// TestDoctor: the exit code says what was found, alike in each format.
func TestDoctor(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	good := file("good.yaml", healthyManifest)
	warned := file("warned.yaml", strings.Replace(healthyManifest, "external-push", "external", 1))
	bad := file("bad.yaml", strings.Replace(healthyManifest, "list: jobs", "lst: jobs", 1))
	ignored := file("ignored.yaml", strings.NewReplacer("external-push", "external", "metadata: {name: billing,",
		`metadata: {annotations: {backlog-scaler.github.io/doctor-ignore: "S204: a poll is soon enough"}, name: billing,`).Replace(healthyManifest))
	broken := file("broken.yaml", "a: [\n")
	// None of the files is there, and none is read.
	config := writeConfig(t, "connections:\n  orders: {engine: redis, namespaces: [bank], addresses: [127.0.0.1:1], tls: true, tlsCAFile: missing.pem, username: a, password: {file: missing}}\n"+
		"  nats: {engine: jetstream, namespaces: [bank], addresses: [127.0.0.1:1], credentialsFile: missing.creds}\n")
	for _, tc := range []struct {
		name         string
		args         []string
		code         int
		stdout, want string
	}{
		{"good", []string{"--offline", good}, 0, "0 errors, 0 warnings", ""},
		{"a warning", []string{"--offline", warned}, 1, "warning  S204", "traps found"},
		{"a warning below the threshold", []string{"--offline", warned, "--fail-on", "error"}, 0, "warning  S204", ""},
		{"ignored", []string{"--offline", ignored}, 0, "1 ignored", ""},
		{"an error", []string{"--offline", bad, "--fail-on", "error"}, 1, bad + `:10, spec.triggers[0].metadata`, "traps found"},
		{"two files", []string{"--offline", good, "--offline", bad}, 1, "lst: unknown key, did you mean", "traps found"},
		{"a folder with a broken file", []string{"--offline", dir}, 3, "", "broken.yaml"},
		{"not YAML", []string{"--offline", broken}, 3, "", "broken.yaml"},
		{"no file", []string{"--offline", good + ".missing"}, 3, "", "no such file"},
		{"configuration", []string{"--offline", good, "--config", config}, 1, `namespace "shop" has no connection "orders"`, "traps found"},
		{"no configuration", []string{"--offline", good, "--config", good}, 3, "", "unknown key"},
		{"two places", []string{"--offline", good, "--address", "127.0.0.1:1"}, 2, "", "want one of the two"},
		{"no threshold", []string{"--offline", good, "--fail-on", "info"}, 2, "", "--fail-on"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			code, out, errText := scaler(append([]string{"doctor"}, tc.args...)...)
			if code != tc.code || !strings.Contains(out, tc.stdout) || !strings.Contains(errText, tc.want) {
				t.Errorf("code %d, want %d; no %q and %q in\n%s\n%s", code, tc.code, tc.stdout, tc.want, out, errText)
			}
			if tc.code == 2 || tc.code == 3 {
				return
			}
			for _, format := range []string{"short", "json", "sarif"} {
				code, out, _ := scaler(append([]string{"doctor", "--output", format}, tc.args...)...)
				if code != tc.code || format != "short" && !json.Valid([]byte(out)) {
					t.Errorf("--output %s: code %d, want %d\n%s", format, code, tc.code, out)
				}
			}
		})
	}
}

// TestDoctorWithoutCluster: an API server that does not answer is the exit code 3.
func TestDoctorWithoutCluster(t *testing.T) {
	path := filepath.Join(t.TempDir(), "kubeconfig")
	if err := os.WriteFile(path, []byte(kubeconfigOfNothing), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("KUBECONFIG", path)
	for _, format := range []string{"text", "json"} {
		if code, out, errText := scaler("doctor", "--output", format); code != 3 || out != "" || !strings.Contains(errText, "the API server does not answer") {
			t.Errorf("code %d\n%s\n%s", code, out, errText)
		}
	}
}
