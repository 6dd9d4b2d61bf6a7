package api

import (
	"context"
	"errors"
	"maps"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	utilnet "k8s.io/apimachinery/pkg/util/net"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/tools/cache"

	"github.com/backlog-scaler/backlog-scaler/api/v1alpha1"
)

// patience is how long something may take that happens at once on an idle machine.
const patience = 30 * time.Second

func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		if holds() {
			return
		}
	}
	t.Fatalf("%s: not within %s", what, patience)
}

// run runs a cache until the end of the test.
func run[T Object](t *testing.T, c *Cache[T]) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	var group sync.WaitGroup
	group.Go(func() { c.Run(ctx) })
	t.Cleanup(func() {
		cancel()
		group.Wait()
	})
	waiting, stop := context.WithTimeout(ctx, patience)
	defer stop()
	if err := c.Wait(waiting); err != nil {
		t.Fatal(err)
	}
}

const policiesPath = "/apis/backlog-scaler.github.io/v1alpha1/namespaces/"

func policyOf(namespace, name, target string) object {
	return newObject("backlog-scaler.github.io/v1alpha1", "AutoscalerPolicy", namespace, name, object{"spec": object{"scaleTargetRef": object{"name": target}}})
}

func names[T Object](objects []T) string {
	var all []string
	for _, o := range objects {
		all = append(all, o.GetNamespace()+"/"+o.GetName())
	}
	slices.Sort(all)
	return strings.Join(all, " ")
}

