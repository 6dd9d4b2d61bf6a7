// Package e2e_test drives the scaler the way its users do: a write to a queue on one end, spec.replicas of a Deployment
// on the other, with a real Kubernetes control plane and a real KEDA between.
package e2e_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/backlog-scaler/backlog-scaler/e2e/redisserver"
	"github.com/backlog-scaler/backlog-scaler/e2e/scaler"
	"github.com/backlog-scaler/backlog-scaler/e2e/stage"
	"github.com/backlog-scaler/backlog-scaler/e2e/toolchain"
	"github.com/backlog-scaler/backlog-scaler/e2e/workload"
)

// A suite is what all scenarios share: one cluster, one Redis, one scaler. Scenarios that break something start their own.
type suite struct {
	// ctx ends with the run, on Ctrl-C and when a server dies that was not stopped; its cause names the server.
	ctx          context.Context //nolint:containedctx // the life of the suite, which has no caller to pass it
	stage        *stage.Stage
	redis        *redisserver.Server
	scaler       *scaler.Scaler
	measurements measurements
}

func TestEndToEnd(t *testing.T) {
	s := newSuite(t, "")
	// Latency is measured while nothing else runs.
	t.Run("activation", s.activation)
	// The others may share the machine: what they assert is what happens, with generous times.
	t.Run("together", func(t *testing.T) {
		for name, scenario := range map[string]func(*testing.T){
			"out and in":      s.outAndIn,
			"redis killed":    s.redisKilled,
			"redis frozen":    s.redisFrozen,
			"scaler restarts": s.scalerRestarts,
			"rolling restart": s.rollingRestart,
			"shared queue":    s.sharedQueue,
			"two triggers":    s.twoTriggers,
			"edit in place":   s.editInPlace,
			"mistakes":        s.mistakes,
			"many objects":    s.manyObjects,
			"policy API":      s.policyAPI,
			"scaled jobs":     s.scaledJobs,
		} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				scenario(t)
			})
		}
	})
}

// newSuite starts everything and has it stopped, last started first, when the test ends however it ends. The suffix keeps
// its logs apart from those of other suites.
func newSuite(t *testing.T, suffix string) *suite {
	t.Helper()
	s := newStage(t, suffix)
	s.scaler = s.startScaler(t, scaler.Options{Name: "scaler", Connections: map[string]scaler.Connection{
		"main":    s.connection(s.redis, "*"),
		"private": s.connection(s.redis, "another-tenant"),
	}})
	return s
}

// starting is held while a stage starts: it takes all processors then, and little afterwards, so that tests with a cluster
// of their own may run at the same time.
var starting sync.Mutex // the processors of a machine are one thing

// newStage starts everything but a scaler.
func newStage(t *testing.T, suffix string) *suite {
	t.Helper()
	starting.Lock()
	defer starting.Unlock()
	root, err := toolchain.Root()
	check(t, err)
	began := time.Now()
	cache := toolchain.Cache{Root: root, Progress: os.Stderr}
	_, err = cache.Build(t.Context(), toolchain.Binaries())
	check(t, err)
	binary, err := cache.BuildScaler(t.Context())
	check(t, err)
	built := time.Now()

	logs := filepath.Join(root, ".out", "logs"+suffix)
	check(t, os.RemoveAll(logs))
	interruptible, stop := signal.NotifyContext(t.Context(), os.Interrupt, syscall.SIGTERM)
	t.Cleanup(stop)
	s := &suite{}
	s.stage, s.ctx, err = stage.Start(interruptible, stage.Options{Toolchain: cache, Scaler: binary, Logs: logs})
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the log of every server is in %s", logs)
			if cause := context.Cause(s.ctx); cause != nil && !errors.Is(cause, context.Canceled) { // a server died, and the failures follow from it
				t.Log(cause)
			}
		}
		check(t, s.stage.Close())
		check(t, s.measurements.write(os.Stdout))
	})
	check(t, err)
	s.redis = s.startRedis(t, "redis")
	s.took(t, "start", "all from their programs", time.Since(built))
	t.Logf("built in %s, started in %s", built.Sub(began).Round(time.Millisecond), time.Since(built).Round(time.Millisecond))
	return s
}

