package cluster

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/yaml"

	"github.com/backlog-scaler/backlog-scaler/internal/childprocess"
)

// kedaNamespace is where KEDA believes it runs.
const kedaNamespace = "keda"

// kedaModule holds KEDA's sources and its CRDs.
const kedaModule = "github.com/kedacore/keda/v2"

// installCRDs applies every custom resource definition in KEDA's module.
func (c *Cluster) installCRDs(ctx context.Context, module string) error {
	files, err := filepath.Glob(filepath.Join(module, "config", "crd", "bases", "*.yaml"))
	if err != nil || len(files) == 0 {
		return fmt.Errorf("find KEDA's custom resource definitions in %s: %w", module, err)
	}
	for _, file := range files {
		if err := c.applyFile(ctx, file); err != nil {
			return err
		}
	}
	return c.waitServed(ctx, schema.GroupVersionResource{Group: "keda.sh", Version: "v1alpha1", Resource: "scaledobjects"})
}

// InstallCRD applies a custom resource definition, and returns when the API server serves it.
func (c *Cluster) InstallCRD(ctx context.Context, file string, served schema.GroupVersionResource) error {
	if err := c.applyFile(ctx, file); err != nil {
		return err
	}
	return c.waitServed(ctx, served)
}

// waitServed returns when the API server serves a custom resource.
func (c *Cluster) waitServed(ctx context.Context, resource schema.GroupVersionResource) error {
	return childprocess.Poll(ctx, "the custom resource "+resource.Resource, 30*time.Second, 100*time.Millisecond, func(ctx context.Context) error {
		_, err := c.dynamic.Resource(resource).List(ctx, metav1.ListOptions{Limit: 1})
		return err
	})
}

// applyFile applies one manifest on the server side: the definitions are too long for the annotation
// that client-side apply writes.
func (c *Cluster) applyFile(ctx context.Context, file string) error {
	b, err := os.ReadFile(filepath.Clean(file))
	if err != nil {
		return fmt.Errorf("read manifest: %w", err)
	}
	object := &unstructured.Unstructured{}
	if err := yaml.Unmarshal(b, &object.Object); err != nil {
		return fmt.Errorf("parse %s: %w", file, err)
	}
	return c.apply(ctx, schema.GroupVersionResource{Group: "apiextensions.k8s.io", Version: "v1", Resource: "customresourcedefinitions"}, "", object)
}

// startKEDA starts the operator and the metrics adapter, and joins the adapter to the API.
func (c *Cluster) startKEDA(ctx context.Context, operator, adapter string) error {
	ports, err := childprocess.FreePorts(loopback, 5)
	if err != nil {
		return err
	}
	pair, err := c.ca.issue("keda")
	if err != nil {
		return err
	}
	certs, err := c.ca.kedaCertDir(pair)
	if err != nil {
		return err
	}
	env := []string{
		"KEDA_CLUSTER_OBJECT_NAMESPACE=" + kedaNamespace,
		"POD_NAMESPACE=" + kedaNamespace,
		"OPERATOR_NAMESPACE=" + kedaNamespace,
		"WATCH_NAMESPACE=",
	}
	metricsService := address(ports[0])
	c.health = address(ports[1])
	c.metrics = "http://" + address(ports[2]) + "/metrics"
	c.commands.operator = childprocess.Command{
		Name: "keda-operator", Path: operator, Env: env, Args: []string{
			"--kubeconfig=" + c.kubeconfig,
			"--leader-elect=false",
			"--cert-dir=" + certs,
			"--enable-cert-rotation=false",
			"--metrics-bind-address=" + address(ports[2]),
			"--health-probe-bind-address=" + c.health,
			"--metrics-service-bind-address=" + metricsService,
			"--zap-log-level=info",
			// The defaults (20 and 30) would make two hundred ScaledObjects wait for each other.
			"--kube-api-qps=200",
			"--kube-api-burst=400",
		},
	}
	if c.operator, err = c.supervisor.Start(c.commands.operator); err != nil {
		return err
	}
	c.commands.adapter = childprocess.Command{
		Name: "keda-adapter", Path: adapter, Env: env, Args: []string{
			"--kubeconfig=" + c.kubeconfig,
			"--lister-kubeconfig=" + c.kubeconfig,
			"--authentication-kubeconfig=" + c.kubeconfig,
			"--authorization-kubeconfig=" + c.kubeconfig,
			"--bind-address=" + loopback,
			"--secure-port=" + strconv.Itoa(ports[3]),
			"--port=" + strconv.Itoa(ports[4]),
			"--tls-cert-file=" + pair.cert,
			"--tls-private-key-file=" + pair.key,
			"--client-ca-file=" + c.ca.caFile,
			"--cert-dir=" + certs,
			"--metrics-service-address=" + metricsService,
			"--metrics-service-grpc-authority=localhost",
		},
	}
	if c.adapter, err = c.supervisor.Start(c.commands.adapter); err != nil {
		return err
	}
	if err := c.registerAdapter(ctx, ports[3]); err != nil {
		return err
	}
	return c.waitForKEDA(ctx)
}

