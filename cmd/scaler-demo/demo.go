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
	"github.com/backlog-scaler/backlog-scaler/internal/demo/workload"
	"github.com/backlog-scaler/backlog-scaler/internal/telemetry"
)

// commandLine is the command line.
type commandLine struct {
	GRPCAddress string `name:"grpc-address" default:"127.0.0.1:9090" help:"Where the scaler serves gRPC. Port 0 is any free one."`
	HTTPAddress string `name:"http-address" default:"127.0.0.1:8080" help:"Where the scaler serves probes and metrics. Port 0 is any free one."`

	RedisServer string `type:"path" placeholder:"FILE" xor:"redis" help:"The redis-server to start; default is that of the PATH."`
	InProcess   bool   `xor:"redis" help:"Do without a redis-server: use the one inside the process, which cannot tell of changes."`

	PollingInterval time.Duration `default:"30s" help:"How often KEDA polls the scaler."`
	Cooldown        time.Duration `default:"20s" help:"How long KEDA waits before it scales an idle workload to zero; its own default is 5m."`
	HPASync         time.Duration `name:"hpa-sync" default:"15s" help:"How often the HPA looks."`
	Stabilization   time.Duration `default:"30s" help:"How long the HPA waits before it scales down; its own default is 5m."`

	Speed    float64       `default:"1" help:"How many times faster messages come and are worked on."`
	Rounds   int           `help:"End when each workload was up and at zero again after so many bursts; 0 is never."`
	Duration time.Duration `help:"End after this time; 0 is never."`
}

// Validate reports values that make no sense; kong calls it.
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

// Run shows the demo until ctx ends: as a table if stdout is a terminal, else as
// lines.
func (c commandLine) Run(ctx context.Context, engines []backlog.Engine, build telemetry.Build, stdout io.Writer) error {
	options := demo.Options{
		GRPCAddress: c.GRPCAddress, HTTPAddress: c.HTTPAddress,
		Redis: c.RedisServer, InProcess: c.InProcess,
		Polling: c.PollingInterval, Cooldown: c.Cooldown, Sync: c.HPASync, Stabilization: c.Stabilization,
		Workloads: workload.Specs(c.Speed, c.Rounds),
		Duration:  c.Duration, Finite: c.Rounds > 0,
		Out:     stdout,
		Engines: engines, Build: build,
	}
	options.Size = cli.TerminalSize(stdout)
	options.Color = options.Size != nil && os.Getenv("NO_COLOR") == ""
	return demo.Run(ctx, options)
}
