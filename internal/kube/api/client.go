package api

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/util/flowcontrol"

	"github.com/backlog-scaler/backlog-scaler/api/v1alpha1"
)

// The requests of a client to the API server, watches among them: far more than there are, because
// what comes often has limits of its own.
const (
	requestsPerSecond = 200
	requestBurst      = 400
)

// An Object is one of the API server.
type Object interface {
	runtime.Object
	metav1.Object
}

// A Client sends requests to the API server. It is safe for concurrent use.
type Client struct {
	http    *http.Client
	dynamic *dynamic.DynamicClient
	// typed are the clients of the kinds that have Go types.
	typed  map[schema.GroupVersion]*rest.RESTClient
	mapper *mapper
	// manager owns the fields that are written.
	manager string
}

// New makes a client. The manager owns the fields that it writes, and is its user agent. New does not
// wait for the API server. now is the clock.
func New(config *rest.Config, manager string, now func() time.Time) (*Client, error) {
	scheme, err := newScheme()
	if err != nil {
		return nil, err
	}
	config = rest.CopyConfig(config)
	config.WarningHandlerWithContext = rest.NoWarnings{}
	config.UserAgent = manager
	if config.QPS == 0 {
		config.QPS, config.Burst = requestsPerSecond, requestBurst
	}
	if config.RateLimiter == nil && config.QPS > 0 {
		config.RateLimiter = flowcontrol.NewTokenBucketRateLimiter(config.QPS, config.Burst)
	}
	c := &Client{typed: make(map[schema.GroupVersion]*rest.RESTClient), manager: manager}
	if c.http, err = rest.HTTPClientFor(config); err != nil {
		return nil, fmt.Errorf("make client of the API server: %w", err)
	}
	if c.dynamic, err = dynamic.NewForConfigAndClient(config, c.http); err != nil {
		return nil, fmt.Errorf("make client of the API server: %w", err)
	}
	codecs := serializer.NewCodecFactory(scheme).WithoutConversion()
	for version, encoding := range versions() {
		if c.typed[version], err = newTyped(config, c.http, version, encoding, codecs); err != nil {
			return nil, fmt.Errorf("make client of %s: %w", version, err)
		}
	}
	// Aggregated API servers have lists of kinds in JSON only.
	c.mapper = newMapper(c.typed[v1alpha1.GroupVersion()], now)
	return c, nil
}

// newTyped makes a client of an API group and version.
func newTyped(config *rest.Config, httpClient *http.Client, version schema.GroupVersion, encoding string, codecs runtime.NegotiatedSerializer) (*rest.RESTClient, error) {
	config = rest.CopyConfig(config)
	config.GroupVersion, config.NegotiatedSerializer = &version, codecs
	config.APIPath = "/apis"
	if version.Group == "" {
		config.APIPath = "/api"
	}
	if config.ContentType == "" {
		config.ContentType = encoding
	}
	return rest.RESTClientForConfigAndClient(config, httpClient)
}

// Close closes the connections that no request uses.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// Version returns the version of the API server, such as "v1.36.3".
func (c *Client) Version(ctx context.Context) (string, error) {
	data, err := c.typed[v1alpha1.GroupVersion()].Get().AbsPath("/version").Do(ctx).Raw()
	if err != nil {
		return "", fmt.Errorf("read the version of the API server: %w", err)
	}
	var version struct {
		Git string `json:"gitVersion"`
	}
	if err := json.Unmarshal(data, &version); err != nil {
		return "", fmt.Errorf("parse the version of the API server: %w", err)
	}
	return version.Git, nil
}

// Resource returns the requests for objects of a kind that has no Go type. The first one for a kind
// asks the API server for its name in addresses. For a kind that does not exist, or whose objects
// are in no namespace, meta.IsNoMatchError reports true of the error.
func (c *Client) Resource(ctx context.Context, kind schema.GroupVersionKind, namespace string) (dynamic.ResourceInterface, error) {
	resource, err := c.mapper.resource(ctx, kind)
	if err != nil {
		return nil, err
	}
	return c.Untyped(resource, namespace), nil
}

// Untyped returns the requests for objects of a resource, whatever their Go type is.
func (c *Client) Untyped(resource schema.GroupVersionResource, namespace string) dynamic.ResourceInterface {
	return c.dynamic.Resource(resource).Namespace(namespace)
}

// Get reads an object of a Go type.
func (c *Client) Get(ctx context.Context, resource schema.GroupVersionResource, namespace, name string, into Object) error {
	return c.typed[resource.GroupVersion()].Get().Namespace(namespace).Resource(resource.Resource).Name(name).Do(ctx).Into(into)
}

// Create creates an object of a Go type, and reads what was stored.
func (c *Client) Create(ctx context.Context, resource schema.GroupVersionResource, object, into Object) error {
	return c.typed[resource.GroupVersion()].Post().Namespace(object.GetNamespace()).Resource(resource.Resource).
		VersionedParams(&metav1.CreateOptions{FieldManager: c.manager}, metav1.ParameterCodec).Body(object).Do(ctx).Into(into)
}

// Update replaces an object of a Go type, and reads what was stored.
func (c *Client) Update(ctx context.Context, resource schema.GroupVersionResource, object, into Object) error {
	return c.typed[resource.GroupVersion()].Put().Namespace(object.GetNamespace()).Resource(resource.Resource).Name(object.GetName()).
		VersionedParams(&metav1.UpdateOptions{FieldManager: c.manager}, metav1.ParameterCodec).Body(object).Do(ctx).Into(into)
}
