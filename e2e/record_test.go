package e2e_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/backlog-scaler/backlog-scaler/e2e/scaler"
	"github.com/backlog-scaler/backlog-scaler/e2e/workload"
	"github.com/backlog-scaler/backlog-scaler/internal/childprocess"
	"github.com/backlog-scaler/backlog-scaler/internal/simulation/trace"
)

// TestRecord records a queue and the replicas of its workload while a real KEDA scales it, with the rights to get the
// ScaledObject and the Deployment. It has a cluster of its own.
func TestRecord(t *testing.T) {
	t.Parallel()
	s := newStage(t, "-record")
	ports, err := childprocess.FreePorts("127.0.0.1", 1)
	check(t, err)
	admin := fmt.Sprintf("127.0.0.1:%d", ports[0])
	s.scaler = s.startScaler(t, scaler.Options{
		Name: "scaler", Args: []string{"--admin-address=" + admin}, Connections: map[string]scaler.Connection{"main": s.connection(s.redis, "*")},
	})
	namespace := s.namespace(t, "record")
	roles, err := os.ReadFile(filepath.Join("testdata", "record-bindings.yaml"))
	check(t, err)
	check(t, s.stage.Cluster.Apply(s.ctx, roles))
	access, err := s.stage.Cluster.ServiceAccountKubeconfig(namespace, fullAccount)
	check(t, err)
	w := s.workload(t, workload.Options{Namespace: namespace, Name: "worker", Triggers: []workload.Trigger{s.pushed("record")}, PollingInterval: 2 * time.Second})
	binary := filepath.Join(".bin", "scaler") // newStage has built it
	out := filepath.Join(t.TempDir(), "trace.jsonl")
	ctx, stop := context.WithTimeout(s.ctx, 2*time.Minute)
	defer stop()
	command := exec.CommandContext(ctx, binary, "record", namespace+"/worker", "--cluster", "--address="+admin, "--interval=500ms", "--for=5m", "--out="+out)
	command.Env = append(os.Environ(), "KUBECONFIG="+access)
	command.Cancel = func() error { return command.Process.Signal(os.Interrupt) } // it ends in order
	var text strings.Builder
	command.Stdout, command.Stderr = &text, &text
	check(t, command.Start())
	recorded := func(what string) {
		t.Helper()
		check(t, childprocess.Poll(ctx, what+" in the trace", time.Minute, 100*time.Millisecond, func(context.Context) error {
			data, err := os.ReadFile(out)
			if err == nil && !strings.Contains(string(data), what) {
				err = errors.New("it is not there")
			}
			return err
		}))
	}
	recorded(`"replicas":0,"readyReplicas":0`)
	written := time.Now()
	check(t, s.redis.Push(ctx, "record", 23))
	s.reach(t, w, written, time.Minute, 5)
	recorded(`"ready":23,"replicas":5,"readyReplicas":0`)
	stop()
	if err := command.Wait(); err != nil && !errors.Is(err, context.Canceled) || !strings.Contains(text.String(), "23 messages") {
		t.Fatalf("scaler record: %v\n%s", err, &text)
	}
	file, err := os.Open(filepath.Clean(out))
	check(t, err)
	defer file.Close()
	read, err := trace.Read(file)
	check(t, err)
	one := slices.IndexFunc(read.Seen, func(seen trace.Seen) bool { return seen.Replicas == 1 })
	five := slices.IndexFunc(read.Seen, func(seen trace.Seen) bool { return seen.Replicas == 5 })
	if read.Messages() != 23 || five < 0 || one > five || read.Seen[0].Replicas != 0 {
		t.Errorf("%d messages, and the replicas were %+v", read.Messages(), read.Seen)
	}
	writes, err := s.stage.Cluster.Writes("")
	check(t, err)
	if len(writes) > 0 {
		t.Errorf("scaler record wrote %+v", writes)
	}
}
