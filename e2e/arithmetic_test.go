package e2e_test

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"

	"github.com/backlog-scaler/backlog-scaler/bench/measurement"
	"github.com/backlog-scaler/backlog-scaler/e2e/toolchain"
	"github.com/backlog-scaler/backlog-scaler/e2e/workload"
	"github.com/backlog-scaler/backlog-scaler/internal/childprocess"
)

// A sum is one combination of value, target and running replicas, and what Kubernetes makes of it.
type sum struct {
	Name     string `json:"name"`
	Messages int    `json:"messages"`
	// Cap is the most replicas that the queue can use; zero is no limit.
	Cap    int32                          `json:"cap,omitempty"`
	Target string                         `json:"target"`
	Type   autoscalingv2.MetricTargetType `json:"type"`
	// Running is how many pods there are, Ready how many of them are ready, which matters to a Value alone.
	Running int32 `json:"running"`
	Ready   int32 `json:"ready,omitempty"`
	Min     int32 `json:"min"`
	Max     int32 `json:"max"`
	// Behavior names one of the file.
	Behavior string `json:"behavior"`
	// Changes is how many changes are waited for; zero waits for the HPA to look once.
	Changes int `json:"changes,omitempty"`
	// Want are the counts to which the HPA sets the scale subresource one after the other; none if it leaves it alone.
	Want []int32 `json:"want"`
}

// sums is the file that the model of internal/hpa is held to by that package's own tests.
type sums struct {
	Behaviors map[string]json.RawMessage `json:"behaviors"`
	Cases     []sum                      `json:"cases"`
}

// updateSums has the real HPA write what it does into the file.
var updateSums = flag.Bool("update-arithmetic", false, "write what the real HPA does to internal/hpa/testdata/kubernetes.json")

// arithmetic has the real HPA compute every sum of internal/hpa/testdata/kubernetes.json, all side by side: a Deployment, a
// ScaledObject and a queue for each.
func (s *suite) arithmetic(t *testing.T) {
	root, err := toolchain.Root()
	check(t, err)
	file := filepath.Join(root, "..", "internal", "hpa", "testdata", "kubernetes.json")
	contents, err := os.ReadFile(filepath.Clean(file))
	check(t, err)
	var all sums
	check(t, json.Unmarshal(contents, &all))

	namespace := s.namespace(t, "arithmetic")
	objects := make([]*workload.Workload, len(all.Cases))
	options := make([]workload.Options, len(all.Cases))
	for i, c := range all.Cases {
		options[i] = s.sumOptions(t, namespace, "sum-"+strconv.Itoa(i), c, all.Behaviors)
		objects[i], err = workload.Deploy(s.ctx, s.stage.Clients, options[i])
		check(t, err)
	}
	began := time.Now()
	for i, c := range all.Cases {
		check(t, objects[i].WaitPods(s.ctx, 2*time.Minute, c.Running))
		check(t, objects[i].MakeReady(s.ctx, c.Ready))
		check(t, objects[i].Autoscale(s.ctx, options[i]))
	}
	for i := range all.Cases {
		c := &all.Cases[i]
		t.Run(c.Name, func(t *testing.T) {
			want := c.Want
			s.solve(t, objects[i], began, c)
			if *updateSums {
				return
			}
			if diff := cmp.Diff(want, c.Want); diff != "" {
				t.Errorf("replicas after %d (-want +got):\n%s", c.Running, diff)
			}
		})
	}
	s.note(t, measurement.Measurement{Name: "arithmetic_combinations", Value: float64(len(all.Cases)), Unit: "cases"})
	if *updateSums && !t.Failed() {
		check(t, all.write(file))
	}
}

// sumOptions makes the queue of a sum and says how it is to be scaled.
func (s *suite) sumOptions(t *testing.T, namespace, name string, c sum, behaviors map[string]json.RawMessage) workload.Options {
	t.Helper()
	queue := "list"
	key := name
	if c.Cap > 0 { // the queue that has a limit
		queue, key = "bullmq", "bull:"+name+":wait"
		check(t, s.redis.Client().HSet(s.ctx, "bull:"+name+":meta", "concurrency", c.Cap).Err())
	}
	const page = 100_000
	for left := c.Messages; left > 0; left -= page {
		check(t, s.redis.Push(s.ctx, key, min(left, page)))
	}
	options := workload.Options{
		Namespace: namespace, Name: name, Replicas: c.Running, MinReplicas: c.Min, MaxReplicas: c.Max,
		Triggers: []workload.Trigger{{Type: "external-push", MetricType: c.Type, Metadata: map[string]string{
			"scalerAddress": s.scaler.Address(), "connection": "main", queue: name, "target": c.Target,
		}}},
	}
	if c.Behavior != "none" {
		behavior, found := behaviors[c.Behavior]
		if !found {
			t.Fatalf("%s: the file has no behavior %q", c.Name, c.Behavior)
		}
		check(t, json.Unmarshal(behavior, &options.Behavior))
	}
	return options
}

// solve waits for the HPA to do its part and notes it in c.
func (s *suite) solve(t *testing.T, w *workload.Workload, began time.Time, c *sum) {
	t.Helper()
	check(t, childprocess.Poll(s.ctx, "the HPA of "+w.Key().String(), 2*time.Minute, 200*time.Millisecond, func(ctx context.Context) error {
		written, err := w.HPA(ctx)
		if err != nil {
			return err
		}
		if err := looked(written); err != nil {
			return err
		}
		c.Want = []int32{}
		for _, change := range w.Since(began)[1:] {
			c.Want = append(c.Want, change.Replicas)
		}
		least := c.Changes
		if written.Status.DesiredReplicas != c.Running {
			least = max(least, 1)
		}
		if len(c.Want) < least {
			return fmt.Errorf("changes are %v, want %d", c.Want, least)
		}
		c.Want = c.Want[:min(len(c.Want), max(c.Changes, 1))]
		return nil
	}))
}

// looked fails until the HPA has computed replicas, or has scaled without having to.
func looked(written *autoscalingv2.HorizontalPodAutoscaler) error {
	if written.Status.LastScaleTime != nil {
		return nil
	}
	for _, c := range written.Status.Conditions {
		if c.Type == autoscalingv2.ScalingActive && (c.Status == corev1.ConditionTrue || c.Reason == "ScalingDisabled") {
			return nil
		}
	}
	return fmt.Errorf("it has not computed replicas: %+v", written.Status.Conditions)
}

// write keeps the file in lines that can be read and compared.
func (s sums) write(file string) error {
	var behaviors, cases []string
	for _, name := range slices.Sorted(maps.Keys(s.Behaviors)) {
		behaviors = append(behaviors, fmt.Sprintf("    %q: %s", name, s.Behaviors[name]))
	}
	for _, c := range s.Cases {
		line, err := json.Marshal(c)
		if err != nil {
			return fmt.Errorf("encode %q: %w", c.Name, err)
		}
		cases = append(cases, "    "+string(line))
	}
	text := fmt.Sprintf("{\n  \"behaviors\": {\n%s\n  },\n  \"cases\": [\n%s\n  ]\n}\n", strings.Join(behaviors, ",\n"), strings.Join(cases, ",\n"))
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		return fmt.Errorf("write what the HPA did: %w", err)
	}
	return nil
}
