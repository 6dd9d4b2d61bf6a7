package measure

import (
	"context"
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/backlog-scaler/backlog-scaler/api/v1alpha1"
	"github.com/backlog-scaler/backlog-scaler/e2e/workload"
	"github.com/backlog-scaler/backlog-scaler/internal/childprocess"
)

// policyObjects are the AutoscalerPolicies of one namespace.
type policyObjects struct {
	client    client.Client
	namespace string
}

func newPolicyObjects(config *rest.Config, namespace string) (*policyObjects, error) {
	scheme := runtime.NewScheme()
	if err := v1alpha1.AddToScheme(scheme); err != nil {
		return nil, fmt.Errorf("know policies: %w", err)
	}
	c, err := client.New(config, client.Options{Scheme: scheme})
	if err != nil {
		return nil, fmt.Errorf("make client of policies: %w", err)
	}
	return &policyObjects{client: c, namespace: namespace}, nil
}

// create makes a policy that jumps from zero, for the Deployment of the same name. Each of its lists is a signal with one replica
// for five messages.
func (o *policyObjects) create(ctx context.Context, name string, lists ...string) error {
	p := &v1alpha1.AutoscalerPolicy{
		ObjectMeta: metav1.ObjectMeta{Namespace: o.namespace, Name: name},
		Spec: v1alpha1.AutoscalerPolicySpec{
			Via: v1alpha1.ViaKEDA, MaxReplicas: 100, Jump: v1alpha1.JumpFromZero,
			ScaleTargetRef: v1alpha1.TargetRef{APIVersion: "apps/v1", Kind: "Deployment", Name: name},
		},
	}
	for i, list := range lists {
		p.Spec.Signals = append(p.Spec.Signals, v1alpha1.Signal{
			Name: fmt.Sprintf("backlog%d", i), Connection: connection,
			Trigger: map[string]v1alpha1.TriggerValue{"list": v1alpha1.TriggerValue(list), "target": messages},
		})
	}
	if err := o.client.Create(ctx, p); err != nil {
		return fmt.Errorf("create policy %s/%s: %w", o.namespace, name, err)
	}
	return nil
}

// waitAccepted returns when the leader has accepted n policies and written so into their status.
func (o *policyObjects) waitAccepted(ctx context.Context, n int, within time.Duration) error {
	return childprocess.Poll(ctx, fmt.Sprintf("%d policies", n), within, time.Second/2, func(ctx context.Context) error {
		var list v1alpha1.AutoscalerPolicyList
		if err := o.client.List(ctx, &list, client.InNamespace(o.namespace)); err != nil {
			return fmt.Errorf("list policies: %w", err)
		}
		accepted := 0
		var last error
		for i := range list.Items {
			p := &list.Items[i]
			if meta.IsStatusConditionTrue(p.Status.Conditions, v1alpha1.ConditionReady) {
				accepted++
				continue
			}
			last = fmt.Errorf("%s has the conditions %+v", p.Name, p.Status.Conditions)
		}
		if accepted < n {
			return fmt.Errorf("%d are accepted; %w", accepted, last)
		}
		return nil
	})
}

// policyTrigger is a trigger that names a policy.
func policyTrigger(address, policy string) workload.Trigger {
	return workload.Trigger{Type: "external-push", Metadata: map[string]string{"scalerAddress": address, "policy": policy}}
}