// registerAdapter registers the source of external metrics with kube-apiserver. The Service is an
// ExternalName because the API refuses endpoints on a loopback address.
func (c *Cluster) registerAdapter(ctx context.Context, port int) error {
	service := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "v1", "kind": "Service",
		"metadata": map[string]any{"name": "keda-metrics-apiserver", "namespace": kedaNamespace},
		"spec": map[string]any{
			"type": "ExternalName", "externalName": "localhost",
			"ports": []any{map[string]any{"name": "https", "port": int64(port), "protocol": "TCP"}},
		},
	}}
	if err := c.apply(ctx, schema.GroupVersionResource{Version: "v1", Resource: "services"}, kedaNamespace, service); err != nil {
		return err
	}
	registration := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "apiregistration.k8s.io/v1", "kind": "APIService",
		"metadata": map[string]any{"name": "v1beta1.external.metrics.k8s.io"},
		"spec": map[string]any{
			"group": "external.metrics.k8s.io", "version": "v1beta1",
			"groupPriorityMinimum": int64(100), "versionPriority": int64(100),
			"insecureSkipTLSVerify": true,
			"service":               map[string]any{"name": "keda-metrics-apiserver", "namespace": kedaNamespace, "port": int64(port)},
		},
	}}
	return c.apply(ctx, schema.GroupVersionResource{Group: "apiregistration.k8s.io", Version: "v1", Resource: "apiservices"}, "", registration)
}

// waitForKEDA returns when the operator is ready and the adapter answers through kube-apiserver.
func (c *Cluster) waitForKEDA(ctx context.Context) error {
	if err := childprocess.Poll(ctx, "KEDA's operator", 60*time.Second, 200*time.Millisecond, func(ctx context.Context) error {
		return getOK(ctx, &http.Client{Timeout: 5 * time.Second}, "http://"+c.health+"/readyz")
	}); err != nil {
		return err
	}
	client, err := rest.HTTPClientFor(c.config)
	if err != nil {
		return fmt.Errorf("make client of kube-apiserver: %w", err)
	}
	return childprocess.Poll(ctx, "KEDA's metrics adapter", 60*time.Second, 200*time.Millisecond, func(ctx context.Context) error {
		return getOK(ctx, client, c.config.Host+"/apis/external.metrics.k8s.io/v1beta1")
	})
}

// getOK fails unless url answers 200.
func getOK(ctx context.Context, client *http.Client, url string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return fmt.Errorf("make request: %w", err)
	}
	response, err := client.Do(request)
	if err != nil {
		return fmt.Errorf("ask %s: %w", url, err)
	}
	defer response.Body.Close() //nolint:errcheck // read only
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("ask %s: %s", url, response.Status)
	}
	return nil
}
