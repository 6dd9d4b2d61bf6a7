package e2e_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
)

// podInterval is how often the pods are looked at.
const podInterval = 200 * time.Millisecond

// podProcesses run the command of each pod that is ready as a process of this machine, as a kubelet would. A pod that is gone gets
// SIGTERM, and has the time that it asks for.
type podProcesses struct {
	cancel   context.CancelFunc
	client   kubernetes.Interface
	redis    string // the address that stands for the name in the environment of the pods
	done     chan struct{}
	selector metav1.ListOptions
	// processes, ended and failed belong to run, and to the test once done is closed.
	processes map[string]*podProcess
	ended     []*podProcess
	failed    error
}

// A podProcess is the process of one pod.
type podProcess struct {
	command *exec.Cmd
	output  bytes.Buffer
	grace   time.Duration
	// exited is closed when the process has ended and all that it printed is there.
	exited chan struct{}
}

// startPods runs the pods of a namespace with a label until close, or until the test ends.
func startPods(ctx context.Context, t *testing.T, client kubernetes.Interface, namespace, label, redis string) *podProcesses {
	t.Helper()
	ctx, cancel := context.WithCancel(ctx)
	p := &podProcesses{
		cancel: cancel, client: client, redis: redis, done: make(chan struct{}),
		selector: metav1.ListOptions{LabelSelector: label}, processes: make(map[string]*podProcess),
	}
	go p.run(ctx, namespace)
	t.Cleanup(func() {
		p.close()
		check(t, p.failed)
	})
	return p
}

// close ends all processes, waits for them, and collects what they printed.
func (p *podProcesses) close() {
	p.cancel()
	<-p.done
}

// lines are those that the processes have printed, sorted. It is called after close.
func (p *podProcesses) lines() []string {
	var lines []string
	for _, process := range p.ended {
		for line := range strings.Lines(process.output.String()) {
			lines = append(lines, strings.TrimSpace(line))
		}
	}
	slices.Sort(lines)
	return lines
}

func (p *podProcesses) run(ctx context.Context, namespace string) {
	defer close(p.done)
	ticker := time.NewTicker(podInterval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			p.follow(nil)
			for _, process := range p.ended {
				<-process.exited
			}
			return
		case <-ticker.C:
		}
		list, err := p.client.CoreV1().Pods(namespace).List(ctx, p.selector)
		if err == nil { // else again at the next tick
			p.follow(list.Items)
		}
	}
}

// follow starts the processes of new pods, and ends those of pods that are gone.
func (p *podProcesses) follow(pods []corev1.Pod) {
	ready := make(map[string]bool)
	for i := range pods {
		pod := &pods[i]
		if pod.Status.Phase != corev1.PodRunning || pod.DeletionTimestamp != nil {
			continue
		}
		ready[pod.Name] = true
		if p.processes[pod.Name] == nil {
			p.failed = errors.Join(p.failed, p.start(pod))
		}
	}
	for name, process := range p.processes {
		if !ready[name] {
			delete(p.processes, name)
			p.ended = append(p.ended, process)
			process.end()
		}
	}
}

// start starts the command of the first container of a pod, with its environment.
func (p *podProcesses) start(pod *corev1.Pod) error {
	host, port, err := net.SplitHostPort(p.redis)
	if err != nil {
		return fmt.Errorf("start the pod %s: %w", pod.Name, err)
	}
	container := pod.Spec.Containers[0]
	line := slices.Concat(container.Command, container.Args)
	process := &podProcess{exited: make(chan struct{}), grace: time.Duration(*pod.Spec.TerminationGracePeriodSeconds) * time.Second}
	process.command = exec.Command(line[0], line[1:]...) //nolint:noctx // it ends by SIGTERM
	process.command.Env = os.Environ()
	for _, variable := range container.Env {
		process.command.Env = append(process.command.Env, variable.Name+"="+variable.Value)
	}
	process.command.Env = append(process.command.Env, "REDIS_HOST="+host, "REDIS_PORT="+port)
	process.command.Stdout, process.command.Stderr = &process.output, &process.output
	if err := process.command.Start(); err != nil {
		return fmt.Errorf("start the pod %s: %w", pod.Name, err)
	}
	p.processes[pod.Name] = process
	go func() {
		defer close(process.exited)
		_ = process.command.Wait() // what it printed says how it went
	}()
	return nil
}

// end asks the process to end as the kubelet does, and kills it after the grace period.
func (p *podProcess) end() {
	_ = p.command.Process.Signal(syscall.SIGTERM) // the shell alone, as in a container; it may have ended
	go func() {
		select {
		case <-p.exited:
		case <-time.After(p.grace):
			_ = p.command.Process.Kill()
		}
	}()
}
