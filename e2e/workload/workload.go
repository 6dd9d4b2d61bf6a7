package workload

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	kedav1alpha1 "github.com/kedacore/keda/v2/apis/keda/v1alpha1"
	kedaclientset "github.com/kedacore/keda/v2/pkg/generated/clientset/versioned"
	appsv1 "k8s.io/api/apps/v1"
	autoscalingv1 "k8s.io/api/autoscaling/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/backlog-scaler/backlog-scaler/internal/childprocess"
)

// Clients are the two APIs a workload is made with.
type Clients struct {
	Kubernetes kubernetes.Interface
	KEDA       kedaclientset.Interface
	Tracker    *Tracker
}

// NewClients connects to a cluster and starts to watch its Deployments until ctx ends.
func NewClients(ctx context.Context, config *rest.Config) (*Clients, error) {
	core, err := kubernetes.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("make client of Kubernetes: %w", err)
	}
	keda, err := kedaclientset.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("make client of KEDA: %w", err)
	}
	tracker, err := NewTracker(ctx, core)
	if err != nil {
		return nil, err
	}
	return &Clients{Kubernetes: core, KEDA: keda, Tracker: tracker}, nil
}

// A Trigger is one entry of spec.triggers.
type Trigger struct {
	Type     string
	Metadata map[string]string
	// MetricType is how the HPA relates the value to the target; empty is KEDA's default, AverageValue.
	MetricType autoscalingv2.MetricTargetType
}

// NoCooldown is a cooldown of no time.
const NoCooldown time.Duration = -1

// Options describe a Deployment and the ScaledObject of the same name that scales it.
type Options struct {
	Namespace, Name string
	Triggers        []Trigger
	MinReplicas     int32
	MaxReplicas     int32 // zero is KEDA's default of 100
	Replicas        int32 // of the Deployment when it is made
	PollingInterval time.Duration
	Cooldown        time.Duration // zero is KEDA's default of five minutes
	// Behavior goes to the HPA as it is; nil leaves the HPA without one.
	Behavior *autoscalingv2.HorizontalPodAutoscalerBehavior
}

// A Workload is a Deployment that KEDA scales.
type Workload struct {
	clients *Clients
	key     types.NamespacedName
}

// New makes the Deployment and the ScaledObject.
func New(ctx context.Context, clients *Clients, options Options) (*Workload, error) {
	w, err := Deploy(ctx, clients, options)
	if err != nil {
		return nil, err
	}
	if err := w.Autoscale(ctx, options); err != nil {
		return nil, err
	}
	return w, nil
}

// Deploy makes the Deployment alone.
func Deploy(ctx context.Context, clients *Clients, options Options) (*Workload, error) {
	w := &Workload{clients: clients, key: types.NamespacedName{Namespace: options.Namespace, Name: options.Name}}
	deployment := &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Name: options.Name},
		Spec: appsv1.DeploymentSpec{
			Replicas: new(options.Replicas),
			Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": options.Name}},
			Template: corev1.PodTemplateSpec{
				ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{"app": options.Name}},
				Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "worker", Image: "worker"}}},
			},
		},
	}
	if _, err := clients.Kubernetes.AppsV1().Deployments(options.Namespace).Create(ctx, deployment, metav1.CreateOptions{}); err != nil {
		return nil, fmt.Errorf("create deployment %s: %w", w.key, err)
	}
	return w, nil
}

// Autoscale makes the ScaledObject of a Deployment.
func (w *Workload) Autoscale(ctx context.Context, options Options) error {
	object := &kedav1alpha1.ScaledObject{
		ObjectMeta: metav1.ObjectMeta{Name: options.Name, Namespace: options.Namespace},
		Spec: kedav1alpha1.ScaledObjectSpec{
			ScaleTargetRef:  &kedav1alpha1.ScaleTarget{Name: options.Name},
			PollingInterval: seconds(options.PollingInterval),
			CooldownPeriod:  seconds(options.Cooldown),
			Triggers:        triggers(options.Triggers),
		},
	}
	if options.MinReplicas > 0 {
		object.Spec.MinReplicaCount = &options.MinReplicas
	}
	if options.MaxReplicas > 0 {
		object.Spec.MaxReplicaCount = &options.MaxReplicas
	}
	if options.Behavior != nil {
		object.Spec.Advanced = &kedav1alpha1.AdvancedConfig{
			HorizontalPodAutoscalerConfig: &kedav1alpha1.HorizontalPodAutoscalerConfig{Behavior: options.Behavior},
		}
	}
	if _, err := w.clients.KEDA.KedaV1alpha1().ScaledObjects(w.key.Namespace).Create(ctx, object, metav1.CreateOptions{}); err != nil {
		return fmt.Errorf("create scaledobject %s: %w", w.key, err)
	}
	return nil
}

func triggers(list []Trigger) []kedav1alpha1.ScaleTriggers {
	out := make([]kedav1alpha1.ScaleTriggers, 0, len(list))
	for _, t := range list {
		out = append(out, kedav1alpha1.ScaleTriggers{Type: t.Type, Metadata: t.Metadata, MetricType: t.MetricType})
	}
	return out
}

