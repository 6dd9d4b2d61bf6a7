package e2e_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"path/filepath"
	"slices"
	"testing"
	"time"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	eventsv1 "k8s.io/api/events/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/backlog-scaler/backlog-scaler/api/v1alpha1"
	"github.com/backlog-scaler/backlog-scaler/e2e/fakenodes"
	"github.com/backlog-scaler/backlog-scaler/e2e/scaler"
	"github.com/backlog-scaler/backlog-scaler/e2e/toolchain"
	"github.com/backlog-scaler/backlog-scaler/e2e/workload"
	"github.com/backlog-scaler/backlog-scaler/internal/childprocess"
)

// release is the namespace, the service account and the Lease of the chart in its golden files.
const release = "backlog-scaler"

// A policySuite is a suite with two replicas of the scaler that watch policies, with the rights that the chart grants. KEDA asks
// the first one, which is the leader unless it is stopped.
type policySuite struct {
	*suite

	objects client.Client
	access  string // kubeconfig of the chart's service account
	second  *scaler.Scaler
}

// TestPolicies asserts what AutoscalerPolicies do between a real KEDA and a real HPA. It has a cluster of its own.
func TestPolicies(t *testing.T) {
	together := map[string]func(*policySuite, *testing.T){
		"night":          (*policySuite).night,
		"leader killed":  (*policySuite).leaderKilled,
		"not ready":      (*policySuite).notReady,
		"second HPA":     (*policySuite).secondHPA,
		"foreign writer": (*policySuite).foreignWriter,
		"signals lost":   (*policySuite).signalsLost,
		"busy pods":      (*policySuite).busyPods,
		"observe":        (*policySuite).observe,
		"agreement":      (*policySuite).agreement,
		"built-in":       (*policySuite).jumpByBuiltin,
	}
	s := newPolicySuite(t, "jump", "night", "not-ready", "second-hpa", "foreign-writer", "busy-pods", "observe", "agreement", "keda-restarted", "away")
	// Latency is measured while nothing else runs.
	t.Run("jump", s.jump)
	t.Run("together", func(t *testing.T) {
		for name, scenario := range together {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				scenario(s, t)
			})
		}
	})
	// These take from all others what they need.
	t.Run("KEDA restarted", s.kedaRestarted)
	t.Run("API server away", s.apiServerAway)
	t.Run("rights", s.rights)
}

// rights: all scenarios together wrote only what the chart grants, and nothing failed. Conflicts with KEDA and the
// controllers are common. An API server that starts denies what it allows once it has read the roles.
func (s *policySuite) rights(t *testing.T) {
	writes, err := s.stage.Cluster.Writes("")
	check(t, err)
	count, allowed := make(map[string]int), make(map[string]bool)
	for _, w := range writes {
		count[w.Resource]++
		if w.Code < http.StatusMultipleChoices {
			allowed[w.Verb+" "+w.Resource] = true
		}
	}
	for _, w := range writes {
		failed := w.Code >= http.StatusBadRequest && w.Code != http.StatusConflict
		refusedOnce := w.Code == http.StatusForbidden && allowed[w.Verb+" "+w.Resource]
		if failed && !refusedOnce {
			t.Errorf("%+v failed", w)
		}
	}
	t.Logf("writes of the scalers: %v", count)
	granted := []string{"autoscalerpolicies/status", scaleWrites, "events", "leases", "pods"}
	for kind := range count {
		if !slices.Contains(granted, kind) {
			t.Errorf("the scalers wrote %s, want nothing but %v", kind, granted)
		}
	}
	if count["leases"] == 0 {
		t.Error("the log of the API server has no write of the leader")
	}
}

