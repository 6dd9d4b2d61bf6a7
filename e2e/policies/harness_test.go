package policies_test

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/backlog-scaler/backlog-scaler/api/v1alpha1"
	"github.com/backlog-scaler/backlog-scaler/internal/kube"
	"github.com/backlog-scaler/backlog-scaler/internal/policies"
)

// patience is how long something may take that happens at once on an idle machine.
const patience = 30 * time.Second

// A clock stands until a test moves it. It passes while a test reconciles until something happens.
type clock struct {
	mu  sync.Mutex // guards now
	now time.Time
}

func (c *clock) read() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) advance(by time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(by)
}

// A world is a namespace with a controller whose reconciliation the test calls.
type world struct {
	client     client.Client
	namespace  string
	runner     *runner
	clock      *clock
	controller *kube.Controller
}

// newWorld makes a namespace, and a controller for it that leads.
func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{client: newClient(t), runner: newRunner(), clock: &clock{now: time.Now()}}
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "policies-"}}
	check(t, w.client.Create(t.Context(), namespace))
	w.namespace = namespace.Name
	w.watch(t)
	return w
}

// another is a further replica of the scaler in the same namespace, at the same time. It leads, too.
func (w *world) another(t *testing.T) *world {
	t.Helper()
	other := &world{client: w.client, namespace: w.namespace, runner: newRunner(), clock: w.clock}
	other.watch(t)
	return other
}

// watch starts the controller.
func (w *world) watch(t *testing.T) {
	t.Helper()
	var err error
	w.controller, err = kube.New(kube.Options{
		Config: plane.Config(), Namespaces: []string{w.namespace}, Identity: t.Name(), Runner: w.runner,
		Logger: slog.New(slog.NewTextHandler(testWriter{t}, nil)), Now: w.clock.read,
	})
	check(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	stop, err := w.controller.Watch(ctx)
	t.Cleanup(stop)
	check(t, err)
}

func newClient(t *testing.T) client.Client {
	t.Helper()
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{
		appsv1.AddToScheme, autoscalingv2.AddToScheme, corev1.AddToScheme, eventsv1.AddToScheme, v1alpha1.AddToScheme,
	} {
		check(t, add(scheme))
	}
	c, err := client.New(plane.Config(), client.Options{Scheme: scheme})
	check(t, err)
	return client.WithFieldOwner(c, "test")
}

// key is that of a policy.
func (w *world) key(name string) policies.Key {
	return policies.Key{Namespace: w.namespace, Name: name}
}

// reconcile reconciles a policy until a condition holds. The first look at a change may come before the watch has brought it.
func (w *world) reconcile(t *testing.T, name, what string, holds func() bool) {
	t.Helper()
	var err error
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		if _, err = w.controller.Reconcile(t.Context(), w.key(name)); holds() {
			if err != nil {
				t.Logf("%s: %v", what, err)
			}
			return
		}
		w.clock.advance(20 * time.Millisecond)
	}
	t.Fatalf("%s: not within %s; the last error is %v; the status is %+v", what, patience, err, w.status(t, name))
}

// settle reconciles a policy for a moment, in which nothing may happen.
func (w *world) settle(t *testing.T, name string) {
	t.Helper()
	for range 20 {
		_, err := w.controller.Reconcile(t.Context(), w.key(name))
		check(t, err)
		time.Sleep(20 * time.Millisecond)
	}
}

// deployment makes a Deployment.
func (w *world) deployment(t *testing.T, name string, replicas int32) {
	t.Helper()
	w.deploymentOf(t, name, replicas, func(*corev1.PodSpec) {})
}

// deploymentOf makes a Deployment of changed pods.
func (w *world) deploymentOf(t *testing.T, name string, replicas int32, change func(*corev1.PodSpec)) {
	t.Helper()
	pods := corev1.PodSpec{Containers: []corev1.Container{{Name: "worker", Image: "worker"}}}
	change(&pods)
	check(t, w.client.Create(t.Context(), &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Namespace: w.namespace, Name: name},
		Spec: appsv1.DeploymentSpec{
			Replicas: new(replicas), Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": name}},
			Template: corev1.PodTemplateSpec{
				ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{"app": name}},
				Spec:       pods,
			},
		},
	}))
}

// replicas returns spec.replicas of a Deployment.
func (w *world) replicas(t *testing.T, name string) int32 {
	t.Helper()
	var d appsv1.Deployment
	check(t, w.client.Get(t.Context(), client.ObjectKey{Namespace: w.namespace, Name: name}, &d))
	return *d.Spec.Replicas
}

// scale writes the replicas of the Deployment "billing" as another client does.
func (w *world) scale(t *testing.T, replicas int32, manager string) {
	t.Helper()
	const name = "billing"
	object := &unstructured.Unstructured{}
	object.SetAPIVersion("apps/v1")
	object.SetKind("Deployment")
	object.SetNamespace(w.namespace)
	object.SetName(name)
	body := &unstructured.Unstructured{Object: map[string]any{"spec": map[string]any{"replicas": int64(replicas)}}}
	body.SetAPIVersion("autoscaling/v1")
	body.SetKind("Scale")
	body.SetNamespace(w.namespace)
	body.SetName(name)
	check(t, w.client.SubResource("scale").Update(t.Context(), object, client.WithSubResourceBody(body), client.FieldOwner(manager)))
}

