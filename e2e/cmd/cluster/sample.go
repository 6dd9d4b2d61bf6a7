package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"text/template"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"

	"github.com/backlog-scaler/backlog-scaler/e2e/cluster"
	"github.com/backlog-scaler/backlog-scaler/internal/childprocess"
)

// sample is a workload that a policy scales: by a queue, and by a window that opens every ten minutes.
const sample = `apiVersion: apps/v1
kind: Deployment
metadata: {name: reports, namespace: default}
spec:
  replicas: 0
  selector: {matchLabels: {app: reports}}
  template:
    metadata: {labels: {app: reports}}
    spec: {containers: [{name: worker, image: worker}]}
---
apiVersion: backlog-scaler.github.io/v1alpha1
kind: AutoscalerPolicy
metadata: {name: reports, namespace: default}
spec:
  via: KEDA
  scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: reports}
  maxReplicas: 40
  jump: Always
  signals:
  - {name: backlog, connection: main, trigger: {list: reports, target: "5"}}
  schedules:
  - {name: rush, timeZone: Etc/UTC, start: "*/10 * * * *", duration: 5m, floor: 2}
---
apiVersion: keda.sh/v1alpha1
kind: ScaledObject
metadata: {name: reports, namespace: default}
spec:
  scaleTargetRef: {name: reports}
  cooldownPeriod: 5
  pollingInterval: 5
  maxReplicaCount: 40
  advanced:
    horizontalPodAutoscalerConfig:
      behavior:
        scaleUp: {tolerance: "0"}
        scaleDown: {tolerance: "0", stabilizationWindowSeconds: 0}
  triggers:
  - type: external-push
    metadata: {scalerAddress: "{{.}}", policy: reports}
`

// manifests returns the sample for the scaler at an address.
func manifests(address string) ([]byte, error) {
	var b strings.Builder
	if err := template.Must(template.New("sample").Parse(sample)).Execute(&b, address); err != nil {
		return nil, fmt.Errorf("write the sample: %w", err)
	}
	return []byte(b.String()), nil
}

// applySample applies the sample, and returns when the scaler has decided on its policy.
func applySample(ctx context.Context, running *cluster.Cluster, address string) error {
	objects, err := manifests(address)
	if err != nil {
		return err
	}
	if err := running.Apply(ctx, objects); err != nil {
		return err
	}
	client, err := dynamic.NewForConfig(running.Config())
	if err != nil {
		return fmt.Errorf("make client of kube-apiserver: %w", err)
	}
	for _, wanted := range []struct {
		resource schema.GroupVersionResource
		ready    func(*unstructured.Unstructured) error
	}{
		{schema.GroupVersionResource{Group: "keda.sh", Version: "v1alpha1", Resource: "scaledobjects"}, ready},
		{schema.GroupVersionResource{Group: "backlog-scaler.github.io", Version: "v1alpha1", Resource: "autoscalerpolicies"}, decided},
	} {
		if err := childprocess.Poll(ctx, "the sample's "+wanted.resource.Resource, time.Minute, 100*time.Millisecond, func(ctx context.Context) error {
			object, err := client.Resource(wanted.resource).Namespace("default").Get(ctx, "reports", metav1.GetOptions{})
			if err != nil {
				return err
			}
			return wanted.ready(object)
		}); err != nil {
			return err
		}
	}
	return nil
}

// decided fails unless the policy is accepted and its status has a number of replicas.
func decided(policy *unstructured.Unstructured) error {
	if err := ready(policy); err != nil {
		return err
	}
	if _, found, err := unstructured.NestedFieldNoCopy(policy.Object, "status", "replicas", "decided"); !found || err != nil {
		return errors.Join(errors.New("it has no number of replicas"), err)
	}
	return nil
}

// ready fails unless the condition Ready of an object is true.
func ready(object *unstructured.Unstructured) error {
	conditions, _, err := unstructured.NestedSlice(object.Object, "status", "conditions")
	if err != nil {
		return fmt.Errorf("read its conditions: %w", err)
	}
	for _, c := range conditions {
		condition, _ := c.(map[string]any)
		switch {
		case condition["type"] != "Ready":
		case condition["status"] == "True":
			return nil
		default:
			return fmt.Errorf("it is not ready: %v: %v", condition["reason"], condition["message"])
		}
	}
	return errors.New("it has no condition Ready")
}
