package main

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/backlog-scaler/backlog-scaler/internal/policycheck/policychecktest"
)

// asProgram in the environment has the test binary be the program.
const asProgram = "KUBECTL_BACKLOG_TEST_AS_PROGRAM"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		os.Exit(run("/usr/local/bin/kubectl-backlog", os.Args[1:], os.Stdout, os.Stderr))
	}
	// It is the width of help.
	if err := os.Unsetenv("COLUMNS"); err != nil {
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// plugin runs the program as kubectl does, and returns what it printed.
func plugin(args ...string) (code int, stdout, stderr string) {
	var out, err strings.Builder
	code = run("/usr/local/bin/kubectl-backlog", args, &out, &err)
	return code, out.String(), err.String()
}

// write writes a file and returns its path.
func write(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

var update = flag.Bool("update", false, "write the golden file again")

// TestHelp compares the help of all commands with a golden file. `go test ./cmd/kubectl-backlog -run TestHelp -update`
// writes it.
func TestHelp(t *testing.T) {
	t.Parallel()
	var all strings.Builder
	for _, command := range []string{"", "explain", "watch", "policy explain", "policy check", "doctor", "ui", "completion install", "completion print", "version"} {
		args := append(strings.Fields(command), "--help")
		code, out, errText := plugin(args...)
		if code != 0 || !strings.HasPrefix(out, "Usage: kubectl backlog "+command) {
			t.Errorf("%s: code %d:\n%s%s", command, code, out, errText)
		}
		all.WriteString("$ kubectl backlog " + strings.Join(args, " ") + "\n" + out + "\n")
	}
	file := filepath.Join("testdata", "help.txt")
	if *update {
		if err := os.WriteFile(file, []byte(all.String()), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(strings.Split(string(want), "\n"), strings.Split(all.String(), "\n")); diff != "" {
		t.Errorf("%s (-want +got):\n%s", file, diff)
	}
}

func TestNameOf(t *testing.T) {
	t.Parallel()
	for path, want := range map[string]string{
		"kubectl-backlog": "kubectl backlog", "/opt/krew/bin/kubectl-backlog": "kubectl backlog", "kubectl-backlog.exe": "kubectl backlog",
		"./backlog": "backlog",
	} {
		if got := nameOf(path); got != want {
			t.Errorf("%s: %q, want %q", path, got, want)
		}
	}
}

func TestMistakes(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name string
		args []string
		code int
		want string
	}{
		{"no command", nil, 2, "expected one of"},
		{"no name", []string{"explain"}, 2, "<name>"},
		{"unknown flag", []string{"watch", "--all-namespace"}, 2, `did you mean "--all-namespaces"`},
		{"another format", []string{"watch", "-o", "xml"}, 2, "--output"},
		{"no port", []string{"ui", "--port", "70000"}, 2, "want a port from 1 to 65535"},
		{"two places", []string{"doctor", "--offline", "x.yaml", "--address", "127.0.0.1:1"}, 2, "want one of the two"},
		{"no kubeconfig", []string{"explain", "billing", "--kubeconfig", "/nowhere/kubeconfig"}, 1, "find the API server"},
		{"unknown context", []string{"explain", "billing", "--context", "prod", "--kubeconfig", write(t, "k", "apiVersion: v1\nkind: Config\n")}, 1, `context "prod" does not exist`},
		{"no API server", []string{"explain", "shop/billing", "--kubeconfig", write(t, "k", kubeconfigOfNothing)}, 1, "connection refused"},
		{"no API server to examine", []string{"doctor", "--kubeconfig", write(t, "k", kubeconfigOfNothing)}, 3, "the API server does not answer"},
		{"no scaler at the address", []string{"explain", "shop/billing", "--address", "127.0.0.1:1"}, 1, "no scaler answers at 127.0.0.1:1"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			code, out, err := plugin(tc.args...)
			if code != tc.code || !strings.Contains(err, tc.want) || tc.code == 2 && !strings.Contains(err, `Run "kubectl backlog --help"`) {
				t.Errorf("code %d, want %d; printed\n%s%s\nwant %q", code, tc.code, out, err, tc.want)
			}
		})
	}
}

const kubeconfigOfNothing = `apiVersion: v1
kind: Config
current-context: test
contexts: [{name: test, context: {cluster: test}}]
clusters: [{name: test, cluster: {server: "http://127.0.0.1:1"}}]
`

// TestOffline: what needs no cluster asks for none.
func TestOffline(t *testing.T) {
	t.Parallel()
	policy := write(t, "policy.yaml", policychecktest.Whole)
	code, out, errText := plugin("policy", "check", "-n", "shop", policy)
	if code != 0 || !strings.Contains(out, "AutoscalerPolicy shop/billing: valid") {
		t.Errorf("policy check: %d\n%s%s", code, out, errText)
	}
	object := write(t, "object.yaml", "apiVersion: keda.sh/v1alpha1\nkind: ScaledObject\nmetadata: {name: billing, namespace: shop}\n"+
		"spec:\n  scaleTargetRef: {name: billing}\n  pollingInterval: 20\n  maxReplicaCount: 20\n  triggers:\n"+
		"    - {type: external, metadata: {scalerAddress: \"backlog-scaler.backlog-scaler.svc:9090\", connection: orders, list: jobs}}\n")
	code, out, errText = plugin("doctor", "--offline", object)
	if code != 1 || !strings.Contains(out, "warning  S204") || !strings.Contains(errText, "traps found") {
		t.Errorf("doctor: %d\n%s%s", code, out, errText)
	}
	if code, out, _ := plugin("version"); code != 0 || !strings.HasPrefix(out, "kubectl-backlog dev (revision ") {
		t.Errorf("version: %d %q", code, out)
	}
}
