// Package cluster runs a real Kubernetes control plane with a real KEDA on this machine, without containers:
// etcd, kube-apiserver, kube-controller-manager, KEDA's operator and its metrics adapter.
//
// There is no scheduler and no kubelet: Deployments, ReplicaSets, Pods and HPAs behave as in any cluster, only no
// container ever starts. What scales is spec.replicas.
package cluster

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"

	"github.com/backlog-scaler/backlog-scaler/e2e/toolchain"
	"github.com/backlog-scaler/backlog-scaler/internal/childprocess"
)

// fieldManager owns what the harness applies.
const fieldManager = "backlog-scaler-e2e"

// A Cluster is a running control plane. Its processes belong to the supervisor it was started with.
type Cluster struct {
	supervisor *childprocess.Supervisor
	dir        string // data, certificates, kubeconfig
	kubeconfig string
	server     string // URL of kube-apiserver
	config     *rest.Config
	dynamic    dynamic.Interface

	ca             *authority
	serviceAccount keyPair

	apiServer, controllers, operator, adapter *childprocess.Process
	// commands are those of the servers that can be started again.
	commands struct{ apiServer, operator, adapter childprocess.Command }
	metrics  string // URL of those of the operator
	health   string // address of its probes
}

// Start starts everything and returns when KEDA serves metrics. Stop the supervisor's processes first, then call Close.
func Start(ctx context.Context, supervisor *childprocess.Supervisor, cache toolchain.Cache) (*Cluster, error) {
	binaries, err := cache.Build(ctx, toolchain.Binaries())
	if err != nil {
		return nil, err
	}
	module, err := cache.ModuleDir(ctx, "keda", kedaModule)
	if err != nil {
		return nil, err
	}
	c, err := newCluster(supervisor)
	if err != nil {
		return nil, err
	}
	if err := c.startControlPlane(ctx, binaries); err != nil {
		return c, err // with the folder to remove
	}
	if err := c.CreateNamespace(ctx, kedaNamespace); err != nil {
		return c, err
	}
	if err := c.installCRDs(ctx, module); err != nil {
		return c, err
	}
	if err := c.startKEDA(ctx, binaries["keda-operator"], binaries["keda-adapter"]); err != nil {
		return c, err
	}
	return c, nil
}

// StartControlPlane starts etcd, kube-apiserver and kube-controller-manager, and returns when the API server is ready. It has
// neither KEDA nor its custom resources.
func StartControlPlane(ctx context.Context, supervisor *childprocess.Supervisor, cache toolchain.Cache) (*Cluster, error) {
	binaries, err := cache.Build(ctx, toolchain.ControlPlane())
	if err != nil {
		return nil, err
	}
	c, err := newCluster(supervisor)
	if err != nil {
		return nil, err
	}
	if err := c.startControlPlane(ctx, binaries); err != nil {
		return c, err // with the folder to remove
	}
	return c, nil
}

// InstallKEDA installs KEDA's custom resource definitions, without KEDA.
func (c *Cluster) InstallKEDA(ctx context.Context, cache toolchain.Cache) error {
	module, err := cache.ModuleDir(ctx, "keda", kedaModule)
	if err != nil {
		return err
	}
	return c.installCRDs(ctx, module)
}

func newCluster(supervisor *childprocess.Supervisor) (*Cluster, error) {
	dir, err := newDir()
	if err != nil {
		return nil, err
	}
	return &Cluster{supervisor: supervisor, dir: dir, kubeconfig: filepath.Join(dir, "kubeconfig")}, nil
}

func (c *Cluster) startControlPlane(ctx context.Context, binaries map[string]string) error {
	var err error
	if c.ca, err = newAuthority(c.dir); err != nil {
		return err
	}
	etcd, err := c.startEtcd(binaries["etcd"])
	if err != nil {
		return err
	}
	if err := c.startAPIServer(ctx, binaries["kube-apiserver"], etcd); err != nil {
		return err
	}
	if c.dynamic, err = dynamic.NewForConfig(c.config); err != nil {
		return fmt.Errorf("make client of kube-apiserver: %w", err)
	}
	return c.startControllerManager(binaries["kube-controller-manager"])
}

// Config is the administrator's access to the API.
func (c *Cluster) Config() *rest.Config { return rest.CopyConfig(c.config) }

// Kubeconfig is the file for kubectl.
func (c *Cluster) Kubeconfig() string { return c.kubeconfig }

// Dir is the folder of the run's data, for further servers of the run.
func (c *Cluster) Dir() string { return c.dir }

// KEDAMetrics is where KEDA's operator serves its metrics.
func (c *Cluster) KEDAMetrics() string { return c.metrics }

// Operator is KEDA's operator.
func (c *Cluster) Operator() *childprocess.Process { return c.operator }

// Adapter is KEDA's metrics adapter.
func (c *Cluster) Adapter() *childprocess.Process { return c.adapter }

// Controllers is kube-controller-manager, which contains the HPA.
func (c *Cluster) Controllers() *childprocess.Process { return c.controllers }

// CreateNamespace makes a namespace; one that is there already is no error.
func (c *Cluster) CreateNamespace(ctx context.Context, name string) error {
	return c.apply(ctx, schema.GroupVersionResource{Version: "v1", Resource: "namespaces"}, "", &unstructured.Unstructured{
		Object: map[string]any{"apiVersion": "v1", "kind": "Namespace", "metadata": map[string]any{"name": name}},
	})
}

// Close removes the data. The processes must be gone.
func (c *Cluster) Close() error {
	if err := os.RemoveAll(c.dir); err != nil {
		return fmt.Errorf("remove data folder: %w", err)
	}
	return nil
}

// apply is server-side apply; namespace is empty for cluster-wide resources.
func (c *Cluster) apply(ctx context.Context, resource schema.GroupVersionResource, namespace string, object *unstructured.Unstructured) error {
	var client dynamic.ResourceInterface = c.dynamic.Resource(resource)
	if namespace != "" {
		client = c.dynamic.Resource(resource).Namespace(namespace)
	}
	if _, err := client.Apply(ctx, object.GetName(), object, metav1.ApplyOptions{FieldManager: fieldManager, Force: true}); err != nil {
		return fmt.Errorf("apply %s %s: %w", object.GetKind(), object.GetName(), err)
	}
	return nil
}
