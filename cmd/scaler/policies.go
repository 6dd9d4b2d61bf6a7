package main

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/app"
	"github.com/backlog-scaler/backlog-scaler/internal/kube"
	"github.com/backlog-scaler/backlog-scaler/internal/policies/runner"
)

// policiesFlags are the flags of AutoscalerPolicies.
type policiesFlags struct {
	Policies   bool     `help:"Watch AutoscalerPolicies, decide on them, and answer triggers that name one. Needs access to the API server." env:"SCALER_POLICIES"`
	Lease      string   `name:"policies-lease" placeholder:"NAMESPACE/NAME" help:"Lease by which one of several replicas is elected to write; without one this is the only replica." env:"SCALER_POLICIES_LEASE"`
	Namespaces []string `name:"policies-namespaces" placeholder:"NAMESPACE,..." help:"Namespaces whose policies are watched; all without it." env:"SCALER_POLICIES_NAMESPACES"`
}

// Validate reports flags that do not go together; kong calls it.
func (f *policiesFlags) Validate() error {
	switch {
	case !f.Policies && (f.Lease != "" || len(f.Namespaces) > 0):
		return errors.New("--policies-lease and --policies-namespaces need --policies")
	case f.Lease != "" && strings.Count(f.Lease, "/") != 1 || strings.HasPrefix(f.Lease, "/") || strings.HasSuffix(f.Lease, "/"):
		return fmt.Errorf("--policies-lease=%s: want the namespace and the name of a Lease, such as keda/backlog-scaler", f.Lease)
	}
	return nil
}

// source returns the source of policies, which is the API server; nil without --policies.
func (f *policiesFlags) source(log *slog.Logger) (app.PolicySource, error) {
	if !f.Policies {
		return nil, nil //nolint:nilnil // nothing is a value here: no source
	}
	config, err := kube.Access(os.Getenv("KUBECONFIG"))
	if err != nil {
		return nil, err
	}
	identity, err := kube.Identity()
	if err != nil {
		return nil, err
	}
	kube.LogTo(log)
	namespace, name, _ := strings.Cut(f.Lease, "/")
	return func(r *runner.Runner, log *slog.Logger) (app.PolicyWatcher, error) {
		return kube.New(kube.Options{
			Config: config, Namespaces: f.Namespaces, LeaseNamespace: namespace, Lease: name, Identity: identity,
			Runner: r, Logger: log, Now: time.Now,
		})
	}, nil
}
