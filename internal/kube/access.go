package kube

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"k8s.io/apimachinery/pkg/util/uuid"
	"k8s.io/client-go/rest"

	"github.com/backlog-scaler/backlog-scaler/internal/kube/kubeconfig"
)

// Access returns the access to the API server: that of the files in KUBECONFIG, whose value is list,
// else that of the service account in a pod, else that of ~/.kube/config. It asks no API server.
func Access(list string) (*rest.Config, error) {
	if list != "" {
		config, err := kubeconfig.Load(filepath.SplitList(list))
		if err != nil {
			return nil, fmt.Errorf("find the API server by KUBECONFIG: %w", err)
		}
		return config, nil
	}
	config, err := rest.InClusterConfig()
	switch {
	case err == nil:
		return config, nil
	case !errors.Is(err, rest.ErrNotInCluster):
		return nil, fmt.Errorf("find the API server by the service account: %w", err)
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return nil, fmt.Errorf("find the API server by a service account or KUBECONFIG: %w", err)
	}
	if config, err = kubeconfig.Load([]string{filepath.Join(home, ".kube", "config")}); err != nil {
		return nil, fmt.Errorf("find the API server by a service account, KUBECONFIG or ~/.kube/config: %w", err)
	}
	return config, nil
}

// Identity returns a name for the Lease that no other process has: that of the host, which is the
// name of the pod, and a random part. The name of the host alone would have two processes on one
// host both lead, such as two pods in the network of their node.
func Identity() (string, error) {
	host, err := os.Hostname()
	if err != nil {
		return "", fmt.Errorf("find the name of the host: %w", err)
	}
	return host + "_" + string(uuid.NewUUID()), nil
}