// newPolicySuite starts everything. The scalers watch the namespaces of these scenarios.
func newPolicySuite(t *testing.T, scenarios ...string) *policySuite {
	t.Helper()
	s := &policySuite{suite: newStage(t, "-policies")}
	root, err := toolchain.Root()
	check(t, err)
	chart := filepath.Join(root, "..", "deploy", "keda")
	check(t, s.stage.Cluster.InstallCRD(s.ctx, filepath.Join(chart, "chart", "policies", "backlog-scaler.github.io_autoscalerpolicies.yaml"),
		schema.GroupVersionResource{Group: v1alpha1.Group, Version: "v1alpha1", Resource: "autoscalerpolicies"}))
	check(t, s.stage.Cluster.CreateNamespace(s.ctx, release))
	check(t, s.stage.Cluster.ApplyRoles(s.ctx, filepath.Join(chart, "testdata", "golden", "policies.yaml")))
	s.access, err = s.stage.Cluster.ServiceAccountKubeconfig(release, release)
	check(t, err)
	types := runtime.NewScheme()
	check(t, errors.Join(v1alpha1.AddToScheme(types), eventsv1.AddToScheme(types), autoscalingv2.AddToScheme(types)))
	s.objects, err = client.New(s.stage.Cluster.Config(), client.Options{Scheme: types})
	check(t, err)
	namespaces := make([]string, 0, len(scenarios))
	for _, name := range scenarios {
		namespaces = append(namespaces, s.namespace(t, name))
	}
	connections := map[string]scaler.Connection{"main": s.connection(s.redis, "*")}
	s.scaler = s.startPolicyScaler(t, "scaler-policies-1", s.access, release+"/"+release, connections, namespaces...)
	s.second = s.startPolicyScaler(t, "scaler-policies-2", s.access, release+"/"+release, connections, namespaces...)
	return s
}

// startPolicyScaler starts a scaler that watches the policies of some namespaces. Without a Lease it always leads.
func (s *policySuite) startPolicyScaler(
	t *testing.T, name, access, lease string, connections map[string]scaler.Connection, namespaces ...string,
) *scaler.Scaler {
	t.Helper()
	args := []string{"--policies", "--drain-delay=100ms"}
	if lease != "" {
		args = append(args, "--policies-lease="+lease)
	}
	for _, namespace := range namespaces {
		args = append(args, "--policies-namespaces="+namespace)
	}
	return s.startScaler(t, scaler.Options{Name: name, Connections: connections, Args: args, Env: []string{"KUBECONFIG=" + access}})
}

// nodes has the pods of a namespace become ready.
func (s *policySuite) nodes(t *testing.T, namespace string) *fakenodes.Nodes {
	t.Helper()
	nodes, err := fakenodes.Start(s.ctx, s.stage.Clients.Kubernetes, namespace)
	check(t, err)
	t.Cleanup(nodes.Close)
	return nodes
}

// policy makes a policy for the Deployment of the same name, with one replica for five messages of the list of that name.
func (s *policySuite) policy(t *testing.T, namespace, name string, changes ...func(*v1alpha1.AutoscalerPolicySpec)) {
	t.Helper()
	p := &v1alpha1.AutoscalerPolicy{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
		Spec: v1alpha1.AutoscalerPolicySpec{
			Via: v1alpha1.ViaKEDA, MaxReplicas: 100, ScaleTargetRef: v1alpha1.TargetRef{APIVersion: "apps/v1", Kind: "Deployment", Name: name},
			Signals: []v1alpha1.Signal{{Name: "backlog", Connection: "main", Trigger: map[string]v1alpha1.TriggerValue{"list": v1alpha1.TriggerValue(name)}, Target: "5"}},
		},
	}
	for _, change := range changes {
		change(&p.Spec)
	}
	check(t, s.objects.Create(s.ctx, p))
}

// changePolicy changes a policy that exists.
func (s *policySuite) changePolicy(t *testing.T, namespace, name string, change func(*v1alpha1.AutoscalerPolicySpec)) {
	t.Helper()
	p, err := s.readPolicy(s.ctx, namespace, name)
	check(t, err)
	before := p.DeepCopy()
	change(&p.Spec)
	check(t, s.objects.Patch(s.ctx, p, client.MergeFrom(before)))
}