// policy makes a policy for the Deployment of the same name.
func (w *world) policy(t *testing.T, name string, change func(*v1alpha1.AutoscalerPolicySpec)) {
	t.Helper()
	p := &v1alpha1.AutoscalerPolicy{
		ObjectMeta: metav1.ObjectMeta{Namespace: w.namespace, Name: name},
		Spec: v1alpha1.AutoscalerPolicySpec{
			Via: v1alpha1.ViaScale, MaxReplicas: 100, ScaleTargetRef: v1alpha1.TargetRef{APIVersion: "apps/v1", Kind: "Deployment", Name: name},
			Signals: []v1alpha1.Signal{{Name: "backlog", Connection: "orders", Trigger: map[string]v1alpha1.TriggerValue{"list": "orders"}, Target: "5"}},
		},
	}
	change(&p.Spec)
	check(t, w.client.Create(t.Context(), p))
}

// viaKEDA has a policy jump.
func viaKEDA(jump v1alpha1.Jump) func(*v1alpha1.AutoscalerPolicySpec) {
	return func(s *v1alpha1.AutoscalerPolicySpec) { s.Via, s.Jump = v1alpha1.ViaKEDA, jump }
}

func asItIs(*v1alpha1.AutoscalerPolicySpec) {}

// scaledObject makes a ScaledObject for the Deployment of a name, with a trigger that has the policy of that name.
func (w *world) scaledObject(t *testing.T, name string, largest int64, annotations ...string) *unstructured.Unstructured {
	t.Helper()
	object := &unstructured.Unstructured{Object: map[string]any{"spec": map[string]any{
		"scaleTargetRef": map[string]any{"name": name}, "maxReplicaCount": largest, "minReplicaCount": int64(0),
		"triggers": []any{map[string]any{"type": "external-push", "metadata": map[string]any{"scalerAddress": "scaler:9090", "policy": name}}},
	}}}
	object.SetAPIVersion("keda.sh/v1alpha1")
	object.SetKind("ScaledObject")
	object.SetNamespace(w.namespace)
	object.SetName(name)
	set := make(map[string]string)
	for _, annotation := range annotations {
		set[annotation] = "true"
	}
	object.SetAnnotations(set)
	check(t, w.client.Create(t.Context(), object))
	return object
}

// hpa makes a HorizontalPodAutoscaler for the Deployment of the same name.
func (w *world) hpa(t *testing.T, name string) *autoscalingv2.HorizontalPodAutoscaler {
	t.Helper()
	h := &autoscalingv2.HorizontalPodAutoscaler{
		ObjectMeta: metav1.ObjectMeta{Namespace: w.namespace, Name: name + "-hpa"},
		Spec: autoscalingv2.HorizontalPodAutoscalerSpec{
			ScaleTargetRef: autoscalingv2.CrossVersionObjectReference{APIVersion: "apps/v1", Kind: "Deployment", Name: name}, MaxReplicas: 10,
			Metrics: []autoscalingv2.MetricSpec{{Type: autoscalingv2.ExternalMetricSourceType, External: &autoscalingv2.ExternalMetricSource{
				Metric: autoscalingv2.MetricIdentifier{Name: "none"}, Target: autoscalingv2.MetricTarget{Type: autoscalingv2.ValueMetricType, Value: quantity("1")},
			}}},
		},
	}
	check(t, w.client.Create(t.Context(), h))
	return h
}

// status returns the status of a policy.
func (w *world) status(t *testing.T, name string) *v1alpha1.AutoscalerPolicyStatus {
	t.Helper()
	var p v1alpha1.AutoscalerPolicy
	check(t, w.client.Get(t.Context(), client.ObjectKey{Namespace: w.namespace, Name: name}, &p))
	return &p.Status
}

// reason returns the status and the reason of a condition, such as "True/Accepted".
func (w *world) reason(t *testing.T, name, condition string) string {
	t.Helper()
	for _, c := range w.status(t, name).Conditions {
		if c.Type == condition {
			return fmt.Sprintf("%s/%s", c.Status, c.Reason)
		}
	}
	return ""
}

// events returns how often each event of a policy was written.
func (w *world) events(t *testing.T, name string) map[string]int {
	t.Helper()
	var list eventsv1.EventList
	check(t, w.client.List(t.Context(), &list, client.InNamespace(w.namespace)))
	count := make(map[string]int)
	for i := range list.Items {
		if list.Items[i].Regarding.Name == name {
			count[list.Items[i].Reason]++
		}
	}
	return count
}

// eventually waits until a condition holds.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		if holds() {
			return
		}
	}
	t.Fatalf("%s: not within %s", what, patience)
}

// testWriter writes a log into that of a test.
type testWriter struct{ t *testing.T }

func (w testWriter) Write(line []byte) (int, error) {
	w.t.Logf("%s", line)
	return len(line), nil
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
