package kubectl_test

import (
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"k8s.io/client-go/rest"

	"github.com/backlog-scaler/backlog-scaler/internal/kube/kubectl"
)

// write writes a kubeconfig and returns its path.
func write(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "kubeconfig")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

const two = `apiVersion: v1
kind: Config
current-context: prod
contexts:
  - {name: prod, context: {cluster: east, user: jane, namespace: shop}}
  - {name: staging, context: {cluster: west, user: jane}}
clusters:
  - {name: east, cluster: {server: "https://10.0.0.1:6443"}}
  - {name: west, cluster: {server: "https://10.0.0.2:6443"}}
users: [{name: jane, user: {token: abc}}]
`

func TestFlags(t *testing.T) {
	t.Parallel()
	file := write(t, two)
	for name, tc := range map[string]struct {
		flags           kubectl.Flags
		host, namespace string
		as              rest.ImpersonationConfig
		err             string
	}{
		"current":        {flags: kubectl.Flags{Kubeconfig: file}, host: "https://10.0.0.1:6443", namespace: "shop"},
		"context":        {flags: kubectl.Flags{Kubeconfig: file, Context: "staging"}, host: "https://10.0.0.2:6443", namespace: "default"},
		"impersonation":  {flags: kubectl.Flags{Kubeconfig: file, As: "joe", AsGroups: []string{"ops"}}, host: "https://10.0.0.1:6443", namespace: "shop", as: rest.ImpersonationConfig{UserName: "joe", Groups: []string{"ops"}}},
		"no context":     {flags: kubectl.Flags{Kubeconfig: file, Context: "prdo"}, err: `context "prdo" does not exist`},
		"no file":        {flags: kubectl.Flags{Kubeconfig: file + ".missing"}, err: "find the API server by the kubeconfig: "},
		"nothing inside": {flags: kubectl.Flags{Kubeconfig: write(t, "apiVersion: v1\nkind: Config\n")}, err: "there is no kubeconfig, want one by --kubeconfig"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := kubectl.Find(tc.flags)
			if tc.err != "" {
				if err == nil || !strings.Contains(err.Error(), tc.err) || strings.Contains(err.Error(), "abc") {
					t.Errorf("error %v, want %q", err, tc.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if got.Config.Host != tc.host || got.Namespace != tc.namespace || got.Config.BearerToken != "abc" {
				t.Errorf("%s in %s, want %s in %s", got.Config.Host, got.Namespace, tc.host, tc.namespace)
			}
			if diff := cmp.Diff(tc.as, got.Config.Impersonate, cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// TestProgram: a program that the kubeconfig names logs in, as those of managed clusters do.
func TestProgram(t *testing.T) {
	t.Parallel()
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, r.Header.Get("Authorization"))
	}))
	defer server.Close()
	dir := t.TempDir()
	ca := filepath.Join(dir, "ca.crt")
	if err := os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	got, err := kubectl.Find(kubectl.Flags{Kubeconfig: write(t, fmt.Sprintf(`apiVersion: v1
kind: Config
current-context: prod
contexts: [{name: prod, context: {cluster: east, user: jane}}]
clusters: [{name: east, cluster: {server: %q, certificate-authority: %q}}]
users:
  - name: jane
    user:
      exec:
        apiVersion: client.authentication.k8s.io/v1
        command: echo
        args: ['{"apiVersion":"client.authentication.k8s.io/v1","kind":"ExecCredential","status":{"token":"from-a-program"}}']
        interactiveMode: IfAvailable
`, server.URL, ca))})
	if err != nil {
		t.Fatal(err)
	}
	client, err := rest.HTTPClientFor(got.Config)
	if err != nil {
		t.Fatal(err)
	}
	defer client.CloseIdleConnections()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	response, err := client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	if body, err := io.ReadAll(response.Body); err != nil || string(body) != "Bearer from-a-program" {
		t.Errorf("%q, %v", body, err)
	}
}
