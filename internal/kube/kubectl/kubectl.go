// Package kubectl finds the API server as kubectl does, with the flags that a plugin of kubectl has.
//
// A plugin runs where its user works, so it needs all that kubectl has for a login: programs that may
// ask their user, and OpenID Connect. The scaler reads kubeconfigs by internal/kube/kubeconfig.
package kubectl

import (
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"

	_ "k8s.io/client-go/plugin/pkg/client/auth" // logins that a kubeconfig may name: it registers them
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/klog/v2"
)

// Quiet drops what client-go logs, such as the end of each stream. It has one logger for the whole process, so this
// is called once, by the program.
func Quiet() { klog.SetSlogLogger(slog.New(slog.DiscardHandler)) }

// Flags are flags of kubectl. Empty ones leave what the kubeconfig says.
type Flags struct {
	// Kubeconfig is a file in place of $KUBECONFIG and ~/.kube/config, and Context one of its contexts.
	Kubeconfig, Context string
	// As and AsGroups are the user and the groups to impersonate.
	As       string
	AsGroups []string
}

// An Access is the way to an API server.
type Access struct {
	Config *rest.Config
	// Namespace is that of the context; "default" if it names none.
	Namespace string
}

// Contexts returns the names of the contexts of the kubeconfig, sorted.
func Contexts(f Flags) ([]string, error) {
	rules := clientcmd.NewDefaultClientConfigLoadingRules()
	rules.ExplicitPath = f.Kubeconfig
	loaded, err := rules.Load()
	if err != nil {
		return nil, fmt.Errorf("read the kubeconfig: %w", err)
	}
	return slices.Sorted(maps.Keys(loaded.Contexts)), nil
}

// Find reads the kubeconfig, or the service account of a pod. It asks no API server.
func Find(f Flags) (Access, error) {
	rules := clientcmd.NewDefaultClientConfigLoadingRules()
	rules.ExplicitPath = f.Kubeconfig
	overrides := &clientcmd.ConfigOverrides{CurrentContext: f.Context}
	overrides.AuthInfo.Impersonate, overrides.AuthInfo.ImpersonateGroups = f.As, f.AsGroups
	loader := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(rules, overrides)
	config, err := loader.ClientConfig()
	switch {
	case clientcmd.IsEmptyConfig(err):
		return Access{}, errors.New("find the API server: there is no kubeconfig, want one by --kubeconfig, by KUBECONFIG or in ~/.kube/config")
	case err != nil:
		return Access{}, fmt.Errorf("find the API server by the kubeconfig: %w", err)
	}
	namespace, _, err := loader.Namespace()
	if err != nil {
		return Access{}, fmt.Errorf("find the namespace by the kubeconfig: %w", err)
	}
	return Access{Config: config, Namespace: namespace}, nil
}