// seconds is nil for zero: KEDA's default.
func seconds(d time.Duration) *int32 {
	if d == 0 {
		return nil
	}
	return new(int32(max(0, d) / time.Second))
}

// Key is its namespace and name.
func (w *Workload) Key() types.NamespacedName { return w.key }

// WaitReady returns when KEDA has accepted the ScaledObject and knows the names of its metrics: before that it drops
// what a scaler pushes.
func (w *Workload) WaitReady(ctx context.Context, within time.Duration) error {
	return childprocess.Poll(ctx, "scaledobject "+w.key.String(), within, 50*time.Millisecond, func(ctx context.Context) error {
		object, err := w.ScaledObject(ctx)
		if err != nil {
			return err
		}
		return accepted(object)
	})
}

// ScaledObject reads the present object.
func (w *Workload) ScaledObject(ctx context.Context) (*kedav1alpha1.ScaledObject, error) {
	object, err := w.clients.KEDA.KedaV1alpha1().ScaledObjects(w.key.Namespace).Get(ctx, w.key.Name, metav1.GetOptions{})
	if err != nil {
		return nil, fmt.Errorf("read scaledobject %s: %w", w.key, err)
	}
	return object, nil
}

// SetTriggers edits the ScaledObject in place.
func (w *Workload) SetTriggers(ctx context.Context, list ...Trigger) error {
	return childprocess.Poll(ctx, "the edit of scaledobject "+w.key.String(), 10*time.Second, 20*time.Millisecond, func(ctx context.Context) error {
		object, err := w.ScaledObject(ctx)
		if err != nil {
			return err
		}
		object.Spec.Triggers = triggers(list)
		_, err = w.clients.KEDA.KedaV1alpha1().ScaledObjects(w.key.Namespace).Update(ctx, object, metav1.UpdateOptions{})
		return err // a conflict with KEDA's own write: once more
	})
}

// HPA reads the HorizontalPodAutoscaler that KEDA made.
func (w *Workload) HPA(ctx context.Context) (*autoscalingv2.HorizontalPodAutoscaler, error) {
	name := "keda-hpa-" + w.key.Name
	hpa, err := w.clients.Kubernetes.AutoscalingV2().HorizontalPodAutoscalers(w.key.Namespace).Get(ctx, name, metav1.GetOptions{})
	if err != nil {
		return nil, fmt.Errorf("read HPA %s: %w", name, err)
	}
	return hpa, nil
}

// Scale sets the replicas by hand.
func (w *Workload) Scale(ctx context.Context, replicas int32) error {
	_, err := w.clients.Kubernetes.AppsV1().Deployments(w.key.Namespace).UpdateScale(ctx, w.key.Name, &autoscalingv1.Scale{
		ObjectMeta: metav1.ObjectMeta{Name: w.key.Name, Namespace: w.key.Namespace},
		Spec:       autoscalingv1.ScaleSpec{Replicas: replicas},
	}, metav1.UpdateOptions{})
	if err != nil {
		return fmt.Errorf("scale %s to %d: %w", w.key, replicas, err)
	}
	return nil
}

// WaitReplicas returns when spec.replicas first satisfied accept at or after since.
func (w *Workload) WaitReplicas(ctx context.Context, since time.Time, within time.Duration, accept func(int32) bool) (time.Time, error) {
	return w.clients.Tracker.Wait(ctx, w.key, since, within, accept)
}

// Replicas is the present spec.replicas as the watch saw it.
func (w *Workload) Replicas() (int32, error) { return w.clients.Tracker.Replicas(w.key) }

// Since lists spec.replicas from since on.
func (w *Workload) Since(since time.Time) []Change { return w.clients.Tracker.Since(w.key, since) }

// Least is the smallest spec.replicas from since on.
func (w *Workload) Least(since time.Time) int32 { return w.clients.Tracker.Least(w.key, since) }

// Events are the notes of the ScaledObject's events, as "Reason: note".
func (w *Workload) Events(ctx context.Context) ([]string, error) {
	list, err := w.clients.Kubernetes.EventsV1().Events(w.key.Namespace).List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, fmt.Errorf("list events of %s: %w", w.key, err)
	}
	var notes []string
	for _, e := range list.Items {
		if e.Regarding.Kind == "ScaledObject" && e.Regarding.Name == w.key.Name {
			notes = append(notes, e.Reason+": "+strings.TrimSpace(e.Note))
		}
	}
	slices.Sort(notes)
	return slices.Compact(notes), nil
}

// Delete removes the ScaledObject and its Deployment.
func (w *Workload) Delete(ctx context.Context) error {
	if err := w.clients.KEDA.KedaV1alpha1().ScaledObjects(w.key.Namespace).Delete(ctx, w.key.Name, metav1.DeleteOptions{}); err != nil {
		return fmt.Errorf("delete scaledobject %s: %w", w.key, err)
	}
	if err := w.clients.Kubernetes.AppsV1().Deployments(w.key.Namespace).Delete(ctx, w.key.Name, metav1.DeleteOptions{}); err != nil {
		return fmt.Errorf("delete deployment %s: %w", w.key, err)
	}
	return nil
}
