package policies_test

import (
	"bytes"
	"context"
	"log/slog"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"k8s.io/client-go/rest"

	"github.com/backlog-scaler/backlog-scaler/api/v1alpha1"
	"github.com/backlog-scaler/backlog-scaler/e2e/toolchain"
	"github.com/backlog-scaler/backlog-scaler/internal/kube"
)

// release is the namespace, the ServiceAccount and the Lease of the chart in its golden files.
const release = "backlog-scaler"

// TestRights: with the rights that the chart grants, and no more, everything is read and written. A log line at the level of a
// warning would say what is not.
func TestRights(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	root, err := toolchain.Root()
	check(t, err)
	check(t, plane.CreateNamespace(t.Context(), release))
	// As they are rendered with all that is optional.
	check(t, plane.ApplyRoles(t.Context(), filepath.Join(root, "..", "deploy", "keda", "testdata", "golden", "policies.yaml")))
	w.deployment(t, "billing", 2)
	pods := w.runningPods(t, "billing", 2)
	w.annotate(t, &pods[0], "true")
	w.policy(t, "billing", func(s *v1alpha1.AutoscalerPolicySpec) {
		s.BusyPods = &v1alpha1.BusyPods{From: v1alpha1.BusyFromAnnotation, Annotation: busyAnnotation, Keep: v1alpha1.Strict}
	})
	w.policy(t, "missing", asItIs)

	config := plane.Config()
	config.Impersonate = rest.ImpersonationConfig{
		UserName: "system:serviceaccount:" + release + ":" + release,
		Groups:   []string{"system:serviceaccounts", "system:serviceaccounts:" + release, "system:authenticated"},
	}
	runner := newRunner()
	runner.want(w.key("missing"), 1)
	runner.fall(w.key("billing"), 1)
	log := &syncBuffer{}
	controller, err := kube.New(kube.Options{
		Config: config, Lease: release, LeaseNamespace: release, Identity: "rights", Runner: runner, Now: time.Now,
		Logger: slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelWarn})),
	})
	check(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	var group sync.WaitGroup
	group.Go(func() {
		if err := controller.Run(ctx); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(func() {
		cancel()
		group.Wait()
	})
	eventually(t, "an event", func() bool { return w.events(t, "missing")["NotReady"] == 1 })
	eventually(t, "replicas fall after the busy pod was marked", func() bool {
		runner.changed <- w.key("billing")
		return w.replicas(t, "billing") == 1
	})
	eventually(t, "the status", func() bool { return w.reason(t, "billing", v1alpha1.ConditionReady) == "True/Accepted" })
	if text := log.String(); text != "" {
		t.Errorf("the log has warnings:\n%s", text)
	}
}

// syncBuffer collects a log.
type syncBuffer struct {
	mu   sync.Mutex // guards text
	text bytes.Buffer
}

func (b *syncBuffer) Write(line []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(line)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}
