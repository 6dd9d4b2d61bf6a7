package e2e_test

import (
	"strings"
	"testing"
	"time"

	"github.com/backlog-scaler/backlog-scaler/e2e/redisserver"
	"github.com/backlog-scaler/backlog-scaler/e2e/scaler"
	"github.com/backlog-scaler/backlog-scaler/e2e/workload"
)

// redisKilled ends Redis as a power cut would and starts it again with its data.
func (s *suite) redisKilled(t *testing.T) {
	s.outage(t, "redis killed", "killed",
		func(r *redisserver.Server) error { r.Kill(); return nil },
		func(r *redisserver.Server) error { return r.Restart(s.ctx) })
}

// redisFrozen leaves Redis connected and silent, as a swapping or paused machine is.
func (s *suite) redisFrozen(t *testing.T) {
	s.outage(t, "redis frozen", "frozen", (*redisserver.Server).Freeze, (*redisserver.Server).Thaw)
}

// outage takes Redis away while five replicas run, for much longer than maxStaleness, cooldown, polling interval and
// the HPA's sync: an HPA that takes "unknown" for zero would have acted on it.
func (s *suite) outage(t *testing.T, scenario, name string, take, giveBack func(*redisserver.Server) error) {
	t.Helper()
	const (
		staleness = 5 * time.Second
		lasts     = staleness + 40*time.Second
		queue     = "jobs"
	)
	namespace := s.namespace(t, name)
	server := s.startRedis(t, "redis-"+name)
	own := s.startScaler(t, scaler.Options{Name: "scaler-" + name, Connections: map[string]scaler.Connection{
		"broken": s.connection(server, "*"),
	}})
	trigger := s.pushedBy(own.Address(), "broken", queue)
	trigger.Metadata["maxStaleness"] = staleness.String()
	w := s.workload(t, workload.Options{
		Namespace: namespace, Name: "jobs", Triggers: []workload.Trigger{trigger},
		// Out of step with the HPA's 15 s: where both ask in the same moment and receive an error, KEDA 2.21 may read the
		// cache that it closes as "inactive" and scale to zero, without having asked.
		// https://github.com/kedacore/keda/blob/v2.21.0/pkg/scaling/scale_handler.go#L1131
		PollingInterval: 7 * time.Second, Cooldown: 2 * time.Second,
	})
	check(t, server.Push(s.ctx, queue, 25))
	s.reach(t, w, time.Now(), 2*time.Minute, 5)

	broken := time.Now()
	check(t, take(server))
	s.hold(t, w, broken, lasts, 5)
	s.took(t, scenario, "none of 5 replicas lost", time.Since(broken))
	notes, err := w.Events(s.ctx)
	check(t, err)
	if !strings.Contains(strings.Join(notes, "\n"), "Unavailable") {
		t.Errorf("after %s the ScaledObject's events do not say Unavailable: %q", lasts, notes)
	}

	back := time.Now()
	check(t, giveBack(server))
	check(t, server.Push(s.ctx, queue, 25))
	s.took(t, scenario, "from return to 10 replicas", s.reach(t, w, back, 3*time.Minute, 10))
	if got := w.Least(broken); got < 5 {
		t.Errorf("replicas fell below 5: %v", w.Since(broken))
	}
	drained := time.Now()
	check(t, server.Drain(s.ctx, queue))
	s.took(t, scenario, "10 to 0 afterwards", s.reach(t, w, drained, 2*time.Minute, 0))
	s.pause(t, 2*time.Second)
	written := time.Now()
	check(t, server.Push(s.ctx, queue, 1))
	s.took(t, scenario, "0 to 1 afterwards", s.reach(t, w, written, time.Minute, 1))
}
