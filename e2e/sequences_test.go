package e2e_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/backlog-scaler/backlog-scaler/e2e/fakescaler"
	"github.com/backlog-scaler/backlog-scaler/e2e/toolchain"
	"github.com/backlog-scaler/backlog-scaler/e2e/workload"
	"github.com/backlog-scaler/backlog-scaler/internal/childprocess"
)

// A sequence is what other clients write to a workload between the syncs of its HPA, and what the HPA makes of it. The
// workload begins with one replica and the value 1, at target 1.
type sequence struct {
	Name     string `json:"name"`
	Behavior string `json:"behavior"`
	// Max is that of the HPA; zero is 100.
	Max int32 `json:"max,omitempty"`
	// Pods is the most pods that there can be; zero is no limit.
	Pods  int32          `json:"pods,omitempty"`
	Syncs []sequenceSync `json:"syncs"`
}

// A sequenceSync is one sync of the HPA, and what happens before it.
type sequenceSync struct {
	// Write is what another client writes to the scale subresource; zero is nothing.
	Write int32 `json:"write,omitempty"`
	Value int32 `json:"value"`
	// Want are the replicas after the sync.
	Want int32 `json:"want"`
}

// sequences is the file that the model of internal/hpa is held to by that package's own tests.
type sequences struct {
	Sequences []sequence `json:"sequences"`
}

const (
	// settleFor is how long the HPA may take from reading a value to writing the replicas. The sync after that is 15 s later.
	settleFor = 5 * time.Second
	// never is a polling interval of KEDA that is longer than any sequence, so that each read of a value is a sync of the HPA.
	never = 20 * time.Minute
)

// otherWriters plays the sequences of internal/hpa/testdata/writers.json to the real HPA, all side by side.
func (s *suite) otherWriters(t *testing.T) {
	root, err := toolchain.Root()
	check(t, err)
	data := filepath.Join(root, "..", "internal", "hpa", "testdata")
	var all sequences
	readJSON(t, filepath.Join(data, "writers.json"), &all)
	var file sums
	readJSON(t, filepath.Join(data, "kubernetes.json"), &file)
	values, err := fakescaler.Start(s.ctx)
	check(t, err)
	t.Cleanup(values.Close)
	t.Run("side by side", func(t *testing.T) {
		for i := range all.Sequences {
			q := &all.Sequences[i]
			t.Run(q.Name, func(t *testing.T) {
				t.Parallel()
				s.play(t, values, q, "sequence-"+strconv.Itoa(i), file.Behaviors[q.Behavior])
			})
		}
	})
	if *updateSums && !t.Failed() {
		check(t, all.write(filepath.Join(data, "writers.json")))
	}
}

func readJSON(t *testing.T, file string, into any) {
	t.Helper()
	contents, err := os.ReadFile(filepath.Clean(file))
	check(t, err)
	check(t, json.Unmarshal(contents, into))
}

// play plays a sequence. A client writes right after a sync, when the next one is 15 s away.
func (s *suite) play(t *testing.T, values *fakescaler.Scaler, q *sequence, name string, behavior json.RawMessage) {
	t.Helper()
	options := workload.Options{
		Namespace: s.namespace(t, name), Name: name, Replicas: 1, MaxReplicas: q.Max, PollingInterval: never,
		Triggers: []workload.Trigger{{Type: "external", Metadata: map[string]string{"scalerAddress": values.Address()}}},
	}
	if behavior != nil {
		check(t, json.Unmarshal(behavior, &options.Behavior))
	}
	if q.Pods > 0 {
		s.limitPods(t, options.Namespace, q.Pods)
	}
	values.Set(name, 1)
	w := s.workload(t, options)
	check(t, childprocess.Poll(s.ctx, "the first sync of "+name, time.Minute, 100*time.Millisecond, func(ctx context.Context) error {
		written, err := w.HPA(ctx)
		if err != nil {
			return err
		}
		return looked(written)
	}))
	for i := range q.Syncs {
		sync := &q.Syncs[i]
		reads := values.Reads(name)
		values.Set(name, float64(sync.Value))
		pods := int32(1)
		if sync.Write > 0 {
			check(t, w.Scale(s.ctx, sync.Write))
			pods = sync.Write
		} else if i > 0 {
			pods = q.Syncs[i-1].Want
		}
		if q.Pods > 0 {
			pods = min(pods, q.Pods)
		}
		check(t, w.WaitPods(s.ctx, 10*time.Second, pods))
		check(t, childprocess.Poll(s.ctx, "a sync of "+name, time.Minute, 50*time.Millisecond, func(context.Context) error {
			if n := values.Reads(name); n != reads+1 {
				return fmt.Errorf("the value was read %d times", n-reads)
			}
			return nil
		}))
		s.pause(t, settleFor)
		got, err := w.Replicas()
		check(t, err)
		if *updateSums {
			sync.Want = got
		}
		if diff := cmp.Diff(sync.Want, got); diff != "" {
			t.Fatalf("replicas after sync %d (-want +got):\n%s\n%v", i+1, diff, w.Since(time.Time{}))
		}
	}
}

// limitPods has the API server refuse pods beyond a number. No controller counts for the quota, so the test writes its status.
func (s *suite) limitPods(t *testing.T, namespace string, pods int32) {
	t.Helper()
	quotas := s.stage.Clients.Kubernetes.CoreV1().ResourceQuotas(namespace)
	hard := corev1.ResourceList{corev1.ResourcePods: *resource.NewQuantity(int64(pods), resource.DecimalSI)}
	quota, err := quotas.Create(s.ctx, &corev1.ResourceQuota{ObjectMeta: metav1.ObjectMeta{Name: "pods"}, Spec: corev1.ResourceQuotaSpec{Hard: hard}}, metav1.CreateOptions{})
	check(t, err)
	quota.Status = corev1.ResourceQuotaStatus{Hard: hard, Used: corev1.ResourceList{corev1.ResourcePods: *resource.NewQuantity(0, resource.DecimalSI)}}
	_, err = quotas.UpdateStatus(s.ctx, quota, metav1.UpdateOptions{})
	check(t, err)
}

// write keeps the file in lines that can be read and compared.
func (q sequences) write(file string) error {
	lines := make([]string, 0, len(q.Sequences))
	for _, one := range q.Sequences {
		line, err := json.Marshal(one)
		if err != nil {
			return fmt.Errorf("encode %q: %w", one.Name, err)
		}
		lines = append(lines, "    "+string(line))
	}
	text := "{\n  \"sequences\": [\n" + strings.Join(lines, ",\n") + "\n  ]\n}\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		return fmt.Errorf("write what the HPA did: %w", err)
	}
	return nil
}
