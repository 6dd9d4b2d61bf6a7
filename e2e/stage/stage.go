// Package stage is what scenarios play on: a control plane with KEDA, and the Redis servers and scalers that they add to it.
package stage

import (
	"context"
	"errors"

	"github.com/backlog-scaler/backlog-scaler/e2e/cluster"
	"github.com/backlog-scaler/backlog-scaler/e2e/redisserver"
	"github.com/backlog-scaler/backlog-scaler/e2e/scaler"
	"github.com/backlog-scaler/backlog-scaler/e2e/toolchain"
	"github.com/backlog-scaler/backlog-scaler/e2e/workload"
	"github.com/backlog-scaler/backlog-scaler/internal/childprocess"
)

// A Stage is one control plane with KEDA.
type Stage struct {
	Cluster *cluster.Cluster
	Clients *workload.Clients

	supervisor *childprocess.Supervisor
	binary     string // of the scaler
}

// Options say what to start.
type Options struct {
	Toolchain toolchain.Cache
	// Scaler is the program that StartScaler starts.
	Scaler string
	// Logs is the folder that gets a file for each server.
	Logs string
}

// Start starts a control plane with KEDA. The context that it returns ends with ctx, and when a server dies that was not
// stopped; its cause names the server. The stage must be closed, even after an error.
func Start(ctx context.Context, options Options) (*Stage, context.Context, error) {
	supervisor, ctx, err := childprocess.NewSupervisor(ctx, options.Logs)
	if err != nil {
		return &Stage{}, ctx, err
	}
	s := &Stage{supervisor: supervisor, binary: options.Scaler}
	if s.Cluster, err = cluster.Start(ctx, supervisor, options.Toolchain); err != nil {
		return s, ctx, err
	}
	s.Clients, err = workload.NewClients(ctx, s.Cluster.Config())
	return s, ctx, err
}

// StartRedis starts a Redis. Its client is the caller's to close.
func (s *Stage) StartRedis(ctx context.Context, name string) (*redisserver.Server, error) {
	return redisserver.Start(ctx, s.supervisor, s.Cluster.Dir(), name)
}

// StartScaler starts a scaler of the stage's program.
func (s *Stage) StartScaler(ctx context.Context, options scaler.Options) (*scaler.Scaler, error) {
	options.Binary, options.Dir = s.binary, s.Cluster.Dir()
	return scaler.Start(ctx, s.supervisor, options)
}

// Close stops every server, last started first, and removes their data.
func (s *Stage) Close() error {
	var err error
	if s.supervisor != nil {
		s.supervisor.Close()
	}
	if s.Clients != nil {
		s.Clients.Tracker.Close()
	}
	if s.Cluster != nil {
		err = errors.Join(err, s.Cluster.Close())
	}
	return err
}