// TestCache: objects are found by name, namespace and index, in the namespaces that are watched, and follow the server.
func TestCache(t *testing.T) {
	t.Parallel()
	s, client := serve(t, time.Now)
	for _, namespace := range []string{"shop", "mail", "other"} {
		s.put(policiesPath+namespace+"/autoscalerpolicies", policyOf(namespace, "a", "billing"))
	}
	s.put(policiesPath+"shop/autoscalerpolicies", policyOf("shop", "b", "web"))
	var mu sync.Mutex
	var changes []string
	source := client.Typed("AutoscalerPolicy", v1alpha1.GroupVersion().WithResource("autoscalerpolicies"), &v1alpha1.AutoscalerPolicy{})
	c, err := NewCache(source, Options[*v1alpha1.AutoscalerPolicy]{
		Namespaces: []string{"shop", "mail"},
		Strip: func(stored any) (any, error) {
			if p, ok := stored.(*v1alpha1.AutoscalerPolicy); ok {
				p.Labels = map[string]string{"stripped": "true"}
			}
			return stored, nil
		},
		Indices: map[string]func(*v1alpha1.AutoscalerPolicy) []string{
			"target": func(p *v1alpha1.AutoscalerPolicy) []string { return []string{p.Spec.ScaleTargetRef.Name} },
		},
		Changed: func(p *v1alpha1.AutoscalerPolicy) {
			mu.Lock()
			defer mu.Unlock()
			changes = append(changes, p.Namespace+"/"+p.Name+":"+p.Spec.ScaleTargetRef.Name)
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Probe(t.Context()); err != nil {
		t.Fatal(err)
	}
	run(t, c)
	expect := func(what, got, want string) {
		t.Helper()
		if got != want {
			t.Errorf("%s: %q, want %q", what, got, want)
		}
	}
	expect("all", names(c.All()), "mail/a shop/a shop/b")
	expect("of a namespace", names(c.List("shop")), "shop/a shop/b")
	expect("of one that is not watched", names(c.List("other")), "")
	expect("by target", names(c.Find("shop", "target", "billing")), "shop/a")
	expect("by target of another namespace", names(c.Find("mail", "target", "web")), "")
	if p, found := c.Get("shop", "b"); !found || p.Spec.ScaleTargetRef.Name != "web" || p.Labels["stripped"] != "true" {
		t.Errorf("found %v: %+v", found, p)
	}
	for _, missing := range [][2]string{{"mail", "b"}, {"other", "a"}, {"", "a"}} {
		if p, found := c.Get(missing[0], missing[1]); found || p != nil {
			t.Errorf("%s exists: %+v", missing, p)
		}
	}
	seen := func(want ...string) func() bool {
		return func() bool {
			mu.Lock()
			defer mu.Unlock()
			return slices.Equal(slices.Sorted(slices.Values(changes)), want)
		}
	}
	eventually(t, "the handler has what there was", seen("mail/a:billing", "shop/a:billing", "shop/b:web"))
	s.put(policiesPath+"shop/autoscalerpolicies", policyOf("shop", "b", "billing"))
	eventually(t, "both states of a change", seen("mail/a:billing", "shop/a:billing", "shop/b:billing", "shop/b:web", "shop/b:web"))
	expect("by the new target", names(c.Find("shop", "target", "billing")), "shop/a shop/b")
	s.remove(policiesPath+"mail/autoscalerpolicies", policyOf("mail", "a", "billing"))
	eventually(t, "a removal", seen("mail/a:billing", "mail/a:billing", "shop/a:billing", "shop/b:billing", "shop/b:web", "shop/b:web"))
	expect("after the removal", names(c.All()), "shop/a shop/b")
}

// TestUnstructuredCache: a kind without a Go type, in all namespaces.
func TestUnstructuredCache(t *testing.T) {
	t.Parallel()
	s, client := serve(t, time.Now)
	const path = "/apis/keda.sh/v1alpha1/scaledobjects"
	s.put(path, newObject("keda.sh/v1alpha1", "ScaledObject", "shop", "billing", object{"spec": object{"maxReplicaCount": 30}}))
	c, err := NewCache(client.Unstructured(schema.GroupVersionKind{Group: "keda.sh", Version: "v1alpha1", Kind: "ScaledObject"}, "scaledobjects"),
		Options[*unstructured.Unstructured]{
			Strip:   func(stored any) (any, error) { return stored, nil },
			Changed: func(*unstructured.Unstructured) {},
		})
	if err != nil {
		t.Fatal(err)
	}
	run(t, c)
	u, found := c.Get("shop", "billing")
	if !found {
		t.Fatal("not found")
	}
	if largest, _, err := unstructured.NestedInt64(u.Object, "spec", "maxReplicaCount"); largest != 30 || err != nil {
		t.Errorf("%d, error %v", largest, err)
	}
}

// TestRefusedConnection: a reflector that streams a list does not see that the connection was refused, and nothing else is
// hidden from it.
func TestRefusedConnection(t *testing.T) {
	t.Parallel()
	refused := &net.OpError{Op: "dial", Err: os.NewSyscallError("connect", syscall.ECONNREFUSED)}
	for name, test := range map[string]struct {
		err     error
		options metav1.ListOptions
		want    error
	}{
		"a streamed list": {refused, metav1.ListOptions{SendInitialEvents: new(true)}, nil},
		"a watch":         {refused, metav1.ListOptions{}, refused},
		"another error":   {context.DeadlineExceeded, metav1.ListOptions{SendInitialEvents: new(true)}, context.DeadlineExceeded},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			requests := stoppable(&cache.ListWatch{
				WatchFuncWithContext: func(context.Context, metav1.ListOptions) (watch.Interface, error) { return nil, test.err },
			})
			_, err := requests.WatchWithContext(t.Context(), test.options)
			if err == nil || err.Error() != test.err.Error() {
				t.Errorf("error %v, want the text of %v", err, test.err)
			}
			if test.want == nil && utilnet.IsConnectionRefused(err) || test.want != nil && !errors.Is(err, test.want) {
				t.Errorf("error %v", err)
			}
		})
	}
}

// TestProbe: a kind that does not exist, and one that may not be read.
func TestProbe(t *testing.T) {
	t.Parallel()
	s, client := serve(t, time.Now)
	const path = "/apis/keda.sh/v1alpha1/scaledobjects"
	c, err := NewCache(client.Unstructured(schema.GroupVersionKind{Group: "keda.sh", Version: "v1alpha1", Kind: "ScaledObject"}, "scaledobjects"),
		Options[*unstructured.Unstructured]{Strip: func(stored any) (any, error) { return stored, nil }, Changed: func(*unstructured.Unstructured) {}})
	if err != nil {
		t.Fatal(err)
	}
	s.answer(path, http.StatusNotFound, failure(404, "NotFound"))
	if err := c.Probe(t.Context()); !apierrors.IsNotFound(err) {
		t.Errorf("a kind that does not exist: %v", err)
	}
	s.answer(path, http.StatusForbidden, failure(403, "Forbidden"))
	if err := c.Probe(t.Context()); !apierrors.IsForbidden(err) {
		t.Errorf("a kind that may not be read: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := c.Wait(ctx); err == nil {
		t.Error("what does not run has every object")
	}
}

// TestWrites: every write names the manager of its fields, and the program.
func TestWrites(t *testing.T) {
	t.Parallel()
	s, client := serve(t, time.Now)
	const path = "/apis/coordination.k8s.io/v1/namespaces/keda/leases"
	stored := newObject("coordination.k8s.io/v1", "Lease", "keda", "scaler", object{"spec": object{"holderIdentity": "a"}})
	var mu sync.Mutex
	seen := make(map[string]string)
	for _, address := range []string{path, path + "/scaler"} {
		s.answers[address] = func(w http.ResponseWriter, r *http.Request) {
			mu.Lock()
			defer mu.Unlock()
			seen[r.Method] = r.URL.Query().Get("fieldManager") + " " + r.UserAgent()
			s.write(w, stored)
		}
	}
	leases := coordinationv1.SchemeGroupVersion.WithResource("leases")
	lease := &coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{Namespace: "keda", Name: "scaler"}}
	for name, request := range map[string]func(into *coordinationv1.Lease) error{
		"get":    func(into *coordinationv1.Lease) error { return client.Get(t.Context(), leases, "keda", "scaler", into) },
		"create": func(into *coordinationv1.Lease) error { return client.Create(t.Context(), leases, lease, into) },
		"update": func(into *coordinationv1.Lease) error { return client.Update(t.Context(), leases, lease, into) },
	} {
		into := &coordinationv1.Lease{}
		if err := request(into); err != nil || into.Spec.HolderIdentity == nil || *into.Spec.HolderIdentity != "a" {
			t.Errorf("%s: %v, error %v", name, into.Spec, err)
		}
	}
	want := map[string]string{http.MethodGet: " " + manager, http.MethodPost: manager + " " + manager, http.MethodPut: manager + " " + manager}
	if !maps.Equal(seen, want) {
		t.Errorf("seen %q, want %q", seen, want)
	}
}
