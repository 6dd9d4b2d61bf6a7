package cluster

import (
	"bytes"
	"context"
	"fmt"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"
)

// Apply applies manifests of namespaced objects, with lines of "---" between them, in their order. A field that does not exist is
// an error.
func (c *Cluster) Apply(ctx context.Context, manifests []byte) error {
	for document := range bytes.SplitSeq(manifests, []byte("\n---\n")) {
		object := &unstructured.Unstructured{}
		if err := yaml.UnmarshalStrict(document, &object.Object); err != nil {
			return fmt.Errorf("parse manifest: %w", err)
		}
		resource, _ := meta.UnsafeGuessKindToResource(object.GroupVersionKind())
		if err := c.apply(ctx, resource, object.GetNamespace(), object); err != nil {
			return err
		}
	}
	return nil
}
