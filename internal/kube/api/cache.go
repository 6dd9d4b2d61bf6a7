package api

import (
	"context"
	"fmt"
	"sync"

	"k8s.io/client-go/tools/cache"
)

// Options say what is watched of a kind, and what it is for.
type Options[T Object] struct {
	// Namespaces are those that are watched; empty for all.
	Namespaces []string
	// Strip reduces an object before it is stored.
	Strip func(object any) (any, error)
	// Indices have the values by which each index finds an object.
	Indices map[string]func(object T) []string
	// Changed gets each object that was added, changed or removed. For a change it gets both objects,
	// because the former may be about another workload. It does not wait for I/O.
	Changed func(object T)
}

// A Cache has the objects of a kind as the API server has them, with the delay of a watch. Its
// objects are shared: they are not to be modified. It is safe for concurrent use.
type Cache[T Object] struct {
	source Source
	// first is a namespace that is watched; empty for all.
	first string
	// informers are those of the namespaces that are watched; one for all has no name.
	informers map[string]cache.SharedIndexInformer
}

// NewCache makes a cache of a source. It is empty until it runs.
func NewCache[T Object](source Source, options Options[T]) (*Cache[T], error) {
	c := &Cache[T]{source: source, informers: make(map[string]cache.SharedIndexInformer)}
	indexers := cache.Indexers{cache.NamespaceIndex: cache.MetaNamespaceIndexFunc}
	for name, values := range options.Indices {
		indexers[name] = indexer(values)
	}
	namespaces := options.Namespaces
	if len(namespaces) == 0 {
		namespaces = []string{""}
	}
	c.first = namespaces[0]
	for _, namespace := range namespaces {
		informer := cache.NewSharedIndexInformerWithOptions(source.in(namespace), source.example, cache.SharedIndexInformerOptions{Indexers: indexers})
		if err := informer.SetTransform(options.Strip); err != nil {
			return nil, fmt.Errorf("watch %s: %w", source.name, err)
		}
		if _, err := informer.AddEventHandler(handler(options.Changed)); err != nil {
			return nil, fmt.Errorf("watch %s: %w", source.name, err)
		}
		c.informers[namespace] = informer
	}
	return c, nil
}

// indexer returns the values of an object in an index of all namespaces.
func indexer[T Object](values func(T) []string) cache.IndexFunc {
	return func(stored any) ([]string, error) {
		object, ok := stored.(T)
		if !ok {
			return nil, nil
		}
		var keys []string
		for _, value := range values(object) {
			keys = append(keys, indexKey(object.GetNamespace(), value))
		}
		return keys, nil
	}
}

func indexKey(namespace, value string) string { return namespace + "/" + value }

func handler[T Object](changed func(T)) cache.ResourceEventHandler {
	call := func(stored any) {
		if gone, ok := stored.(cache.DeletedFinalStateUnknown); ok {
			stored = gone.Obj
		}
		if object, ok := stored.(T); ok {
			changed(object)
		}
	}
	return cache.ResourceEventHandlerFuncs{
		AddFunc: call,
		UpdateFunc: func(before, after any) {
			call(before)
			call(after)
		},
		DeleteFunc: call,
	}
}

// Probe reports by its error that the kind does not exist, for which errors.IsNotFound of
// apimachinery reports true, or that it may not be read.
func (c *Cache[T]) Probe(ctx context.Context) error { return c.source.probe(ctx, c.first) }

// Run watches until the context ends. It is called once. What goes wrong is logged by client-go, and
// tried again after 1 to 60 s.
func (c *Cache[T]) Run(ctx context.Context) {
	var group sync.WaitGroup
	for _, informer := range c.informers {
		group.Go(func() { informer.RunWithContext(ctx) })
	}
	group.Wait()
}

// Wait waits until the cache has every object.
func (c *Cache[T]) Wait(ctx context.Context) error {
	for _, informer := range c.informers {
		select {
		case <-informer.HasSyncedChecker().Done():
		case <-ctx.Done():
			return fmt.Errorf("watch %s: %w", c.source.name, ctx.Err())
		}
	}
	return nil
}

// Get returns an object. It reports whether there is one.
func (c *Cache[T]) Get(namespace, name string) (object T, found bool) {
	informer := c.of(namespace)
	if informer == nil {
		return object, false
	}
	stored, _, _ := informer.GetIndexer().GetByKey(namespace + "/" + name)
	object, found = stored.(T)
	return object, found
}

// All returns all objects.
func (c *Cache[T]) All() []T {
	var objects []T
	for _, informer := range c.informers {
		objects = append(objects, convert[T](informer.GetIndexer().List())...)
	}
	return objects
}

// List returns the objects of a namespace.
func (c *Cache[T]) List(namespace string) []T {
	return c.byIndex(cache.NamespaceIndex, namespace, namespace)
}

// Find returns the objects of a namespace that an index finds by a value.
func (c *Cache[T]) Find(namespace, index, value string) []T {
	return c.byIndex(index, namespace, indexKey(namespace, value))
}

func (c *Cache[T]) byIndex(index, namespace, key string) []T {
	informer := c.of(namespace)
	if informer == nil {
		return nil
	}
	// The only error is an index that does not exist.
	stored, _ := informer.GetIndexer().ByIndex(index, key)
	return convert[T](stored)
}

// of returns the informer that watches a namespace; nil if it is not watched.
func (c *Cache[T]) of(namespace string) cache.SharedIndexInformer {
	if informer, found := c.informers[""]; found {
		return informer
	}
	return c.informers[namespace]
}

func convert[T Object](stored []any) []T {
	objects := make([]T, 0, len(stored))
	for _, item := range stored {
		if object, ok := item.(T); ok {
			objects = append(objects, object)
		}
	}
	return objects
}
