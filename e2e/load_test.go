package e2e_test

import (
	"testing"
	"time"

	"github.com/backlog-scaler/backlog-scaler/e2e/figures"
	"github.com/backlog-scaler/backlog-scaler/e2e/redisserver"
	"github.com/backlog-scaler/backlog-scaler/e2e/scaler"
	"github.com/backlog-scaler/backlog-scaler/e2e/workload"
)

// manyObjects puts a hundred ScaledObjects with this project's trigger on one Redis and a hundred with the built-in
// trigger on another, all idle, and asks each Redis what that costs it.
func (s *suite) manyObjects(t *testing.T) {
	const (
		scenario = "8 one hundred ScaledObjects"
		objects  = 100
		bound    = 3
		window   = 30 * time.Second // KEDA's default polling interval, which both have
	)
	namespace := s.namespace(t, "many")
	server, other := s.startRedis(t, "redis-many"), s.startRedis(t, "redis-many-builtin")
	own := s.startScaler(t, scaler.Options{Name: "scaler-many", Connections: map[string]scaler.Connection{
		"many": s.connection(server, "*"),
	}})
	var made []*workload.Workload
	for i := range objects {
		for name, trigger := range map[string]workload.Trigger{
			"ours":    s.pushedBy(own.Address(), "many", list("many", i)),
			"builtin": s.builtin(other, list("many", i)),
		} {
			w, err := workload.New(s.ctx, s.clients, workload.Options{
				Namespace: namespace, Name: list(name, i), Triggers: []workload.Trigger{trigger},
			})
			check(t, err)
			made = append(made, w)
		}
	}
	for _, w := range made {
		check(t, w.WaitReady(s.ctx, 3*time.Minute))
	}
	s.pause(t, 5*time.Second) // the first poll of the last one

	batches := func() int64 {
		t.Helper()
		n, err := own.Metric(s.ctx, "backlog_scaler_connection_reads_total", map[string]string{"connection": "many"})
		check(t, err)
		return int64(n)
	}
	count := func(server *redisserver.Server) (connections int, commands int64) {
		connections, err := server.Connections(s.ctx)
		check(t, err)
		commands, err = server.Commands(s.ctx)
		check(t, err)
		return connections, commands
	}
	connections, before := count(server)
	theirs, theirBefore := count(other)
	batchesBefore := batches()
	s.pause(t, window)
	_, after := count(server)
	_, theirAfter := count(other)
	batchesAfter := batches()

	perMinute := func(before, after int64) float64 {
		return float64(after-before) * float64(time.Minute) / float64(window)
	}
	for _, f := range []figures.Figure{
		{Name: "external-push: connections on redis", Value: float64(connections), Unit: "connections", Bound: "1 to 3"},
		{Name: "built-in redis: connections on redis", Value: float64(theirs), Unit: "connections"},
		{Name: "external-push: idle batches, one round trip each", Value: perMinute(batchesBefore, batchesAfter), Unit: "per minute"},
		{Name: "external-push: idle commands", Value: perMinute(before, after), Unit: "per minute"},
		{Name: "built-in redis: idle commands", Value: perMinute(theirBefore, theirAfter), Unit: "per minute"},
	} {
		f.Scenario = scenario
		s.figures.Add(f)
	}
	if connections < 1 || connections > bound {
		t.Errorf("the scaler holds %d connections for %d ScaledObjects, want 1 to %d", connections, objects, bound)
	}
	if theirs < connections {
		t.Errorf("the built-in trigger holds %d connections, fewer than the scaler's %d: the comparison is broken", theirs, connections)
	}
	written := time.Now()
	check(t, server.Push(s.ctx, list("many", 0), 1))
	for _, w := range made {
		if w.Key().Name == list("ours", 0) {
			s.within(t, scenario, "external-push: 0 to 1 among them", s.reach(t, w, written, time.Minute, 1), time.Second)
		}
	}
}
