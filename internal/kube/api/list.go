package api

import (
	"context"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
)

// The bounds of a list: objects of one page, as kubectl asks for, and the time of one request.
// https://github.com/kubernetes/kubernetes/blob/v1.36.0/staging/src/k8s.io/kubectl/pkg/cmd/util/helpers.go
const (
	pageSize    = 500
	pageTimeout = 30 * time.Second
)

// Each reads all objects of a resource, of a namespace or of all if it is empty, page by page, and calls do for
// each. fields is a field selector; empty for none. After an error the objects before it have been seen.
func (c *Client) Each(ctx context.Context, resource schema.GroupVersionResource, namespace, fields string, do func(*unstructured.Unstructured) error) error {
	requests := c.Untyped(resource, namespace)
	for options := (metav1.ListOptions{Limit: pageSize, FieldSelector: fields}); ; {
		page, err := listPage(ctx, requests, options)
		if err != nil {
			return err
		}
		for i := range page.Items {
			if err := do(&page.Items[i]); err != nil {
				return err
			}
		}
		if options.Continue = page.GetContinue(); options.Continue == "" {
			return nil
		}
	}
}

func listPage(ctx context.Context, requests dynamic.ResourceInterface, options metav1.ListOptions) (*unstructured.UnstructuredList, error) {
	ctx, cancel := context.WithTimeout(ctx, pageTimeout)
	defer cancel()
	return requests.List(ctx, options)
}
