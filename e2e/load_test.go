package e2e_test

import (
	"testing"
	"time"

	"github.com/backlog-scaler/backlog-scaler/bench/measurement"
	"github.com/backlog-scaler/backlog-scaler/e2e/redisserver"
	"github.com/backlog-scaler/backlog-scaler/e2e/scaler"
	"github.com/backlog-scaler/backlog-scaler/e2e/workload"
)

// manyObjects puts a hundred ScaledObjects with this project's trigger on one Redis and a hundred with the built-in
// trigger on another, all idle, and asks each Redis what that costs it.
func (s *suite) manyObjects(t *testing.T) {
	const (
		scenario = "many"
		objects  = 100
		bound    = 3
		window   = 30 * time.Second // KEDA's default polling interval, which both have
	)
	namespace := s.namespace(t, "many")
	server, other := s.startRedis(t, "redis-many"), s.startRedis(t, "redis-many-builtin")
	own := s.startScaler(t, scaler.Options{Name: "scaler-many", Connections: map[string]scaler.Connection{
		"many": s.connection(server, "*"),
	}})
	var options []workload.Options
	for i := range objects {
		for name, trigger := range map[string]workload.Trigger{
			"ours":    s.pushedBy(own.Address(), "many", list("many", i)),
			"builtin": s.builtin(other, list("many", i)),
		} {
			options = append(options, workload.Options{Namespace: namespace, Name: list(name, i), Triggers: []workload.Trigger{trigger}})
		}
	}
	made, err := workload.NewFleet(s.ctx, s.stage.Clients, 3*time.Minute, options)
	check(t, err)
	s.pause(t, 5*time.Second) // the first poll of the last one

	count := func(server *redisserver.Server) float64 {
		t.Helper()
		cost, err := server.Cost(s.ctx)
		check(t, err)
		return float64(cost.Commands)
	}
	connections, err := server.Connections(s.ctx)
	check(t, err)
	theirs, err := other.Connections(s.ctx)
	check(t, err)
	before, theirBefore := count(server), count(other)
	s.pause(t, window)
	commands, theirCommands := count(server)-before, count(other)-theirBefore
	s.note(t,
		measurement.Measurement{Name: "many_connections", Value: float64(connections), Unit: "connections", Ratio: new(float64(connections) / float64(theirs)), Bound: measurement.AtMost(bound)},
		measurement.Measurement{Name: "many_commands", Value: commands / window.Seconds(), Unit: "1/s", Ratio: new(commands / theirCommands)},
	)
	if connections < 1 || theirs < connections {
		t.Errorf("the scaler holds %d connections, the built-in trigger %d: the comparison is broken", connections, theirs)
	}
	written := time.Now()
	check(t, server.Push(s.ctx, list("many", 0), 1))
	for _, w := range made {
		if w.Key().Name == list("ours", 0) {
			s.took(t, scenario, "0 to 1 among them", s.reach(t, w, written, time.Minute, 1))
		}
	}
}
