// Package measure holds the subjects of the benchmark that need a whole cluster: one function for each.
package measure

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"time"

	"github.com/backlog-scaler/backlog-scaler/bench/measurement"
	"github.com/backlog-scaler/backlog-scaler/e2e/redisserver"
	"github.com/backlog-scaler/backlog-scaler/e2e/scaler"
	"github.com/backlog-scaler/backlog-scaler/e2e/stage"
	"github.com/backlog-scaler/backlog-scaler/e2e/toolchain"
	"github.com/backlog-scaler/backlog-scaler/e2e/workload"
)

// Programs are what a subject starts.
type Programs struct {
	Toolchain toolchain.Cache
	Scaler    string
	// Logs is the folder for the logs of all servers.
	Logs string
	// Progress receives a line for each step.
	Progress io.Writer
}

// A Subject is measured by itself, on control planes of its own.
type Subject struct {
	Name string
	Run  func(context.Context, Programs) ([]measurement.Measurement, error)
}

// All are the subjects, in the order in which they run.
func All() []Subject {
	return []Subject{{"broker", Broker}, {"endtoend", EndToEnd}, {"jump", Jump}, {"policies", Policies}}
}

// A Side is a Redis with what scales by its queues: this project's trigger if there is a scaler, KEDA's own if there is none.
type Side struct {
	Stage  *stage.Stage
	Redis  *redisserver.Server
	Scaler *scaler.Scaler
}

// connection is what the scaler calls the Redis of a side.
const connection = "main"

// messages is how many messages each replica is meant to work on.
const messages = "5"

// Trigger scales by a list.
func (s *Side) Trigger(list string) workload.Trigger {
	if s.Scaler == nil {
		return workload.Trigger{Type: "redis", Metadata: map[string]string{
			"address": s.Redis.Address(), "listName": list, "listLength": messages,
		}}
	}
	return workload.Trigger{Type: "external-push", Metadata: map[string]string{
		"scalerAddress": s.Scaler.Address(), "connection": connection, "list": list, "target": messages,
	}}
}

// start starts a control plane with a Redis and, if it is to be ours, a scaler.
func start(ctx context.Context, programs Programs, name string, ours bool) (*Side, context.Context, error) {
	s := &Side{}
	var err error
	s.Stage, ctx, err = stage.Start(ctx, stage.Options{
		Toolchain: programs.Toolchain, Scaler: programs.Scaler, Logs: filepath.Join(programs.Logs, name),
	})
	if err != nil {
		return s, ctx, err
	}
	if s.Redis, err = s.Stage.StartRedis(ctx, "redis"); err != nil || !ours {
		return s, ctx, err
	}
	s.Scaler, err = s.Stage.StartScaler(ctx, scaler.Options{Name: "scaler", Connections: map[string]scaler.Connection{
		connection: {Engine: "redis", Namespaces: []string{"*"}, Addresses: []string{s.Redis.Address()}},
	}})
	return s, ctx, err
}

// Close stops all of it.
func (s *Side) Close() error {
	var err error
	if s.Redis != nil {
		err = s.Redis.Close()
	}
	return errors.Join(err, s.Stage.Close())
}

// because returns the cause of ctx in place of err if a server died.
func because(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); err != nil && cause != nil && !errors.Is(cause, context.Canceled) {
		return cause
	}
	return err
}

// pause lets d pass.
func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// list names one of many lists, and the workload that it scales.
func list(name string, i int) string { return fmt.Sprintf("%s-%d", name, i) }
