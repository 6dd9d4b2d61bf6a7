package api

import (
	"net/http"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// rollouts is a list of kinds: one with a scale subresource, and one whose objects are in no namespace.
func rollouts() object {
	return object{"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": "argoproj.io/v1alpha1", "resources": []any{
		object{"name": "rollouts/scale", "kind": "Scale", "namespaced": true, "group": "autoscaling", "version": "v1", "verbs": []any{}},
		object{"name": "rollouts", "kind": "Rollout", "namespaced": true, "verbs": []any{}},
		object{"name": "fleets", "kind": "Fleet", "namespaced": false, "verbs": []any{}},
	}}
}

func TestMapper(t *testing.T) {
	t.Parallel()
	const path = "/apis/argoproj.io/v1alpha1"
	var passed atomic.Int64
	s, c := serve(t, func() time.Time { return start().Add(time.Duration(passed.Load())) })
	s.answer(path, http.StatusNotFound, failure(404, "NotFound"))
	expect := func(what, kind, want string, requests int) {
		t.Helper()
		got, err := c.mapper.resource(t.Context(), schema.FromAPIVersionAndKind("argoproj.io/v1alpha1", kind))
		if got.Resource != want || meta.IsNoMatchError(err) != (want == "") || want != "" && err != nil {
			t.Errorf("%s: %q, error %v; want %q", what, got.Resource, err, want)
		}
		if asked := s.asked("GET " + path); asked != requests {
			t.Errorf("%s: %d requests, want %d", what, asked, requests)
		}
	}
	expect("the group does not exist", "Rollout", "", 1)
	expect("at once", "Rollout", "", 1)
	s.answer(path, http.StatusOK, rollouts())
	passed.Store(int64(absentLife - 1))
	expect("just before it is asked again", "Rollout", "", 1)
	passed.Store(int64(absentLife))
	expect("it has come to exist", "Rollout", "rollouts", 2)
	expect("another kind of the group", "Experiment", "", 2)
	expect("a kind of a subresource", "Scale", "", 2)
	expect("a kind without a namespace", "Fleet", "", 2)
	passed.Store(int64(2 * absentLife))
	expect("another kind, later", "Experiment", "", 3)
	s.answer(path, http.StatusServiceUnavailable, failure(503, "ServiceUnavailable"))
	passed.Store(int64(time.Hour))
	expect("what is known is not asked again", "Rollout", "rollouts", 3)
}

// TestMapperUnknown: a list that cannot be read says nothing about a kind.
func TestMapperUnknown(t *testing.T) {
	t.Parallel()
	s, c := serve(t, time.Now)
	s.answer("/apis/argoproj.io/v1alpha1", http.StatusForbidden, failure(403, "Forbidden"))
	kind := schema.FromAPIVersionAndKind("argoproj.io/v1alpha1", "Rollout")
	if _, err := c.Resource(t.Context(), kind, "shop"); err == nil || meta.IsNoMatchError(err) {
		t.Errorf("error %v", err)
	}
	s.answer("/apis/argoproj.io/v1alpha1", http.StatusOK, rollouts())
	if _, err := c.Resource(t.Context(), kind, "shop"); err != nil {
		t.Errorf("after that: %v", err)
	}
}

// TestMapperOfStrangers: what a tenant writes is no other address, and fills no memory.
func TestMapperOfStrangers(t *testing.T) {
	t.Parallel()
	var passed atomic.Int64
	s, c := serve(t, func() time.Time { return start().Add(time.Duration(passed.Load())) })
	for _, apiVersion := range []string{"../x", "a/..", "..", "a/b/c", "", "/", "a/", "a/v1?watch=true", "A B/v1", "%2e%2e/v1"} {
		if _, err := c.mapper.resource(t.Context(), schema.FromAPIVersionAndKind(apiVersion, "Rollout")); !meta.IsNoMatchError(err) {
			t.Errorf("%q: error %v", apiVersion, err)
		}
	}
	if len(s.requests) > 0 {
		t.Errorf("requests %q", s.requests)
	}
	for i := range 100 {
		passed.Store(int64(i) * int64(time.Second))
		version := "v" + strconv.Itoa(i)
		s.answer("/apis/example.com/"+version, http.StatusNotFound, failure(404, "NotFound"))
		if _, err := c.mapper.resource(t.Context(), schema.FromAPIVersionAndKind("example.com/"+version, "Rollout")); !meta.IsNoMatchError(err) {
			t.Fatalf("error %v", err)
		}
	}
	if got := len(c.mapper.groups); got > int(absentLife/time.Second)+1 {
		t.Errorf("%d groups are remembered", got)
	}
}
