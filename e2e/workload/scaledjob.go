package workload

import (
	"context"
	"fmt"
	"time"

	kedav1alpha1 "github.com/kedacore/keda/v2/apis/keda/v1alpha1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// JobOptions describe a ScaledJob.
type JobOptions struct {
	Namespace, Name string
	Trigger         Trigger
	// Strategy is the scalingStrategy, and PendingUntil the condition that ends that the pod of a Job is pending; empty is that it
	// runs.
	Strategy        string
	PendingUntil    corev1.PodConditionType
	PollingInterval time.Duration
}

// A ScaledJob starts Jobs.
type ScaledJob struct {
	clients *Clients
	key     types.NamespacedName
}

// NewScaledJob makes a ScaledJob. The pods of its Jobs have its name as their label app.
func NewScaledJob(ctx context.Context, clients *Clients, options JobOptions) (*ScaledJob, error) {
	j := &ScaledJob{clients: clients, key: types.NamespacedName{Namespace: options.Namespace, Name: options.Name}}
	object := &kedav1alpha1.ScaledJob{
		ObjectMeta: metav1.ObjectMeta{Name: options.Name, Namespace: options.Namespace},
		Spec: kedav1alpha1.ScaledJobSpec{
			PollingInterval: seconds(options.PollingInterval),
			MaxReplicaCount: new(int32(50)),
			// All Jobs are kept, to be counted.
			SuccessfulJobsHistoryLimit: new(int32(1000)),
			ScalingStrategy:            kedav1alpha1.ScalingStrategy{Strategy: options.Strategy},
			JobTargetRef: &batchv1.JobSpec{Template: corev1.PodTemplateSpec{
				ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{"app": options.Name}},
				Spec: corev1.PodSpec{
					RestartPolicy: corev1.RestartPolicyNever, Containers: []corev1.Container{{Name: "worker", Image: "worker"}},
				},
			}},
			Triggers: triggers([]Trigger{options.Trigger}),
		},
	}
	if options.PendingUntil != "" {
		object.Spec.ScalingStrategy.PendingPodConditions = []string{string(options.PendingUntil)}
	}
	if _, err := clients.KEDA.KedaV1alpha1().ScaledJobs(options.Namespace).Create(ctx, object, metav1.CreateOptions{}); err != nil {
		return nil, fmt.Errorf("create scaledjob %s: %w", j.key, err)
	}
	return j, nil
}

// Jobs returns how many Jobs there are, and how many of them have ended.
func (j *ScaledJob) Jobs(ctx context.Context) (all, ended int, err error) {
	list, err := j.clients.Kubernetes.BatchV1().Jobs(j.key.Namespace).List(ctx, metav1.ListOptions{LabelSelector: "scaledjob.keda.sh/name=" + j.key.Name})
	if err != nil {
		return 0, 0, fmt.Errorf("list the jobs of %s: %w", j.key, err)
	}
	for i := range list.Items {
		if list.Items[i].Status.CompletionTime != nil {
			ended++
		}
	}
	return len(list.Items), ended, nil
}

// Delete removes the ScaledJob.
func (j *ScaledJob) Delete(ctx context.Context) error {
	if err := j.clients.KEDA.KedaV1alpha1().ScaledJobs(j.key.Namespace).Delete(ctx, j.key.Name, metav1.DeleteOptions{}); err != nil {
		return fmt.Errorf("delete scaledjob %s: %w", j.key, err)
	}
	return nil
}
