package main

import (
	"context"
	"errors"
	"io"
	"os"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/cli"
	"github.com/backlog-scaler/backlog-scaler/internal/demo"
	"github.com/backlog-scaler/backlog-scaler/internal/demo/operator"
	"github.com/backlog-scaler/backlog-scaler/internal/demo/workload"
	"github.com/backlog-scaler/backlog-scaler/internal/telemetry"
)

type commandLine struct {
	GRPCAddress  string `name:"grpc-address" default:"127.0.0.1:9090" help:"gRPC listen address of the scaler. Port 0 means any free port."`
	HTTPAddress  string `name:"http-address" default:"127.0.0.1:8080" help:"HTTP listen address of the scaler, for probes and metrics. Port 0 means any free port."`
	AdminAddress string `default:"127.0.0.1:9091" help:"Listen address of the scaler's web page and of what scaler explain asks. Port 0 means any free port."`

	RedisServer string `type:"path" placeholder:"FILE" xor:"redis" help:"Program of the Redis to start. By default the first redis-server or valkey-server on the PATH."`
	InProcess   bool   `xor:"redis" help:"A Redis inside the process in place of a redis-server. It cannot notify of changes."`

	PollingInterval time.Duration `default:"30s" help:"Interval at which KEDA polls the scaler."`
	Cooldown        time.Duration `default:"20s" help:"Time before KEDA scales an idle workload to zero; its own default is 5m."`
	HPASync         time.Duration `name:"hpa-sync" default:"15s" help:"Interval at which the HPA reads the metrics."`
	Stabilization   time.Duration `default:"30s" help:"Time before the HPA scales down; its own default is 5m."`

	Speed    float64       `default:"1" help:"Factor by which messages arrive and are processed faster."`
	Rounds   int           `help:"Number of bursts after which the demo ends, once each workload is at zero again; 0 means never."`
	Duration time.Duration `help:"Time after which the demo ends; 0 means never."`
}

// Validate reports values out of range; kong calls it.
func (c commandLine) Validate() error {
	for _, d := range []struct {
		flag  string
		value time.Duration
	}{
		{"polling-interval", c.PollingInterval},
		{"hpa-sync", c.HPASync},
	} {
		if d.value <= 0 {
			return errors.New("--" + d.flag + " must be greater than 0")
		}
	}
	switch {
	case c.Cooldown < 0 || c.Stabilization < 0 || c.Duration < 0 || c.Rounds < 0:
		return errors.New("--cooldown, --stabilization, --duration and --rounds must not be negative")
	case !(c.Speed >= 0.01 && c.Speed <= 100):
		return errors.New("--speed must be from 0.01 to 100")
	}
	return nil
}

// Run runs the demo until ctx ends. It prints a table if stdout is a terminal, else lines.
func (c commandLine) Run(ctx context.Context, engines []backlog.Engine, build telemetry.Build, stdout io.Writer) error {
	options := demo.Options{
		GRPCAddress: c.GRPCAddress, HTTPAddress: c.HTTPAddress, AdminAddress: c.AdminAddress,
		Redis: c.RedisServer, InProcess: c.InProcess,
		Polling: c.PollingInterval, Cooldown: c.Cooldown, Sync: c.HPASync, Stabilization: c.Stabilization,
		Workloads: workload.Specs(c.Speed, c.Rounds),
		Policies:  operator.Policy(),
		Duration:  c.Duration, Finite: c.Rounds > 0,
		Out:     stdout,
		Engines: engines, Build: build,
	}
	options.Size = cli.TerminalSize(stdout)
	options.Color = options.Size != nil && os.Getenv("NO_COLOR") == ""
	return demo.Run(ctx, options)
}
