package fakeworkers

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
)

// JobOptions choose the ScaledJob and its work.
type JobOptions struct {
	// ScaledJob is its namespace and name. The pods have the name as their label app.
	ScaledJob types.NamespacedName
	// Startup is the time from a pod's creation until it runs, and Boot from then until it takes its message and is ready. PerMessage
	// is how long it works on the message.
	Startup, Boot, PerMessage time.Duration
	// Redis is host:port. A worker moves a message from List to InFlight and removes it there when it is done. Without InFlight it
	// takes it away at once.
	Redis, List, InFlight string
}

// A JobReport is what the workers of a ScaledJob have done.
type JobReport struct {
	// Taken is how many workers took a message, by message.
	Taken map[string]int
	// Idle is how many workers found none, and Done how many have ended.
	Idle, Done int
}

// Jobs are the workers of one ScaledJob: the pod of each Job takes one message and ends. They run until Close.
type Jobs struct {
	client  kubernetes.Interface
	redis   *redis.Client
	options JobOptions
	pods    *podWatch

	mu     sync.Mutex // guards report: the workers write, tests read
	report JobReport
}

// StartJobs watches the pods. Close must be called.
func StartJobs(ctx context.Context, client kubernetes.Interface, options JobOptions) (*Jobs, error) {
	j := &Jobs{
		client: client, options: options, report: JobReport{Taken: map[string]int{}},
		redis: redis.NewClient(&redis.Options{Addr: options.Redis, ClientName: "fakejobs"}),
	}
	var err error
	if j.pods, err = watchPods(ctx, client, options.ScaledJob.Namespace, options.ScaledJob.Name, j.work); err != nil {
		return nil, errors.Join(err, j.redis.Close())
	}
	return j, nil
}

// Close ends all workers and waits for them. The error is the first that one of them met.
func (j *Jobs) Close() error { return errors.Join(j.pods.close(), j.redis.Close()) }

// Report returns what the workers have done so far.
func (j *Jobs) Report() (JobReport, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	report := j.report
	report.Taken = maps.Clone(j.report.Taken)
	return report, j.pods.failure()
}

// work is the life of a worker. It takes its message before its pod is ready, as its readiness probe would say.
func (j *Jobs) work(ctx, _ context.Context, pod types.NamespacedName) error {
	if !wait(ctx, j.options.Startup) {
		return nil
	}
	if err := j.setStatus(ctx, pod, corev1.PodRunning, false); err != nil || !wait(ctx, j.options.Boot) {
		return err
	}
	message, err := j.take(ctx)
	if err != nil {
		return fmt.Errorf("take a message from %s: %w", j.options.List, err)
	}
	if err := j.setStatus(ctx, pod, corev1.PodRunning, true); err != nil {
		return err
	}
	if message != "" && !wait(ctx, j.options.PerMessage) {
		return nil
	}
	if message != "" && j.options.InFlight != "" {
		if err := j.redis.LRem(ctx, j.options.InFlight, 1, message).Err(); err != nil {
			return fmt.Errorf("acknowledge a message of %s: %w", j.options.List, err)
		}
	}
	if err := j.setStatus(ctx, pod, corev1.PodSucceeded, false); err != nil {
		return err
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	j.report.Done++
	return nil
}

// take takes a message, and notes it. It is empty if there is none.
func (j *Jobs) take(ctx context.Context) (string, error) {
	command := []any{"LPOP", j.options.List}
	if j.options.InFlight != "" {
		command = []any{"LMOVE", j.options.List, j.options.InFlight, "LEFT", "RIGHT"}
	}
	message, err := j.redis.Do(ctx, command...).Text()
	none := errors.Is(err, redis.Nil)
	if err != nil && !none {
		return "", err
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if none {
		j.report.Idle++
		return "", nil
	}
	j.report.Taken[message]++
	return message, nil
}

// setStatus sets the status of a pod, as a kubelet does.
func (j *Jobs) setStatus(ctx context.Context, pod types.NamespacedName, phase corev1.PodPhase, ready bool) error {
	status := corev1.ConditionFalse
	if ready {
		status = corev1.ConditionTrue
	}
	now := time.Now().UTC().Format(time.RFC3339)
	patch := fmt.Appendf(nil, `{"status":{"phase":%q,"startTime":%q,"conditions":[{"type":%q,"status":%q,"lastTransitionTime":%q}]}}`,
		phase, now, corev1.PodReady, status, now)
	if _, err := j.client.CoreV1().Pods(pod.Namespace).Patch(ctx, pod.Name, types.StrategicMergePatchType, patch, metav1.PatchOptions{}, "status"); err != nil {
		return fmt.Errorf("set the status of pod %s: %w", pod, err)
	}
	return nil
}
