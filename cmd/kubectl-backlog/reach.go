package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/kube/api"
	"github.com/backlog-scaler/backlog-scaler/internal/kube/kubectl"
	"github.com/backlog-scaler/backlog-scaler/internal/kube/releases"
	"github.com/backlog-scaler/backlog-scaler/internal/replicas"
	"github.com/backlog-scaler/backlog-scaler/internal/server/inspector"
)

// userAgent names the plugin to the API server.
const userAgent = "kubectl-backlog"

// maxReplicas is how many replicas are asked. The chart has two by default.
const maxReplicas = 5

// access has the flags of kubectl.
type access struct {
	Namespace  string   `short:"n" placeholder:"NAME" help:"Namespace of ScaledObjects and policies; that of the context without it."`
	Context    string   `placeholder:"NAME" help:"Context of the kubeconfig; the current one without it."`
	Kubeconfig string   `type:"path" placeholder:"FILE" help:"Kubeconfig to use in place of $$KUBECONFIG and ~/.kube/config."`
	As         string   `placeholder:"USER" help:"User to impersonate."`
	AsGroup    []string `placeholder:"GROUP" help:"Group to impersonate; may be repeated."`
}

// find finds the API server.
func (a *access) find() (kubectl.Access, error) {
	return kubectl.Find(kubectl.Flags{Kubeconfig: a.Kubeconfig, Context: a.Context, As: a.As, AsGroups: a.AsGroup})
}

// in is the namespace of the flags, or that of the context.
func (a *access) in() (string, error) {
	if a.Namespace != "" {
		return a.Namespace, nil
	}
	found, err := a.find()
	return found.Namespace, err
}

// client returns a client of the API server.
func (a *access) client() (*api.Client, error) {
	found, err := a.find()
	if err != nil {
		return nil, err
	}
	return api.New(found.Config, userAgent, time.Now)
}

// reach has the flags by which the scaler is found.
type reach struct {
	access

	Address         string `placeholder:"HOST:PORT" env:"SCALER_INSPECT_ADDRESS" help:"Admin API address of the scaler. Without it the scaler is found in the cluster."`
	ScalerNamespace string `placeholder:"NAME" help:"Namespace of the scaler; all are searched without it."`
	ScalerRelease   string `placeholder:"NAME" help:"Helm release of the scaler, if there are several."`
	ScalerSelector  string `default:"app.kubernetes.io/name=backlog-scaler" help:"Label selector of the pods of the scaler."`
}

// pods returns the ready replicas in the cluster.
func (r *reach) pods(ctx context.Context, a kubectl.Access) ([]releases.Pod, error) {
	client, err := api.New(a.Config, userAgent, time.Now)
	if err != nil {
		return nil, err
	}
	defer client.Close()
	pods, err := releases.Find(ctx, client, releases.Wanted{
		Namespace: r.ScalerNamespace, Release: r.ScalerRelease, Selector: r.ScalerSelector, Current: a.Namespace,
	})
	return pods, r.allow(err, r.ScalerNamespace)
}

// A scaler is all replicas that were reached. Close must be called.
type scaler struct {
	*replicas.Group

	// name is that of its place, for findings.
	name string
}

// open reaches the scaler at its address, or all replicas that are found. A replica that cannot be reached is noted.
func (r *reach) open(ctx context.Context, note func(string)) (*scaler, error) {
	if r.Address != "" {
		client, err := inspector.NewClient(r.Address)
		if err != nil {
			return nil, err
		}
		return &scaler{replicas.NewGroup([]replicas.Replica{{Name: r.Address, Scaler: client}}, nil, note), r.Address}, nil
	}
	a, err := r.find()
	if err != nil {
		return nil, err
	}
	pods, err := r.pods(ctx, a)
	if err != nil {
		return nil, err
	}
	if len(pods) > maxReplicas {
		note(fmt.Sprintf("The scaler has %d ready replicas, and %d of them are asked.", len(pods), maxReplicas))
	}
	members, failed := dialAll(ctx, a, pods[:min(len(pods), maxReplicas)])
	if len(members) == 0 {
		return nil, r.allow(errors.Join(failed...), pods[0].Namespace)
	}
	for _, err := range failed {
		note("One replica is not asked: " + err.Error())
	}
	return &scaler{replicas.NewGroup(members, r.finder(a), note), podName(pods[0])}, nil
}

// finder returns a function that reaches the replicas that are there now and are not known, within the bound.
func (r *reach) finder(a kubectl.Access) replicas.Finder {
	return func(ctx context.Context, known []string) ([]replicas.Replica, error) {
		pods, err := r.pods(ctx, a)
		if err != nil {
			return nil, err
		}
		pods = slices.DeleteFunc(pods, func(pod releases.Pod) bool { return slices.Contains(known, podName(pod)) })
		members, failed := dialAll(ctx, a, pods[:min(len(pods), maxReplicas-len(known))])
		return members, errors.Join(failed...)
	}
}

// allow adds to an error of missing rights the Role that has them. The namespace is empty if it is not known.
func (r *reach) allow(err error, namespace string) error {
	if err == nil || !apierrors.IsForbidden(err) {
		return err
	}
	if namespace == "" {
		namespace = releases.DefaultNamespace
	}
	return fmt.Errorf("%w\nTo reach the scaler you need this Role in its namespace, and a RoleBinding to it:\n%s", err, role(namespace))
}

// noting returns a function that prints a line on the standard error.
func (n notes) noting() func(string) {
	return func(text string) { _, _ = fmt.Fprintln(n.Writer, backlog.Line(text)) }
}

// role is the Role that is needed to reach the scaler, as in deploy/keda/plugin.yaml.
func role(namespace string) string {
	return `  apiVersion: rbac.authorization.k8s.io/v1
  kind: Role
  metadata:
    name: backlog-scaler-plugin
    namespace: ` + backlog.Line(namespace) + `
  rules:
    - apiGroups: [""]
      resources: [pods]
      verbs: [get, list]
    - apiGroups: [""]
      resources: [pods/portforward]
      verbs: [get, create]
`
}
