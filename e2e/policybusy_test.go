package e2e_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/backlog-scaler/backlog-scaler/api/v1alpha1"
	"github.com/backlog-scaler/backlog-scaler/e2e/scaler"
	"github.com/backlog-scaler/backlog-scaler/internal/childprocess"
)

// busyAnnotation makes a pod busy.
const busyAnnotation = "example.com/busy"

// busyPods: ten pods become four, and the four busy ones are left. The ReplicaSet's controller chooses. Then two are wanted,
// and four stay until two of them have finished.
func (s *policySuite) busyPods(t *testing.T) {
	const namespace, name = "e2e-busy-pods", "busy-pods"
	s.nodes(t, namespace)
	s.policy(t, namespace, name, func(p *v1alpha1.AutoscalerPolicySpec) {
		p.BusyPods = &v1alpha1.BusyPods{From: v1alpha1.BusyFromAnnotation, Annotation: busyAnnotation, Keep: v1alpha1.Strict}
		p.Steps = &v1alpha1.Steps{Down: &v1alpha1.StepDown{Pods: new(int32(100)), Period: "15s", Hold: "0s"}}
	})
	w := s.scaledBy(t, s.scaler.Address(), namespace, name)
	check(t, s.redis.Push(s.ctx, name, 50))
	s.reach(t, w, time.Now(), 2*time.Minute, 10)
	names := s.pods(t, namespace, 10)
	rand.Shuffle(len(names), func(i, j int) { names[i], names[j] = names[j], names[i] })
	busy := slices.Sorted(slices.Values(names[:4]))
	for _, pod := range busy {
		s.annotate(t, namespace, pod, "true")
	}
	falls := time.Now()
	check(t, s.redis.Client().LTrim(s.ctx, name, 0, 19).Err())
	s.took(t, "busy pods", "10 to 4", s.reach(t, w, falls, 2*time.Minute, 4))
	if diff := cmp.Diff(busy, s.pods(t, namespace, 4)); diff != "" {
		t.Errorf("pods that are left (-the busy ones +got):\n%s", diff)
	}
	falls = time.Now()
	check(t, s.redis.Client().LTrim(s.ctx, name, 0, 9).Err())
	s.condition(t, namespace, name, v1alpha1.ConditionLimited, "True/"+v1alpha1.ReasonBusy)
	s.hold(t, w, falls, hpaSync, 4)
	for _, pod := range busy[:2] {
		s.annotate(t, namespace, pod, "false")
	}
	s.reach(t, w, falls, 2*time.Minute, 2)
	if diff := cmp.Diff(busy[2:], s.pods(t, namespace, 2)); diff != "" {
		t.Errorf("pods that are left (-the busy ones +got):\n%s", diff)
	}
}

// pods waits until a namespace has n pods that are ready and stay, and returns their names in order.
func (s *policySuite) pods(t *testing.T, namespace string, n int) []string {
	t.Helper()
	var names []string
	check(t, childprocess.Poll(s.ctx, fmt.Sprintf("%d pods", n), time.Minute, 50*time.Millisecond, func(ctx context.Context) error {
		list, err := s.stage.Clients.Kubernetes.CoreV1().Pods(namespace).List(ctx, metav1.ListOptions{})
		if err != nil {
			return err
		}
		names = nil
		for i := range list.Items {
			if pod := &list.Items[i]; pod.DeletionTimestamp == nil && pod.Status.Phase == corev1.PodRunning {
				names = append(names, pod.Name)
			}
		}
		if len(names) != n {
			return fmt.Errorf("there are %d: %v", len(names), names)
		}
		return nil
	}))
	slices.Sort(names)
	return names
}

// annotate says whether a pod is busy.
func (s *policySuite) annotate(t *testing.T, namespace, pod, busy string) {
	t.Helper()
	patch := fmt.Appendf(nil, `{"metadata":{"annotations":{%q:%q}}}`, busyAnnotation, busy)
	_, err := s.stage.Clients.Kubernetes.CoreV1().Pods(namespace).Patch(s.ctx, pod, types.MergePatchType, patch, metav1.PatchOptions{})
	check(t, err)
}

// decided waits until the status of a policy has a decided number.
func (s *policySuite) decided(t *testing.T, namespace, name string, replicas int32) {
	t.Helper()
	s.status(t, namespace, name, func(status *v1alpha1.AutoscalerPolicyStatus) bool { return status.Replicas.Decided == replicas })
}

// agreement: both replicas of the scaler report the same number after each change, though each decides for itself.
func (s *policySuite) agreement(t *testing.T) {
	const namespace, name = "e2e-agreement", "agreement"
	s.nodes(t, namespace)
	s.policy(t, namespace, name, func(p *v1alpha1.AutoscalerPolicySpec) {
		p.Steps = &v1alpha1.Steps{Up: &v1alpha1.StepUp{First: new(int32(3)), Pods: new(int32(3)), Period: "15s", ReadyPercent: 100}, Down: &v1alpha1.StepDown{Percent: new(int32(100)), Period: "15s", Hold: "0s"}}
	})
	w := s.scaledBy(t, s.scaler.Address(), namespace, name)
	for _, round := range []struct {
		messages int
		reports  []int32
	}{{40, []int32{3, 6, 8}}, {10, []int32{2}}, {20, []int32{4}}, {0, []int32{0}}} {
		check(t, s.redis.Drain(s.ctx, name))
		if round.messages > 0 {
			check(t, s.redis.Push(s.ctx, name, round.messages))
		}
		for _, replicas := range round.reports {
			for _, replica := range []*scaler.Scaler{s.scaler, s.second} {
				s.reports(t, replica, namespace, name, replicas)
			}
			s.reach(t, w, time.Now(), 2*time.Minute, replicas)
		}
	}
}

// reports waits until a replica of the scaler reports a number of replicas to KEDA.
func (s *policySuite) reports(t *testing.T, replica *scaler.Scaler, namespace, name string, replicas int32) {
	t.Helper()
	check(t, childprocess.Poll(s.ctx, replica.Address()+" to report "+namespace+"/"+name, 2*time.Minute, 50*time.Millisecond, func(ctx context.Context) error {
		value, active, err := replica.Report(ctx, namespace, name, map[string]string{"policy": name})
		if err == nil && (value != float64(replicas) || active != (replicas > 0)) {
			err = fmt.Errorf("it reports %g, active %t; want %d", value, active, replicas)
		}
		return err
	}))
}
