// Package cluster gathers the objects of a cluster that scaler doctor judges. It only reads, it reads only
// what it may, and it never reads Secrets.
package cluster

import (
	"context"
	"errors"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/doctor/facts"
	"github.com/backlog-scaler/backlog-scaler/internal/doctor/object"
	"github.com/backlog-scaler/backlog-scaler/internal/kube/api"
)

// requestTimeout bounds one request.
const requestTimeout = 30 * time.Second

// ErrUnreachable is an API server that does not answer.
var ErrUnreachable = errors.New("the API server does not answer")

// Gather reads the objects of a cluster, of one namespace if it is not empty, into facts. Each kind is listed
// once, in pages. What may not be read is in Unread. The error wraps ErrUnreachable, or that of ctx.
func Gather(ctx context.Context, client *api.Client, namespace string, known *facts.Facts) error {
	known.Online, known.Namespace, known.Unread = true, namespace, make(map[object.Kind]string)
	g := gatherer{client: client, known: known}
	var err error
	if known.Kubernetes, err = g.version(ctx); err != nil && !isAnswer(err) {
		return fmt.Errorf("%w: %s", ErrUnreachable, backlog.Line(err.Error()))
	}
	for _, r := range object.Resources() {
		in := namespace
		if r.ClusterWide {
			in = ""
		}
		g.read(ctx, &r, in)
		if ctx.Err() != nil {
			return fmt.Errorf("read the cluster: %w", ctx.Err())
		}
	}
	return nil
}

// isAnswer reports whether an error is an answer of the API server.
func isAnswer(err error) bool {
	var status apierrors.APIStatus
	return errors.As(err, &status)
}

type gatherer struct {
	client *api.Client
	known  *facts.Facts
}

// read reads the objects of a kind, or notes why it could not.
func (g *gatherer) read(ctx context.Context, r *object.Resource, namespace string) {
	allowed, err := g.may(ctx, r, namespace)
	if err == nil && allowed {
		err = g.list(ctx, r, namespace)
	}
	switch {
	case err == nil && !allowed, apierrors.IsForbidden(err):
		where := "all namespaces"
		if namespace != "" {
			where = namespace
		}
		g.known.Unread[r.Kind] = "needs the right to " + r.Right() + " in " + where
	case err != nil && !apierrors.IsNotFound(err): // a kind that is not served has no objects
		text := backlog.Line(fmt.Sprintf("%s: %v", r.Right(), err))
		g.known.Unread[r.Kind] = text
		g.known.Incomplete = append(g.known.Incomplete, text)
	}
}

func (g *gatherer) version(ctx context.Context) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	return g.client.Version(ctx)
}

// may asks the API server whether the kind may be listed.
func (g *gatherer) may(ctx context.Context, r *object.Resource, namespace string) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	reviews := g.client.Untyped(schema.GroupVersionResource{Group: "authorization.k8s.io", Version: "v1", Resource: "selfsubjectaccessreviews"}, "")
	attributes := map[string]any{"verb": "list", "group": r.Group, "resource": r.Plural}
	if namespace != "" {
		attributes["namespace"] = namespace
	}
	answer, err := reviews.Create(ctx, &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview",
		"spec": map[string]any{"resourceAttributes": attributes},
	}}, metav1.CreateOptions{})
	switch {
	case apierrors.IsForbidden(err):
		return true, nil // the list itself decides
	case err != nil:
		return false, fmt.Errorf("ask for the right: %w", err)
	}
	allowed, _, err := unstructured.NestedBool(answer.Object, "status", "allowed")
	return allowed, err
}

// list reads all objects of a kind.
func (g *gatherer) list(ctx context.Context, r *object.Resource, namespace string) error {
	resource := schema.GroupVersionResource{Group: r.Group, Version: r.Version, Resource: r.Plural}
	return g.client.Each(ctx, resource, namespace, r.Fields, func(o *unstructured.Unstructured) error {
		reduce(r.Kind, o.Object)
		g.known.Objects = append(g.known.Objects, object.Object{Kind: r.Kind, Fields: o.Object})
		return nil
	})
}