func (s *policySuite) readPolicy(ctx context.Context, namespace, name string) (*v1alpha1.AutoscalerPolicy, error) {
	p := &v1alpha1.AutoscalerPolicy{}
	if err := s.objects.Get(ctx, client.ObjectKey{Namespace: namespace, Name: name}, p); err != nil {
		return nil, fmt.Errorf("read policy %s/%s: %w", namespace, name, err)
	}
	return p, nil
}

// condition waits until a condition of a policy has a status and a reason, such as "True/StepStuck", and returns its message.
func (s *policySuite) condition(t *testing.T, namespace, name, kind, want string) string {
	t.Helper()
	var message string
	check(t, childprocess.Poll(s.ctx, "condition "+kind+" of "+namespace+"/"+name, 2*time.Minute, 50*time.Millisecond, func(ctx context.Context) error {
		p, err := s.readPolicy(ctx, namespace, name)
		if err != nil {
			return err
		}
		c := meta.FindStatusCondition(p.Status.Conditions, kind)
		if c == nil || string(c.Status)+"/"+c.Reason != want {
			return fmt.Errorf("it is %+v, want %s", c, want)
		}
		message = c.Message
		return nil
	}))
	return message
}

// events counts the events of a policy by reason.
func (s *policySuite) events(t *testing.T, namespace, name string) map[string]int {
	t.Helper()
	var list eventsv1.EventList
	check(t, s.objects.List(s.ctx, &list, client.InNamespace(namespace)))
	count := make(map[string]int)
	for i := range list.Items {
		if e := &list.Items[i]; e.Regarding.Kind == "AutoscalerPolicy" && e.Regarding.Name == name {
			count[e.Reason]++
		}
	}
	return count
}

// written counts the writes of the scalers to the scale of workloads of a namespace, by the log of the API server: all that were
// tried, and those that were accepted. One that meets another writer, such as the controller of the Deployment, is refused.
func (s *policySuite) written(t *testing.T, namespace string) (tried, accepted int) {
	t.Helper()
	writes, err := s.stage.Cluster.Writes(namespace)
	check(t, err)
	for _, w := range writes {
		if w.Resource != scaleWrites {
			continue
		}
		tried++
		if w.Code < http.StatusMultipleChoices {
			accepted++
		}
	}
	return tried, accepted
}

// scaledBy makes a Deployment at zero, with a ScaledObject whose trigger names the policy of the same name. The HPA follows what
// is reported at each sync, as the documentation of policies wants it.
func (s *policySuite) scaledBy(t *testing.T, address, namespace, name string) *workload.Workload {
	t.Helper()
	return s.workload(t, policyOptions(address, namespace, name))
}

// policyOptions are those of a workload whose trigger names a policy.
func policyOptions(address, namespace, name string) workload.Options {
	exact := resource.MustParse("0")
	rules := func(percent int32) *autoscalingv2.HPAScalingRules {
		return &autoscalingv2.HPAScalingRules{
			StabilizationWindowSeconds: new(int32(0)), Tolerance: &exact,
			Policies: []autoscalingv2.HPAScalingPolicy{{Type: autoscalingv2.PercentScalingPolicy, Value: percent, PeriodSeconds: 15}},
		}
	}
	return workload.Options{
		Namespace: namespace, Name: name, PollingInterval: 2 * time.Second, Cooldown: time.Second,
		Triggers: []workload.Trigger{{Type: "external-push", Metadata: map[string]string{"scalerAddress": address, "policy": name}}},
		Behavior: &autoscalingv2.HorizontalPodAutoscalerBehavior{ScaleUp: rules(900), ScaleDown: rules(100)},
	}
}

// replicasOf are the numbers of a history.
func replicasOf(changes []workload.Change) []int32 {
	numbers := make([]int32, 0, len(changes))
	for _, c := range changes {
		numbers = append(numbers, c.Replicas)
	}
	return numbers
}
