// Package policies_test tests the controller of policies on a real control plane. Its reconciliation is called, and the clock
// is the test's, so nothing waits for time to pass.
package policies_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/backlog-scaler/backlog-scaler/e2e/cluster"
	"github.com/backlog-scaler/backlog-scaler/e2e/toolchain"
	"github.com/backlog-scaler/backlog-scaler/internal/childprocess"
)

// plane is the control plane of all tests. TestMain alone writes it.
var plane *cluster.Cluster

func TestMain(m *testing.M) { os.Exit(run(m)) }

// run starts the control plane for the tests.
func run(m *testing.M) int {
	root, err := toolchain.Root()
	if err != nil {
		return failed(err)
	}
	logs := filepath.Join(root, ".out", "logs-policies-package")
	if err := os.RemoveAll(logs); err != nil {
		return failed(err)
	}
	supervisor, ctx, err := childprocess.NewSupervisor(context.Background(), logs)
	if err != nil {
		return failed(err)
	}
	cache := toolchain.Cache{Root: root, Progress: os.Stderr}
	plane, err = cluster.StartControlPlane(ctx, supervisor, cache)
	defer func() {
		supervisor.Close()
		if plane != nil {
			if err := plane.Close(); err != nil {
				failed(err)
			}
		}
	}()
	if err != nil {
		return failed(err)
	}
	if err := install(ctx, root, cache); err != nil {
		return failed(err)
	}
	return m.Run()
}

// install installs the custom resources of KEDA and of policies, without KEDA.
func install(ctx context.Context, root string, cache toolchain.Cache) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	if err := plane.InstallKEDA(ctx, cache); err != nil {
		return err
	}
	definition := filepath.Join(root, "..", "deploy", "keda", "chart", "policies", "backlog-scaler.github.io_autoscalerpolicies.yaml")
	return plane.InstallCRD(ctx, definition, schema.GroupVersionResource{
		Group: "backlog-scaler.github.io", Version: "v1alpha1", Resource: "autoscalerpolicies",
	})
}

func failed(err error) int {
	fmt.Fprintln(os.Stderr, err)
	return 1
}
