// Package kubetest is a small API server for tests: it lists pods and forwards their ports, by WebSocket and by SPDY,
// with the handshakes of the real one. The tests of e2e run the same on a real control plane.
package kubetest

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
)

// A Pod is a pod of the server.
type Pod struct {
	Namespace, Name string
	// Labels are those of the chart unless they are set, with the release.
	Release string
	Labels  map[string]string
	Ready   bool
	// Args and Env are those of its container.
	Args []string
	Env  map[string]string
	// Address is where all of its ports lead; empty for nowhere.
	Address string
}

// A Server is the API server. Its fields are set before it is used, or by its methods.
type Server struct {
	t    testing.TB
	http *httptest.Server

	mu   sync.Mutex // guards what follows
	pods []Pod
	// denied are requests that are forbidden, such as "list " for those of all namespaces and "create shop".
	denied []string
	// noWebSocket has the server refuse WebSockets, as an old one does.
	noWebSocket bool
	asked       []string
	sessions    map[*session]struct{}
}

// Start starts a server that ends with the test.
func Start(t testing.TB, pods ...Pod) *Server {
	t.Helper()
	s := &Server{t: t, pods: pods, sessions: make(map[*session]struct{})}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /api/v1/pods", s.list)
	mux.HandleFunc("GET /api/v1/namespaces/{namespace}/pods", s.list)
	mux.HandleFunc("/api/v1/namespaces/{namespace}/pods/{name}/portforward", s.portforward)
	s.http = httptest.NewServer(mux)
	t.Cleanup(func() {
		s.Cut()
		s.http.Close()
	})
	return s
}

// URL is the address of the server.
func (s *Server) URL() string { return s.http.URL }

// Kubeconfig writes a file that names the server and a namespace, and returns its path.
func (s *Server) Kubeconfig(namespace string) string {
	s.t.Helper()
	path := filepath.Join(s.t.TempDir(), "kubeconfig")
	text := fmt.Sprintf(`apiVersion: v1
kind: Config
current-context: test
contexts: [{name: test, context: {cluster: test, namespace: %q}}]
clusters: [{name: test, cluster: {server: %q}}]
`, namespace, s.URL())
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		s.t.Fatal(err)
	}
	return path
}

// Set replaces the pods.
func (s *Server) Set(pods ...Pod) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.pods = pods
}

// Deny forbids verbs of a namespace: list of pods, and get and create of their ports. An empty namespace is all.
func (s *Server) Deny(namespace string, verbs ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, verb := range verbs {
		s.denied = append(s.denied, verb+" "+namespace)
	}
}

// RefuseWebSockets has the server speak SPDY alone.
func (s *Server) RefuseWebSockets() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.noWebSocket = true
}

// Asked returns what clients did, in order: such as "list shop" and "forward websocket shop/pod-1".
func (s *Server) Asked() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.asked)
}

// Cut ends all connections to pods, as the loss of the API server does.
func (s *Server) Cut() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for open := range s.sessions {
		open.close()
	}
}

// allowed notes a request, and answers it if it is forbidden.
func (s *Server) allowed(w http.ResponseWriter, verb, namespace string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked = append(s.asked, verb+" "+namespace)
	if !slices.Contains(s.denied, verb+" "+namespace) {
		return true
	}
	where := "in the namespace " + fmt.Sprintf("%q", namespace)
	if namespace == "" {
		where = "at the cluster scope"
	}
	answer(w, http.StatusForbidden, metav1.StatusReasonForbidden, fmt.Sprintf(`pods is forbidden: User "test" cannot %s resource "pods" %s`, verb, where))
	return false
}

// answer writes a Status.
func answer(w http.ResponseWriter, code int, reason metav1.StatusReason, message string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(&metav1.Status{
		TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Status"},
		Status:   metav1.StatusFailure, Code: int32(code), Reason: reason, Message: message, //nolint:gosec // a status of HTTP
	})
}

func (s *Server) list(w http.ResponseWriter, r *http.Request) {
	namespace := r.PathValue("namespace")
	if !s.allowed(w, "list", namespace) {
		return
	}
	selector, err := labels.Parse(r.URL.Query().Get("labelSelector"))
	if err != nil {
		answer(w, http.StatusBadRequest, metav1.StatusReasonBadRequest, err.Error())
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	items := []any{}
	for _, p := range s.pods {
		if (namespace == "" || p.Namespace == namespace) && selector.Matches(labels.Set(p.labels())) {
			items = append(items, p.object())
		}
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]any{"apiVersion": "v1", "kind": "PodList", "metadata": map[string]any{}, "items": items})
}

// pod returns a pod by its name.
func (s *Server) pod(namespace, name string) (Pod, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range s.pods {
		if p.Namespace == namespace && p.Name == name {
			return p, true
		}
	}
	return Pod{}, false
}

func (p *Pod) labels() map[string]string {
	if p.Labels != nil {
		return p.Labels
	}
	return map[string]string{"app.kubernetes.io/name": "backlog-scaler", "app.kubernetes.io/instance": p.Release}
}

// object is the pod as the API server has it.
func (p *Pod) object() map[string]any {
	var env []any
	for name, value := range p.Env {
		env = append(env, map[string]any{"name": name, "value": value})
	}
	args := []any{"serve"}
	for _, arg := range p.Args {
		args = append(args, arg)
	}
	ready := "False"
	if p.Ready {
		ready = "True"
	}
	return map[string]any{
		"apiVersion": "v1", "kind": "Pod",
		"metadata": map[string]any{"namespace": p.Namespace, "name": p.Name, "labels": p.labels()},
		"spec":     map[string]any{"containers": []any{map[string]any{"name": "scaler", "args": args, "env": env}}},
		"status":   map[string]any{"phase": "Running", "conditions": []any{map[string]any{"type": "Ready", "status": ready}}},
	}
}
