package e2e_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/backlog-scaler/backlog-scaler/e2e/dnsserver"
	"github.com/backlog-scaler/backlog-scaler/e2e/scaler"
	"github.com/backlog-scaler/backlog-scaler/e2e/workload"
	"github.com/backlog-scaler/backlog-scaler/internal/childprocess"
)

// hpaSync is above the period in which the HPA looks at its metrics: after it, it has looked at least once.
const hpaSync = 20 * time.Second

// scalerRestarts stops the only scaler while five replicas run and starts it again, first as an upgrade does, then as a crash
// does: no replica is lost, and work that arrives afterwards wakes an idle Deployment long before KEDA's poll.
func (s *suite) scalerRestarts(t *testing.T) {
	const scenario = "scaler restarts"
	namespace := s.namespace(t, "restarts")
	own := s.startScaler(t, scaler.Options{Name: "scaler-restarts", Connections: map[string]scaler.Connection{
		"main": s.connection(s.redis, "*"),
	}})
	busy := s.workload(t, workload.Options{
		Namespace: namespace, Name: "busy", Triggers: []workload.Trigger{s.pushedBy(own.Address(), "main", "restarts-busy")},
		PollingInterval: 2 * time.Second, Cooldown: 2 * time.Second,
	})
	idle := make([]*workload.Workload, 4)
	for i := range idle {
		name := list("restarts-idle", i)
		idle[i] = s.workload(t, workload.Options{
			Namespace: namespace, Name: name, Triggers: []workload.Trigger{s.pushedBy(own.Address(), "main", name)},
			PollingInterval: 5 * time.Minute, // so that only a push can wake it in time
		})
	}
	check(t, s.redis.Push(s.ctx, "restarts-busy", 25))
	s.reach(t, busy, time.Now(), 2*time.Minute, 5)

	for i, way := range []struct {
		name string
		end  func()
	}{
		{name: "SIGTERM", end: func() {
			own.Process().Stop()
			if code := own.Process().ExitCode(); code != 0 {
				t.Errorf("the scaler exited with %d after SIGTERM, want 0", code)
			}
		}},
		{name: "SIGKILL", end: func() { own.Process().Kill() }},
	} {
		began := time.Now()
		way.end()
		check(t, own.Restart(s.ctx))
		// At once, while KEDA still waits to reconnect: the state that is sent first on a new stream must wake it.
		ready := time.Now()
		check(t, s.redis.Push(s.ctx, idle[2*i].Key().Name, 1))
		s.took(t, scenario, way.name+" from ready to wake-up", s.reach(t, idle[2*i], ready, 2*time.Minute, 1))
		s.hold(t, busy, began, hpaSync, 5)
		written := time.Now()
		check(t, s.redis.Push(s.ctx, idle[2*i+1].Key().Name, 1))
		s.took(t, scenario, way.name+" 0 to 1 once reconnected", s.reach(t, idle[2*i+1], written, 2*time.Minute, 1))
	}
}

// rollingRestart replaces both replicas of a scaler behind a headless Service, as a Deployment's rolling update does: the new
// one is ready and in the name service before the old one leaves it and is stopped. KEDA's gRPC client resolves
// the name with DNS and goes round robin over the addresses; nothing stands between it and the scalers.
func (s *suite) rollingRestart(t *testing.T) {
	const scenario = "rolling restart"
	namespace := s.namespace(t, "rolling")
	service, err := dnsserver.Start("backlog-scaler.e2e.svc.cluster.local")
	check(t, err)
	t.Cleanup(func() { check(t, service.Close()) })
	// The wildcard, so that the ports are free on every loopback address.
	ports, err := childprocess.FreePorts("0.0.0.0", 2)
	check(t, err)
	start := func(i int) *scaler.Scaler {
		return s.startScaler(t, scaler.Options{
			Name: fmt.Sprintf("scaler-rolling-%d", i), Host: fmt.Sprintf("127.0.1.%d", i), GRPCPort: ports[0], HTTPPort: ports[1],
			Connections: map[string]scaler.Connection{"main": s.connection(s.redis, "*")},
		})
	}
	first, second := start(1), start(2)
	check(t, service.Set(first.Host(), second.Host()))

	target := service.Target(ports[0])
	busy := s.workload(t, workload.Options{
		Namespace: namespace, Name: "busy", Triggers: []workload.Trigger{s.pushedBy(target, "main", "rolling-busy")},
		PollingInterval: time.Second, Cooldown: 2 * time.Second,
	})
	idle := make([]*workload.Workload, 5)
	for i := range idle {
		name := list("rolling-idle", i)
		idle[i] = s.workload(t, workload.Options{
			Namespace: namespace, Name: name, Triggers: []workload.Trigger{s.pushedBy(target, "main", name)},
			PollingInterval: 5 * time.Minute,
		})
	}
	check(t, s.redis.Push(s.ctx, "rolling-busy", 25))
	s.reach(t, busy, time.Now(), 2*time.Minute, 5)
	for _, r := range []*scaler.Scaler{first, second} {
		// Of any method: KEDA asks GetMetrics and IsActive in turns, so with two replicas each may get only one of them.
		calls, err := r.Metric(s.ctx, "grpc_server_handled_total", map[string]string{"grpc_service": "externalscaler.ExternalScaler", "grpc_code": "OK"})
		check(t, err)
		if calls == 0 {
			t.Errorf("the scaler at %s was never asked: calls do not go round robin", r.Host())
		}
	}

	began := time.Now()
	var worst time.Duration
	wake := func(i int) {
		t.Helper()
		written := time.Now()
		check(t, s.redis.Push(s.ctx, idle[i].Key().Name, 1))
		worst = max(worst, s.reach(t, idle[i], written, 2*time.Minute, 1))
	}
	stop := func(r *scaler.Scaler) <-chan struct{} {
		done := make(chan struct{})
		go func() { defer close(done); r.Process().Stop() }()
		return done
	}
	third := start(3)
	check(t, service.Set(first.Host(), second.Host(), third.Host()))
	wake(0)
	check(t, service.Set(second.Host(), third.Host()))
	stopped := stop(first)
	wake(1) // while the first one drains
	<-stopped
	wake(2)
	fourth := start(4)
	check(t, service.Set(second.Host(), third.Host(), fourth.Host()))
	check(t, service.Set(third.Host(), fourth.Host()))
	stopped = stop(second)
	wake(3)
	<-stopped
	s.took(t, scenario, "both replicas replaced", time.Since(began))
	s.took(t, scenario, "slowest wake-up", worst)
	s.hold(t, busy, began, hpaSync, 5)
	written := time.Now()
	check(t, s.redis.Push(s.ctx, idle[4].Key().Name, 1))
	s.took(t, scenario, "0 to 1 afterwards", s.reach(t, idle[4], written, 2*time.Minute, 1))
}
