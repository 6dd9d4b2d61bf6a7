package cluster_test

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
	"go.yaml.in/yaml/v3"
	"k8s.io/client-go/rest"

	"github.com/backlog-scaler/backlog-scaler/internal/doctor/cluster"
	"github.com/backlog-scaler/backlog-scaler/internal/doctor/facts"
	"github.com/backlog-scaler/backlog-scaler/internal/doctor/object"
	"github.com/backlog-scaler/backlog-scaler/internal/kube/api"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// A server answers lists by their addresses, page by page, and reviews of access.
type server struct {
	objects map[string][]map[string]any
	denied  []string // resources that may not be listed
	failing string   // a resource whose list fails

	mu       sync.Mutex // guards requests
	requests []string
}

func start(t *testing.T, s *server) *api.Client {
	t.Helper()
	listener := httptest.NewServer(s)
	client, err := api.New(&rest.Config{Host: listener.URL, Transport: &http.Transport{}}, "test", time.Now)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		client.Close()
		listener.Close()
	})
	return client
}

func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	s.requests = append(s.requests, r.Method+" "+r.URL.RequestURI())
	s.mu.Unlock()
	w.Header().Set("Content-Type", "application/json")
	resource := r.URL.Path[strings.LastIndexByte(r.URL.Path, '/')+1:]
	switch {
	case r.URL.Path == "/version":
		write(w, map[string]any{"gitVersion": "v1.36.3"})
	case resource == "selfsubjectaccessreviews":
		s.review(w, r)
	case resource == s.failing:
		fail(w, http.StatusInternalServerError, "InternalError")
	case s.objects[r.URL.Path] == nil:
		fail(w, http.StatusNotFound, "NotFound")
	default:
		s.page(w, r)
	}
}

