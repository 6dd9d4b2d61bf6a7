package e2e_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/backlog-scaler/backlog-scaler/e2e/fakeworkers"
	"github.com/backlog-scaler/backlog-scaler/e2e/scaler"
	"github.com/backlog-scaler/backlog-scaler/e2e/workload"
	"github.com/backlog-scaler/backlog-scaler/internal/childprocess"
)

// scaledJobs has KEDA start a Job for each message, by both strategies that fit our numbers: each message gets one Job, none is
// left, and no Job finds nothing. The polls meet Jobs in each part of their life, and Redis is away during some of them.
func (s *suite) scaledJobs(t *testing.T) {
	namespace := s.namespace(t, "scaled-jobs")
	server := s.startRedis(t, "redis-jobs")
	own := s.startScaler(t, scaler.Options{Name: "scaler-jobs", Connections: map[string]scaler.Connection{"main": s.connection(server, "*")}})
	const (
		first, second, third = 7, 5, 4
		all                  = first + second + third
	)
	type kind struct {
		options  workload.JobOptions
		inFlight string
		job      *workload.ScaledJob
		workers  *fakeworkers.Jobs
	}
	kinds := []*kind{
		{options: workload.JobOptions{Name: "default"}, inFlight: "default:processing"},
		{options: workload.JobOptions{Name: "accurate", PendingUntil: corev1.PodReady}},
	}
	for _, k := range kinds {
		name := k.options.Name
		metadata := map[string]string{"scalerAddress": own.Address(), "connection": "main", "list": name, "target": "1", "scaledJob": name}
		if k.inFlight != "" {
			metadata["inFlightList"] = k.inFlight
		}
		k.options.Namespace, k.options.Strategy, k.options.PollingInterval = namespace, name, time.Second
		k.options.Trigger = workload.Trigger{Type: "external", Metadata: metadata}
		var err error
		k.workers, err = fakeworkers.StartJobs(s.ctx, s.stage.Clients.Kubernetes, fakeworkers.JobOptions{
			ScaledJob: types.NamespacedName{Namespace: namespace, Name: name}, Redis: server.Address(), List: name, InFlight: k.inFlight,
			Startup: 1500 * time.Millisecond, Boot: 1700 * time.Millisecond, PerMessage: 3300 * time.Millisecond,
		})
		check(t, err)
		t.Cleanup(func() { check(t, k.workers.Close()) })
		k.job, err = workload.NewScaledJob(s.ctx, s.stage.Clients, k.options)
		check(t, err)
	}
	add := func(name string, n int) {
		for i := range n {
			check(t, server.Client().RPush(s.ctx, name, fmt.Sprintf("%d-%d", time.Now().UnixNano(), i)).Err())
		}
	}
	write := func(n int) {
		for _, k := range kinds {
			add(k.options.Name, n)
		}
	}
	written := time.Now()
	write(first)
	s.pause(t, 4*time.Second)
	write(second)
	for _, k := range kinds {
		s.awaitJobs(t, k.job, k.workers, first+second)
	}
	s.took(t, "scaled jobs", "12 messages, each with one Job", time.Since(written))

	check(t, server.Freeze())
	s.pause(t, 10*time.Second)
	check(t, server.Thaw())
	write(third)
	for _, k := range kinds {
		s.awaitJobs(t, k.job, k.workers, all)
	}
	s.pause(t, 5*time.Second) // several polls more
	for _, k := range kinds {
		s.judgeJobs(t, k.options.Name, k.job, k.workers, all)
		check(t, k.job.Delete(s.ctx))
	}
}

// awaitJobs waits until n messages were done by Jobs that have ended.
func (s *suite) awaitJobs(t *testing.T, job *workload.ScaledJob, workers *fakeworkers.Jobs, n int) {
	t.Helper()
	check(t, childprocess.Poll(s.ctx, fmt.Sprintf("the Jobs of %d messages", n), 3*time.Minute, 200*time.Millisecond, func(ctx context.Context) error {
		report, err := workers.Report()
		if err != nil {
			return err
		}
		all, ended, err := job.Jobs(ctx)
		if err != nil {
			return err
		}
		if len(report.Taken) < n || ended < all {
			return fmt.Errorf("%d messages are done, %d of %d Jobs have ended", len(report.Taken), ended, all)
		}
		return nil
	}))
}

// judgeJobs asserts that each of n messages got one Job, and no Job found nothing.
func (s *suite) judgeJobs(t *testing.T, name string, job *workload.ScaledJob, workers *fakeworkers.Jobs, n int) {
	t.Helper()
	report, err := workers.Report()
	check(t, err)
	all, ended, err := job.Jobs(s.ctx)
	check(t, err)
	t.Logf("%s: %d Jobs, %d ended, %d messages, %d Jobs found none", name, all, ended, len(report.Taken), report.Idle)
	if all != n || ended != n || report.Idle != 0 {
		t.Errorf("strategy %s: %d messages have %d Jobs, %d of them found nothing; want %d and none", name, n, all, report.Idle, n)
	}
	for message, times := range report.Taken {
		if times != 1 {
			t.Errorf("strategy %s: %d Jobs took the message %s", name, times, message)
		}
	}
}
