// Package releases finds the replicas of the scaler in a cluster, by the labels of its chart.
package releases

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/kube/api"
)

// Selector has the label that the chart gives the pods of the scaler, unless nameOverride is set.
const Selector = "app.kubernetes.io/name=backlog-scaler"

// DefaultNamespace is that of the scaler in the documentation. It is searched if the whole cluster may not be.
const DefaultNamespace = "backlog-scaler"

// The bounds of a search: pods that are listed, releases that an error names, and the time of one request.
const (
	maxPods        = 500
	maxNamed       = 10
	requestTimeout = 30 * time.Second
)

// A Wanted says which release is meant. What is empty may be any.
type Wanted struct {
	Namespace, Release string
	// Selector is a label selector of its pods; empty is the constant of that name.
	Selector string
	// Current is the namespace of the caller, which is searched if the whole cluster may not be.
	Current string
}

// A Pod is a replica that is ready.
type Pod struct {
	Namespace, Name string
	// Port is that of its admin address.
	Port int
}

// Find returns the ready replicas of a release, sorted by name. There is one at least. If the API server does not
// allow it, apierrors.IsForbidden reports true of the error.
func Find(ctx context.Context, client *api.Client, w Wanted) ([]Pod, error) {
	found, err := list(ctx, client, w.Namespace, cmp.Or(w.Selector, Selector))
	if apierrors.IsForbidden(err) && w.Namespace == "" {
		found, err = listIn(ctx, client, w, err)
	}
	if err != nil {
		return nil, err
	}
	return choose(found, w)
}

// listIn lists the pods of the namespaces that the scaler may be in. forbidden is why the others are not searched,
// and the error if none may be.
func listIn(ctx context.Context, client *api.Client, w Wanted, forbidden error) ([]replica, error) {
	var all []replica
	searched := false
	for _, namespace := range slices.Compact([]string{DefaultNamespace, w.Current}) {
		found, err := list(ctx, client, namespace, cmp.Or(w.Selector, Selector))
		switch {
		case apierrors.IsForbidden(err):
		case err != nil:
			return nil, err
		default:
			searched = true
			all = append(all, found...)
		}
	}
	if !searched {
		return nil, forbidden
	}
	return all, nil
}

func list(ctx context.Context, client *api.Client, namespace, selector string) ([]replica, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	pods, err := client.Untyped(schema.GroupVersionResource{Version: "v1", Resource: "pods"}, namespace).
		List(ctx, metav1.ListOptions{LabelSelector: selector, Limit: maxPods})
	if err != nil {
		where := "all namespaces"
		if namespace != "" {
			where = "namespace " + namespace
		}
		return nil, fmt.Errorf("list the pods of the scaler in %s: %w", where, err)
	}
	found := make([]replica, 0, len(pods.Items))
	for i := range pods.Items {
		found = append(found, replicaOf(&pods.Items[i]))
	}
	return found, nil
}

// A replica is a pod with what decides whether it is asked.
type replica struct {
	Pod

	release string
	ready   bool
	// unserved says why the pod has no admin address that can be reached; empty if it has.
	unserved string
}

// replicaOf reads a pod.
func replicaOf(pod *unstructured.Unstructured) replica {
	r := replica{Pod: Pod{Namespace: pod.GetNamespace(), Name: pod.GetName()}, release: pod.GetLabels()["app.kubernetes.io/instance"]}
	conditions, _, _ := unstructured.NestedSlice(pod.Object, "status", "conditions")
	for _, condition := range conditions {
		if c, ok := condition.(map[string]any); ok && c["type"] == "Ready" && c["status"] == "True" {
			r.ready = pod.GetDeletionTimestamp() == nil
		}
	}
	r.Port, r.unserved = adminPort(pod)
	return r
}

// choose returns the ready replicas of the only release, or says what to add.
func choose(found []replica, w Wanted) ([]Pod, error) {
	if w.Release != "" {
		found = slices.DeleteFunc(found, func(r replica) bool { return r.release != w.Release })
	}
	slices.SortFunc(found, func(a, b replica) int {
		return cmp.Or(cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.release, b.release), cmp.Compare(a.Name, b.Name))
	})
	var names []string
	for _, r := range found {
		names = append(names, fmt.Sprintf("--scaler-namespace %s --scaler-release %s", backlog.Line(r.Namespace), backlog.Line(r.release)))
	}
	names = slices.Compact(names)
	switch {
	case len(found) == 0:
		return nil, fmt.Errorf("find the scaler%s: there is no pod with the label %s; --scaler-namespace, --scaler-selector and --address name another place",
			w.where(), cmp.Or(w.Selector, Selector))
	case len(names) > 1:
		more := ""
		if len(names) > maxNamed {
			names, more = names[:maxNamed], fmt.Sprintf("\n  and %d more", len(names)-maxNamed)
		}
		return nil, fmt.Errorf("find the scaler%s: there are several releases, want one of\n  %s%s", w.where(), strings.Join(names, "\n  "), more)
	}
	var pods []Pod
	var why error
	for _, r := range found {
		switch {
		case r.unserved != "":
			why = fmt.Errorf("find the scaler: %s of pod %s/%s", r.unserved, r.Namespace, r.Name)
		case r.ready:
			pods = append(pods, r.Pod)
		}
	}
	switch {
	case len(pods) > 0:
		return pods, nil
	case why != nil:
		return nil, why
	default:
		return nil, fmt.Errorf("find the scaler: none of its pods is ready: %s/%s%s", found[0].Namespace, found[0].Name, more(len(found)-1))
	}
}

func more(n int) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprintf(" and %d more", n)
}

// where is the place of a search, for errors.
func (w Wanted) where() string {
	text := ""
	if w.Release != "" {
		text = " of release " + w.Release
	}
	if w.Namespace != "" {
		text += " in namespace " + w.Namespace
	}
	return text
}