func (s *server) review(w http.ResponseWriter, r *http.Request) {
	var review struct {
		Spec struct {
			ResourceAttributes struct{ Verb, Resource string } `json:"resourceAttributes"`
		} `json:"spec"`
	}
	if err := json.NewDecoder(r.Body).Decode(&review); err != nil || review.Spec.ResourceAttributes.Verb != "list" {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	allowed := !slices.Contains(s.denied, review.Spec.ResourceAttributes.Resource)
	write(w, map[string]any{"apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview", "status": map[string]any{"allowed": allowed}})
}

// page answers with two objects, and where the next ones begin.
func (s *server) page(w http.ResponseWriter, r *http.Request) {
	all := s.objects[r.URL.Path]
	from, _ := strconv.Atoi(r.URL.Query().Get("continue")) // 0 without it
	metadata, to := map[string]any{}, min(from+2, len(all))
	if to < len(all) {
		metadata["continue"] = strconv.Itoa(to)
	}
	write(w, map[string]any{"apiVersion": "v1", "kind": "List", "metadata": metadata, "items": all[from:to]})
}

func fail(w http.ResponseWriter, code int, reason string) {
	w.WriteHeader(code)
	write(w, map[string]any{"apiVersion": "v1", "kind": "Status", "status": "Failure", "code": code, "reason": reason, "message": reason})
}

func write(w http.ResponseWriter, value map[string]any) { _ = json.NewEncoder(w).Encode(value) }

func named(kind, name string) map[string]any {
	return map[string]any{"apiVersion": "v1", "kind": kind, "metadata": map[string]any{"name": name, "namespace": "shop"}}
}

// TestGather: each kind is listed once, in pages; what may not be listed is not, and says which right is
// missing; a kind that is not served has no objects.
func TestGather(t *testing.T) {
	t.Parallel()
	s := &server{denied: []string{"pods", "services"}, failing: "events", objects: map[string][]map[string]any{
		"/apis/keda.sh/v1alpha1/scaledobjects": {named("ScaledObject", "a"), named("ScaledObject", "b"), named("ScaledObject", "c"), named("ScaledObject", "d"), named("ScaledObject", "e")},
		"/apis/apps/v1/deployments":            {named("Deployment", "a")},
	}}
	known := facts.Facts{Now: time.Now()}
	if err := cluster.Gather(t.Context(), start(t, s), "", &known); err != nil {
		t.Fatal(err)
	}
	counts := map[object.Kind]int{}
	for _, o := range known.Objects {
		counts[o.Kind]++
	}
	if diff := cmp.Diff(map[object.Kind]int{object.ScaledObjects: 5, object.Deployments: 1}, counts); diff != "" {
		t.Errorf("objects (-want +got):\n%s", diff)
	}
	const failure = "list events: InternalError"
	if diff := cmp.Diff(map[object.Kind]string{
		object.Pods: "needs the right to list pods in all namespaces", object.Services: "needs the right to list services in all namespaces", object.Events: failure,
	}, known.Unread); diff != "" {
		t.Errorf("unread (-want +got):\n%s", diff)
	}
	if !known.Online || known.Kubernetes != "v1.36.3" || !slices.Equal(known.Incomplete, []string{failure}) {
		t.Errorf("online %v, version %q, incomplete %q", known.Online, known.Kubernetes, known.Incomplete)
	}
	s.checkRequests(t)
}

// checkRequests: five ScaledObjects take three pages of two, and nothing is asked that is no read of what may
// be read.
func (s *server) checkRequests(t *testing.T) {
	t.Helper()
	pages := 0
	for _, request := range s.requests {
		switch {
		case strings.Contains(request, "/scaledobjects?"):
			pages++
		case strings.Contains(request, "/pods") || strings.Contains(request, "secrets"):
			t.Errorf("%s was asked", request)
		case strings.Contains(request, "limit=") && !strings.Contains(request, "limit=500"):
			t.Errorf("%s has another page size", request)
		case !strings.HasPrefix(request, "GET ") && !strings.Contains(request, "selfsubjectaccessreviews"):
			t.Errorf("%s is no read", request)
		}
	}
	if pages != 3 {
		t.Errorf("five ScaledObjects took %d pages of two", pages)
	}
}

// TestGatherNamespace: with a namespace nothing else is listed, except for what is in none.
func TestGatherNamespace(t *testing.T) {
	t.Parallel()
	s := &server{denied: []string{"pods"}, objects: map[string][]map[string]any{
		"/apis/keda.sh/v1alpha1/namespaces/shop/scaledobjects": {named("ScaledObject", "a")},
	}}
	known := facts.Facts{}
	if err := cluster.Gather(t.Context(), start(t, s), "shop", &known); err != nil {
		t.Fatal(err)
	}
	if len(known.Objects) != 1 || known.Namespace != "shop" || known.Unread[object.Pods] != "needs the right to list pods in shop" {
		t.Errorf("%d objects of %q; unread %q", len(known.Objects), known.Namespace, known.Unread)
	}
}

// TestUnreachable: an API server that does not answer is an error.
func TestUnreachable(t *testing.T) {
	t.Parallel()
	client, err := api.New(&rest.Config{Host: "http://127.0.0.1:1", Transport: &http.Transport{}}, "test", time.Now)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	if err := cluster.Gather(t.Context(), client, "", &facts.Facts{}); !errors.Is(err, cluster.ErrUnreachable) {
		t.Errorf("the error is %v", err)
	}
}

// TestRole: the role in deploy/keda has the rights to list what is listed, and no others.
func TestRole(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile("../../../deploy/keda/doctor.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var role struct {
		Rules []struct {
			APIGroups []string `yaml:"apiGroups"`
			Resources []string `yaml:"resources"`
			Verbs     []string `yaml:"verbs"`
		} `yaml:"rules"`
	}
	if err := yaml.Unmarshal(data, &role); err != nil {
		t.Fatal(err)
	}
	var granted []string
	for _, rule := range role.Rules {
		for _, resource := range rule.Resources {
			granted = append(granted, strings.Join(rule.Verbs, ",")+" "+strings.TrimSuffix(resource+"."+rule.APIGroups[0], "."))
		}
	}
	needed := []string{"create selfsubjectaccessreviews.authorization.k8s.io"}
	for _, r := range object.Resources() {
		needed = append(needed, r.Right())
	}
	slices.Sort(granted)
	slices.Sort(needed)
	if diff := cmp.Diff(needed, granted); diff != "" {
		t.Errorf("rights (-needed +granted):\n%s", diff)
	}
}
