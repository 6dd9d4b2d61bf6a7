package api

import (
	"context"
	"errors"
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	utilnet "k8s.io/apimachinery/pkg/util/net"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/tools/cache"
)

// A Source lists and watches the objects of a kind.
type Source struct {
	name string
	// example is an empty object of the kind.
	example Object
	// in returns the requests for a namespace; an empty one is all of them.
	in func(namespace string) *cache.ListWatch
}

// Typed returns the source of a kind that has a Go type. The name is for errors.
func (c *Client) Typed(name string, resource schema.GroupVersionResource, example Object) Source {
	client := c.typed[resource.GroupVersion()]
	return Source{name, example, func(namespace string) *cache.ListWatch {
		return stoppable(cache.NewListWatchFromClient(client, resource.Resource, namespace, fields.Everything()))
	}}
}

// Unstructured returns the source of a kind that has no Go type.
func (c *Client) Unstructured(kind schema.GroupVersionKind, resource string) Source {
	example := &unstructured.Unstructured{}
	example.SetGroupVersionKind(kind)
	return Source{kind.Kind, example, func(namespace string) *cache.ListWatch {
		requests := c.Untyped(kind.GroupVersion().WithResource(resource), namespace)
		return stoppable(&cache.ListWatch{
			ListWithContextFunc: func(ctx context.Context, options metav1.ListOptions) (runtime.Object, error) {
				return requests.List(ctx, options)
			},
			WatchFuncWithContext: func(ctx context.Context, options metav1.ListOptions) (watch.Interface, error) {
				return requests.Watch(ctx, options)
			},
		})
	}}
}

// stoppable hides that a connection was refused from a reflector that streams a list. It would wait for
// up to a minute and not see that its context ends:
// https://github.com/kubernetes/client-go/blob/v0.36.4/tools/cache/reflector.go#L817
// After any other error it takes the plain list, and waits where it sees that.
func stoppable(requests *cache.ListWatch) *cache.ListWatch {
	send := requests.WatchFuncWithContext
	requests.WatchFuncWithContext = func(ctx context.Context, options metav1.ListOptions) (watch.Interface, error) {
		stream, err := send(ctx, options)
		if options.SendInitialEvents != nil && utilnet.IsConnectionRefused(err) {
			return nil, errors.New(err.Error())
		}
		return stream, err
	}
	return requests
}

// probe lists one object. The error says that the kind does not exist, or may not be read.
func (s *Source) probe(ctx context.Context, namespace string) error {
	if _, err := s.in(namespace).ListWithContext(ctx, metav1.ListOptions{Limit: 1}); err != nil {
		return fmt.Errorf("list %s: %w", s.name, err)
	}
	return nil
}
