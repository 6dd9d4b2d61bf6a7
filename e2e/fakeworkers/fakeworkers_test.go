package fakeworkers_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes/fake"

	"github.com/backlog-scaler/backlog-scaler/e2e/fakeworkers"
	"github.com/backlog-scaler/backlog-scaler/e2e/redisserver"
	"github.com/backlog-scaler/backlog-scaler/internal/childprocess"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience bounds every wait.
const patience = 20 * time.Second

func startRedis(t *testing.T) *redisserver.Server {
	t.Helper()
	supervisor, ctx, err := childprocess.NewSupervisor(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(supervisor.Close)
	server, err := redisserver.Start(ctx, supervisor, t.TempDir(), "redis")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.Close(); err != nil {
			t.Error(err)
		}
	})
	return server
}

// TestWorkers: a pod becomes ready and takes messages in their order, one after the other, until it is deleted.
func TestWorkers(t *testing.T) {
	t.Parallel()
	server := startRedis(t)
	client := fake.NewClientset(&corev1.Pod{ObjectMeta: metav1.ObjectMeta{
		Namespace: "shop", Name: "worker-1", UID: "1", Labels: map[string]string{"app": "worker"},
	}})
	workers, err := fakeworkers.Start(t.Context(), client, fakeworkers.Options{
		Deployment: types.NamespacedName{Namespace: "shop", Name: "worker"},
		Startup:    50 * time.Millisecond, PerMessage: 30 * time.Millisecond,
		Redis: server.Address(), List: "jobs", InFlight: "jobs:processing",
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := server.Client().RPush(t.Context(), "jobs", "a", "b", "c").Err(); err != nil {
		t.Fatal(err)
	}
	taken := await(t, workers, 3)
	var got []string
	for i, m := range taken {
		got = append(got, m.Message)
		if i > 0 && m.At.Sub(taken[i-1].At) < 30*time.Millisecond {
			t.Errorf("message %s was taken %s after the one before, which takes longer", m.Message, m.At.Sub(taken[i-1].At))
		}
	}
	if diff := cmp.Diff([]string{"a", "b", "c"}, got); diff != "" {
		t.Errorf("taken (-want +got):\n%s", diff)
	}
	pod, err := client.CoreV1().Pods("shop").Get(t.Context(), "worker-1", metav1.GetOptions{})
	if err != nil || pod.Status.Phase != corev1.PodRunning || len(pod.Status.Conditions) != 1 || pod.Status.Conditions[0].Type != corev1.PodReady {
		t.Errorf("the pod's status is %+v, %v, want it to run and to be ready", pod.Status, err)
	}

	if err := client.CoreV1().Pods("shop").Delete(t.Context(), "worker-1", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	settled(t, server, "jobs:processing")
	// After the longest wait for a message no worker takes one any more.
	if err := childprocess.Poll(t.Context(), "the end of the worker", patience, 300*time.Millisecond, func(ctx context.Context) error {
		if err := server.Client().RPush(ctx, "jobs", "late").Err(); err != nil {
			return err
		}
		before, err := workers.Taken()
		if err != nil {
			return err
		}
		if left := server.Client().BLMove(ctx, "jobs", "kept", "LEFT", "RIGHT", time.Second).Err(); left != nil {
			return fmt.Errorf("the message was taken, %d so far: %w", len(before), left)
		}
		return nil
	}); err != nil {
		t.Error(err)
	}
	if err := workers.Close(); err != nil {
		t.Errorf("close: %v", err)
	}
}

// TestErrorsAreReported: a worker without its queue is an error, not a slow worker.
func TestErrorsAreReported(t *testing.T) {
	t.Parallel()
	server := startRedis(t)
	if err := server.Client().Set(t.Context(), "jobs", "a string", 0).Err(); err != nil {
		t.Fatal(err)
	}
	client := fake.NewClientset(&corev1.Pod{ObjectMeta: metav1.ObjectMeta{
		Namespace: "shop", Name: "worker-1", UID: "1", Labels: map[string]string{"app": "worker"},
	}})
	workers, err := fakeworkers.Start(t.Context(), client, fakeworkers.Options{
		Deployment: types.NamespacedName{Namespace: "shop", Name: "worker"}, Redis: server.Address(), List: "jobs", InFlight: "jobs:processing",
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := childprocess.Poll(t.Context(), "the error", patience, 20*time.Millisecond, func(context.Context) error {
		if _, err := workers.Taken(); err == nil {
			return errors.New("there is none")
		}
		return nil
	}); err != nil {
		t.Error(err)
	}
	if err := workers.Close(); err == nil {
		t.Error("close returns no error")
	}
}

// await returns the messages once n were taken.
func await(t *testing.T, workers *fakeworkers.Workers, n int) []fakeworkers.Taken {
	t.Helper()
	var taken []fakeworkers.Taken
	if err := childprocess.Poll(t.Context(), "messages", patience, 10*time.Millisecond, func(context.Context) error {
		var err error
		taken, err = workers.Taken()
		if err == nil && len(taken) < n {
			err = fmt.Errorf("%d were taken, want %d", len(taken), n)
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	return taken
}

// settled waits until nothing is in flight.
func settled(t *testing.T, server *redisserver.Server, list string) {
	t.Helper()
	if err := childprocess.Poll(t.Context(), "the last message to be settled", patience, 10*time.Millisecond, func(ctx context.Context) error {
		n, err := server.Client().LLen(ctx, list).Result()
		if err == nil && n > 0 {
			err = fmt.Errorf("%d are in flight", n)
		}
		return err
	}); err != nil {
		t.Error(err)
	}
}