// clients returns the paths of the programs that users have, by name. They are built by one test at a time.
func clients(t *testing.T) map[string]string {
	t.Helper()
	starting.Lock()
	defer starting.Unlock()
	root, err := toolchain.Root()
	check(t, err)
	programs, err := toolchain.Cache{Root: root, Progress: os.Stderr}.Build(t.Context(), toolchain.Clients())
	check(t, err)
	return programs
}

// namespace makes a namespace for a scenario.
func (s *suite) namespace(t *testing.T, name string) string {
	t.Helper()
	name = "e2e-" + name
	check(t, s.stage.Cluster.CreateNamespace(s.ctx, name))
	return name
}

// startRedis starts a Redis that lives as long as the test.
func (s *suite) startRedis(t *testing.T, name string) *redisserver.Server {
	t.Helper()
	server, err := s.stage.StartRedis(s.ctx, name)
	check(t, err)
	t.Cleanup(func() { check(t, server.Close()) })
	return server
}

// startScaler starts a scaler that lives as long as the suite.
func (s *suite) startScaler(t *testing.T, options scaler.Options) *scaler.Scaler {
	t.Helper()
	started, err := s.stage.StartScaler(s.ctx, options)
	check(t, err)
	return started
}

// connection is the configuration of a connection to server.
func (s *suite) connection(server *redisserver.Server, namespaces ...string) scaler.Connection {
	return scaler.Connection{Engine: "redis", Namespaces: namespaces, Addresses: []string{server.Address()}}
}

// workload makes a Deployment at zero with a ScaledObject and waits until KEDA is ready to scale it.
func (s *suite) workload(t *testing.T, options workload.Options) *workload.Workload {
	t.Helper()
	w, err := workload.New(s.ctx, s.stage.Clients, options)
	check(t, err)
	check(t, w.WaitReady(s.ctx, time.Minute))
	return w
}

// pushed is this project's trigger on a list of the shared Redis, five messages per replica.
func (s *suite) pushed(list string) workload.Trigger {
	return s.pushedBy(s.scaler.Address(), "main", list)
}

// pushedBy is this project's trigger on a list, through the scaler at address.
func (s *suite) pushedBy(address, connection, list string) workload.Trigger {
	return workload.Trigger{Type: "external-push", Metadata: map[string]string{
		"scalerAddress": address, "connection": connection, "list": list, "target": "5",
	}}
}

// builtin is KEDA's own trigger on a list, five messages per replica.
func (s *suite) builtin(server *redisserver.Server, list string) workload.Trigger {
	return workload.Trigger{Type: "redis", Metadata: map[string]string{
		"address": server.Address(), "listName": list, "listLength": "5",
	}}
}

// reach waits until w has exactly n replicas and returns how long after since that was.
func (s *suite) reach(t *testing.T, w *workload.Workload, since time.Time, within time.Duration, n int32) time.Duration {
	t.Helper()
	at, err := w.WaitReplicas(s.ctx, since, within, func(replicas int32) bool { return replicas == n })
	check(t, err)
	return at.Sub(since)
}

// hold fails when w has fewer than least replicas at any moment of the coming period.
func (s *suite) hold(t *testing.T, w *workload.Workload, since time.Time, period time.Duration, least int32) {
	t.Helper()
	s.pause(t, period)
	if got := w.Least(since); got < least {
		t.Errorf("%s lost replicas: %v, want at least %d all the time", w.Key(), w.Since(since), least)
	}
}

// pause lets d pass: a time that is part of what a scenario says, not a guess at when something is done.
func (s *suite) pause(t *testing.T, d time.Duration) {
	t.Helper()
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-s.ctx.Done():
		t.Fatal(context.Cause(s.ctx))
	}
}

// check ends the test on an error.
func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// list names a list of a scenario.
func list(scenario string, i int) string { return fmt.Sprintf("%s-%d", scenario, i) }
