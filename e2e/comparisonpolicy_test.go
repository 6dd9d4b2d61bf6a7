package e2e_test

import (
	"context"
	"fmt"
	"os"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/backlog-scaler/backlog-scaler/api/v1alpha1"
	"github.com/backlog-scaler/backlog-scaler/e2e/scaler"
	"github.com/backlog-scaler/backlog-scaler/e2e/toolchain"
	"github.com/backlog-scaler/backlog-scaler/e2e/workload"
	"github.com/backlog-scaler/backlog-scaler/internal/childprocess"
)

// A policyField is where competitors with policies compete: a scaler that watches policies, with the rights that the chart grants.
type policyField struct {
	scaler *scaler.Scaler
	client client.Client
}

func (s *suite) newPolicyField(t *testing.T) *policyField {
	t.Helper()
	root, err := toolchain.Root()
	check(t, err)
	flags, environment, err := s.stage.Cluster.InstallPolicies(s.ctx, toolchain.Cache{Root: root, Progress: os.Stderr})
	check(t, err)
	scheme := runtime.NewScheme()
	check(t, v1alpha1.AddToScheme(scheme))
	c, err := client.New(s.stage.Cluster.Config(), client.Options{Scheme: scheme})
	check(t, err)
	return &policyField{
		client: c,
		scaler: s.startScaler(t, scaler.Options{Name: "scaler-comparison", Args: flags, Env: environment, Connections: map[string]scaler.Connection{
			"main": s.connection(s.redis, "*"),
		}}),
	}
}

// trigger makes a policy that jumps from zero, over the list of the same name, and returns the trigger that names it.
func (f *policyField) trigger(t *testing.T, s *suite, namespace, name, formula string) workload.Trigger {
	t.Helper()
	check(t, f.client.Create(s.ctx, &v1alpha1.AutoscalerPolicy{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
		Spec: v1alpha1.AutoscalerPolicySpec{
			Via: v1alpha1.ViaKEDA, MaxReplicas: 30, Jump: v1alpha1.JumpFromZero, Formula: formula,
			ScaleTargetRef: v1alpha1.TargetRef{APIVersion: "apps/v1", Kind: "Deployment", Name: name},
			Signals: []v1alpha1.Signal{{Name: "backlog", Connection: "main", Target: "25", Trigger: map[string]v1alpha1.TriggerValue{
				"list": v1alpha1.TriggerValue(name), "inFlightList": v1alpha1.TriggerValue(name + ":processing"),
			}}},
		},
	}))
	return workload.Trigger{Type: "external-push", Metadata: map[string]string{"scalerAddress": f.scaler.Address(), "policy": name}}
}

// ready waits until the leader has accepted the policies of a namespace, n of them.
func (f *policyField) ready(t *testing.T, s *suite, namespace string, n int) {
	t.Helper()
	check(t, childprocess.Poll(s.ctx, "the policies of "+namespace, time.Minute, 100*time.Millisecond, func(ctx context.Context) error {
		var list v1alpha1.AutoscalerPolicyList
		if err := f.client.List(ctx, &list, client.InNamespace(namespace)); err != nil {
			return err
		}
		accepted := 0
		for i := range list.Items {
			if meta.IsStatusConditionTrue(list.Items[i].Status.Conditions, v1alpha1.ConditionReady) {
				accepted++
			}
		}
		if accepted != n {
			return fmt.Errorf("%d are accepted, want %d", accepted, n)
		}
		return nil
	}))
}
