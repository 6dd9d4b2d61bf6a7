package api

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/client-go/rest"
)

// absentLife is how long an API group and version without a kind counts as such. Until then the API
// server is not asked again, whatever tenants name in their policies.
const absentLife = 10 * time.Second

// A mapper finds the names of kinds in addresses: Deployment is at deployments. It asks for what exists
// once. It is safe for concurrent use.
type mapper struct {
	client rest.Interface
	now    func() time.Time

	// mu guards groups.
	mu     sync.Mutex
	groups map[schema.GroupVersion]group
}

// A group has the resources of an API group and version by their kinds, as they were at a time.
type group struct {
	resources map[string]string
	at        time.Time
}

func newMapper(client rest.Interface, now func() time.Time) *mapper {
	return &mapper{client: client, now: now, groups: make(map[schema.GroupVersion]group)}
}

// resource returns the resource of a kind. For a kind that does not exist, or whose objects are in
// no namespace, meta.IsNoMatchError reports true of the error.
func (m *mapper) resource(ctx context.Context, kind schema.GroupVersionKind) (schema.GroupVersionResource, error) {
	version := kind.GroupVersion()
	name, known := m.lookUp(kind)
	if !known {
		resources, err := m.ask(ctx, version)
		if err != nil {
			return schema.GroupVersionResource{}, fmt.Errorf("list kinds of %s: %w", version, err)
		}
		m.note(version, resources)
		name = resources[kind.Kind]
	}
	if name == "" {
		return schema.GroupVersionResource{}, &meta.NoKindMatchError{GroupKind: kind.GroupKind(), SearchedVersions: []string{kind.Version}}
	}
	return version.WithResource(name), nil
}

// lookUp returns the resource of a kind; empty if there is none. It reports whether that is known.
func (m *mapper) lookUp(kind schema.GroupVersionKind) (name string, known bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	g, found := m.groups[kind.GroupVersion()]
	name = g.resources[kind.Kind]
	return name, name != "" || found && m.now().Sub(g.at) < absentLife
}

// note remembers the resources of a group, and drops the groups without any that are old, which
// bounds the memory by the groups that exist and those that were asked for lately.
func (m *mapper) note(version schema.GroupVersion, resources map[string]string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := m.now()
	for other, g := range m.groups {
		if len(g.resources) == 0 && now.Sub(g.at) >= absentLife {
			delete(m.groups, other)
		}
	}
	m.groups[version] = group{resources: resources, at: now}
}

// ask asks the API server for the resources of a group whose objects are in namespaces. A group that
// does not exist has none.
func (m *mapper) ask(ctx context.Context, version schema.GroupVersion) (map[string]string, error) {
	path := []string{"/apis", version.Group, version.Version}
	if version.Group == "" {
		path = []string{"/api", version.Version}
	}
	for _, name := range path[1:] {
		// What a tenant writes is a part of an address.
		if len(validation.IsDNS1123Subdomain(name)) > 0 {
			return nil, nil
		}
	}
	var list metav1.APIResourceList
	switch err := m.client.Get().AbsPath(path...).Do(ctx).Into(&list); {
	case apierrors.IsNotFound(err):
		return nil, nil
	case err != nil:
		return nil, err
	}
	resources := make(map[string]string)
	for i := range list.APIResources {
		// An entry with a slash is a subresource, which may have a kind of its own.
		if r := &list.APIResources[i]; r.Namespaced && !strings.Contains(r.Name, "/") {
			resources[r.Kind] = r.Name
		}
	}
	return resources, nil
}
