package e2e_test

import (
	"strings"
	"testing"
	"time"

	autoscalingv1 "k8s.io/api/autoscaling/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/backlog-scaler/backlog-scaler/api/v1alpha1"
	"github.com/backlog-scaler/backlog-scaler/e2e/workload"
)

// scaleWrites is the resource of a write of replicas in the log of the API server.
const scaleWrites = "deployments/scale"

// secondHPA: next to a HorizontalPodAutoscaler that KEDA did not make the leader raises no replicas, and the status names it.
// When that one is gone it does.
func (s *policySuite) secondHPA(t *testing.T) {
	const namespace, name = "e2e-second-hpa", "second-hpa"
	s.policy(t, namespace, name, func(p *v1alpha1.AutoscalerPolicySpec) { p.Jump = v1alpha1.JumpAlways })
	w := s.scaledBy(t, s.scaler.Address(), namespace, name)
	foreign := &autoscalingv2.HorizontalPodAutoscaler{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "by-hand"},
		Spec: autoscalingv2.HorizontalPodAutoscalerSpec{
			ScaleTargetRef: autoscalingv2.CrossVersionObjectReference{APIVersion: "apps/v1", Kind: "Deployment", Name: name}, MaxReplicas: 3,
			Metrics: []autoscalingv2.MetricSpec{{Type: autoscalingv2.ResourceMetricSourceType, Resource: &autoscalingv2.ResourceMetricSource{
				Name: "cpu", Target: autoscalingv2.MetricTarget{Type: autoscalingv2.UtilizationMetricType, AverageUtilization: new(int32(80))},
			}}},
		},
	}
	check(t, s.objects.Create(s.ctx, foreign))
	message := s.condition(t, namespace, name, v1alpha1.ConditionConflicted, "True/"+v1alpha1.ReasonHPAOwnsTarget)
	if !strings.Contains(message, `"by-hand"`) {
		t.Errorf("the condition says %q, want the name of the HorizontalPodAutoscaler", message)
	}
	check(t, s.redis.Push(s.ctx, name, 100))
	s.reach(t, w, time.Now(), time.Minute, 1) // by KEDA, after which a jump is due
	s.pause(t, hpaSync)
	if n, _ := s.written(t, namespace); n != 0 {
		t.Errorf("replicas were written %d times next to another HorizontalPodAutoscaler", n)
	}
	if n := s.events(t, namespace, name)["Conflicted"]; n != 1 {
		t.Errorf("Conflicted was written %d times, want once", n)
	}
	check(t, s.objects.Delete(s.ctx, foreign))
	s.reach(t, w, time.Now(), time.Minute, 20)
	s.condition(t, namespace, name, v1alpha1.ConditionConflicted, "False/"+v1alpha1.ReasonNoConflict)
	if _, n := s.written(t, namespace); n == 0 {
		t.Error("the replicas were raised, and the log of the API server has no write of the scaler")
	}
}

// foreignWriter: a client that resets the replicas again and again is named, and the leader gives up for a minute.
func (s *policySuite) foreignWriter(t *testing.T) {
	const namespace, name, manager = "e2e-foreign-writer", "foreign-writer", "argocd-controller"
	w, err := workload.Deploy(s.ctx, s.stage.Clients, workload.Options{Namespace: namespace, Name: name, Replicas: 2})
	check(t, err)
	s.policy(t, namespace, name, func(p *v1alpha1.AutoscalerPolicySpec) {
		open := window("open", time.Now().Add(-time.Minute))
		open.Exact = new(int32(8))
		p.Via, p.Signals, p.Schedules = v1alpha1.ViaScale, nil, []v1alpha1.Schedule{open}
	})
	since := time.Now()
	for range 3 {
		s.reach(t, w, since, time.Minute, 8)
		s.pause(t, 3*time.Second)
		since = time.Now()
		_, err := s.stage.Clients.Kubernetes.AppsV1().Deployments(namespace).UpdateScale(s.ctx, name, &autoscalingv1.Scale{
			ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}, Spec: autoscalingv1.ScaleSpec{Replicas: 2},
		}, metav1.UpdateOptions{FieldManager: manager})
		check(t, err)
		since = since.Add(s.reach(t, w, since, time.Minute, 2))
	}
	message := s.condition(t, namespace, name, v1alpha1.ConditionConflicted, "True/"+v1alpha1.ReasonForeignWriter)
	if !strings.Contains(message, manager) {
		t.Errorf("the condition says %q, want the name of the writer", message)
	}
	before, accepted := s.written(t, namespace)
	if accepted != 3 {
		t.Errorf("replicas were written %d times, want 3", accepted)
	}
	s.pause(t, hpaSync)
	if after, _ := s.written(t, namespace); after != before {
		t.Errorf("replicas were written %d times within %s although another client writes them", after-before, hpaSync)
	}
	s.reach(t, w, time.Now(), 2*time.Minute, 8) // once a minute
}

// observe: a policy that observes reports all that it would do, and writes nothing but its status and events: no replicas,
// no pods. The ScaledObject next to it decides by its own queue.
func (s *policySuite) observe(t *testing.T) {
	const namespace, name = "e2e-observe", "observe"
	s.nodes(t, namespace)
	s.policy(t, namespace, name, func(p *v1alpha1.AutoscalerPolicySpec) {
		p.Mode, p.Jump = v1alpha1.Observe, v1alpha1.JumpAlways
		p.BusyPods = &v1alpha1.BusyPods{From: v1alpha1.BusyFromAnnotation, Annotation: busyAnnotation, Keep: v1alpha1.Strict}
		p.Steps = &v1alpha1.Steps{Down: &v1alpha1.StepDown{Percent: new(int32(100)), Period: "15s", Hold: "0s"}}
	})
	options := policyOptions(s.scaler.Address(), namespace, name)
	options.Triggers = []workload.Trigger{s.pushed("observe-own")}
	w := s.workload(t, options)
	check(t, s.redis.Push(s.ctx, "observe-own", 15))
	check(t, s.redis.Push(s.ctx, name, 35))
	s.reach(t, w, time.Now(), 2*time.Minute, 3)
	s.decided(t, namespace, name, 7)
	// Replicas would fall, and busy pods would be marked.
	check(t, s.redis.Drain(s.ctx, name))
	s.decided(t, namespace, name, 0)
	s.hold(t, w, time.Now(), hpaSync, 3)
	writes, err := s.stage.Cluster.Writes(namespace)
	check(t, err)
	statuses := 0
	for _, write := range writes {
		switch write.Resource {
		case "autoscalerpolicies/status":
			statuses++
		case "events":
		default:
			t.Errorf("a policy that observes wrote %+v", write)
		}
	}
	if statuses == 0 {
		t.Errorf("the log of the API server has no status: %v", writes)
	}
}
