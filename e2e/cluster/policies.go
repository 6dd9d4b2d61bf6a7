package cluster

import (
	"context"
	"path/filepath"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/backlog-scaler/backlog-scaler/e2e/toolchain"
)

// release is the namespace, the service account and the Lease of the chart in its golden files.
const release = "backlog-scaler"

// InstallPolicies installs the custom resource of policies and the roles of the chart. It returns the flags of "scaler serve" and
// the environment by which a scaler watches policies with the rights that the chart grants it.
func (c *Cluster) InstallPolicies(ctx context.Context, cache toolchain.Cache) (flags, environment []string, err error) {
	chart := filepath.Join(cache.Root, "..", "deploy", "keda")
	if err := c.InstallCRD(ctx, filepath.Join(chart, "chart", "policies", "backlog-scaler.github.io_autoscalerpolicies.yaml"), schema.GroupVersionResource{
		Group: "backlog-scaler.github.io", Version: "v1alpha1", Resource: "autoscalerpolicies",
	}); err != nil {
		return nil, nil, err
	}
	if err := c.CreateNamespace(ctx, release); err != nil {
		return nil, nil, err
	}
	if err := c.ApplyRoles(ctx, filepath.Join(chart, "testdata", "golden", "policies.yaml")); err != nil {
		return nil, nil, err
	}
	access, err := c.ServiceAccountKubeconfig(release, release)
	if err != nil {
		return nil, nil, err
	}
	return []string{"--policies", "--policies-lease=" + release + "/" + release}, []string{"KUBECONFIG=" + access}, nil
}

// ScalerWrites lists what scalers wrote in a namespace and in their own, except for the Lease by which they elect a leader.
func (c *Cluster) ScalerWrites(namespace string) ([]Write, error) {
	var writes []Write
	for _, n := range []string{namespace, release} {
		all, err := c.Writes(n)
		if err != nil {
			return nil, err
		}
		for _, w := range all {
			if w.Resource != "leases" {
				writes = append(writes, w)
			}
		}
	}
	return writes, nil
}
