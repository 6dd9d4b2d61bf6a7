package kubeconfig_test

import (
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/backlog-scaler/backlog-scaler/internal/kube/kubeconfig"
)

const head = `apiVersion: v1
kind: Config
current-context: prod
contexts: [{name: prod, context: {cluster: east, user: jane, namespace: shop}}]
`

// write writes files into a folder and returns their paths.
func write(t *testing.T, texts ...string) []string {
	t.Helper()
	folder := t.TempDir()
	var paths []string
	for i, text := range texts {
		path := filepath.Join(folder, string(rune('a'+i)))
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		paths = append(paths, path)
	}
	for _, name := range []string{"pki/ca.crt", "pki/jane.crt", "pki/jane.key", "token"} {
		path := filepath.Join(folder, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, nil, 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	return paths
}

// TestLoadsWhatKubectlLoads compares with clientcmd of client-go, which kubectl uses.
func TestLoadsWhatKubectlLoads(t *testing.T) {
	t.Parallel()
	for name, files := range map[string][]string{
		"token": {head + `
clusters: [{name: east, cluster: {server: "https://10.0.0.1:6443", certificate-authority-data: aGVsbG8=, tls-server-name: api.east}}]
users: [{name: jane, user: {token: abc}}]`},
		"files relative to the folder": {head + `
clusters: [{name: east, cluster: {server: "https://10.0.0.1:6443", certificate-authority: pki/ca.crt}}]
users: [{name: jane, user: {client-certificate: pki/jane.crt, client-key: pki/jane.key, tokenFile: token}}]`},
		"data": {head + `
clusters: [{name: east, cluster: {server: "https://10.0.0.1:6443", certificate-authority-data: aGVsbG8=}}]
users: [{name: jane, user: {client-certificate-data: aGVsbG8=, client-key-data: d29ybGQ=}}]`},
		"nothing secret without TLS": {head + `
clusters: [{name: east, cluster: {server: "http://10.0.0.1:8080", tls-server-name: x}}]
users: [{name: jane, user: {token: abc}}]`},
		"insecure, with a password and another identity": {head + `
clusters: [{name: east, cluster: {server: "https://10.0.0.1:8443", insecure-skip-tls-verify: true, disable-compression: true}}]
users: [{name: jane, user: {username: jane, password: secret, as: joe, as-uid: "7", as-groups: [a, b], as-user-extra: {scopes: [x]}}}]`},
		"a program": {head + `
clusters: [{name: east, cluster: {server: "https://10.0.0.1:6443"}}]
users:
- name: jane
  user:
    exec: {apiVersion: client.authentication.k8s.io/v1, command: bin/login, args: [-q], env: [{name: A, value: b}], provideClusterInfo: true, interactiveMode: Never, installHint: get it}`},
		"a program in PATH": {head + `
clusters: [{name: east, cluster: {server: "https://10.0.0.1:6443"}}]
users: [{name: jane, user: {exec: {apiVersion: client.authentication.k8s.io/v1beta1, command: aws, interactiveMode: IfAvailable}}}]`},
		"several files": {
			"current-context: prod\nclusters: [{name: east, cluster: {server: \"https://first:6443\"}}]\n",
			head + "clusters: [{name: east, cluster: {server: \"https://second:6443\"}}]\nusers: [{name: jane, user: {token: x}}]\n",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			paths := write(t, files...)
			rules := &clientcmd.ClientConfigLoadingRules{Precedence: paths}
			want, err := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(rules, nil).ClientConfig()
			if err != nil {
				t.Fatal(err)
			}
			got, err := kubeconfig.Load(append(paths, filepath.Join(t.TempDir(), "missing")))
			if err != nil {
				t.Fatal(err)
			}
			options := []cmp.Option{
				cmpopts.IgnoreUnexported(rest.Config{}), cmpopts.EquateEmpty(),
				// clientcmd says nothing of a terminal, and keeps the name of the cluster's own namespace.
				cmpopts.IgnoreFields(rest.Config{}, "ExecProvider", "Proxy"),
			}
			if diff := cmp.Diff(want, got, options...); diff != "" {
				t.Errorf("access (-clientcmd +ours):\n%s", diff)
			}
			if (want.ExecProvider == nil) != (got.ExecProvider == nil) {
				t.Fatalf("program %v, want %v", got.ExecProvider, want.ExecProvider)
			}
			if want := want.ExecProvider; want != nil {
				got := got.ExecProvider
				if got.Command != want.Command || got.APIVersion != want.APIVersion || got.InteractiveMode != want.InteractiveMode ||
					got.ProvideClusterInfo != want.ProvideClusterInfo || !cmp.Equal(got.Args, want.Args) || !cmp.Equal(got.Env, want.Env) || !got.StdinUnavailable {
					t.Errorf("program %+v, want %+v without a terminal", got, want)
				}
			}
		})
	}
}

func TestProxy(t *testing.T) {
	t.Parallel()
	got, err := kubeconfig.Load(write(t, head+`
clusters: [{name: east, cluster: {server: "https://10.0.0.1:6443", proxy-url: "http://proxy:3128"}}]
users: [{name: jane, user: {token: x}}]`))
	if err != nil {
		t.Fatal(err)
	}
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, got.Host, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	if proxy, err := got.Proxy(request); err != nil || proxy.Host != "proxy:3128" {
		t.Errorf("proxy %v, %v", proxy, err)
	}
}

func TestRejects(t *testing.T) {
	t.Parallel()
	const east = "clusters: [{name: east, cluster: {server: \"https://10.0.0.1:6443\"}}]\n"
	for name, c := range map[string]struct{ text, want string }{
		"no YAML":            {"token: hunter2: x", "is not the configuration of a client of Kubernetes"},
		"no context":         {east, "current-context: is not set"},
		"another context":    {strings.Replace(head, "current-context: prod", "current-context: prdo", 1) + east, `there is no context "prdo"; did you mean "prod"?`},
		"no cluster":         {head, `context "prod": there is no cluster "east"`},
		"no user":            {head + east, `context "prod": there is no user "jane"`},
		"no server":          {head + "clusters: [{name: east, cluster: {}}]", `cluster "east": server: is missing`},
		"no base64":          {head + east + "users: [{name: jane, user: {client-key-data: hunter2!}}]", `user "jane": client-key-data: is not in base64`},
		"a provider":         {head + east + "users: [{name: jane, user: {auth-provider: {name: gcp}}}]", "want exec"},
		"no proxy":           {head + "clusters: [{name: east, cluster: {server: \"https://x\", proxy-url: \"::\"}}]", "proxy-url: want the address of a proxy"},
		"the token as a map": {head + east + "users: [{name: jane, user: {token: {hunter2: x}}}]", "is not the configuration"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := kubeconfig.Load(write(t, c.text))
			if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "hunter2") {
				t.Errorf("error %v, want one with %q", err, c.want)
			}
		})
	}
	if _, err := kubeconfig.Load([]string{filepath.Join(t.TempDir(), "missing")}); err == nil || !strings.Contains(err.Error(), "no file with an API server") {
		t.Errorf("error %v without a file", err)
	}
}
