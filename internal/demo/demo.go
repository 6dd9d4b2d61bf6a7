// Package demo demonstrates the scaler on one machine: a Redis, the scaler on its real ports,
// workloads with sources and replicas, and callers that act as KEDA and the
// HorizontalPodAutoscaler.
package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/redis/go-redis/v9/logging"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/demo/broker"
	"github.com/backlog-scaler/backlog-scaler/internal/demo/screen"
	"github.com/backlog-scaler/backlog-scaler/internal/demo/workload"
	"github.com/backlog-scaler/backlog-scaler/internal/telemetry"
)

// Options say how the demo runs.
type Options struct {
	// GRPCAddress, HTTPAddress and AdminAddress are where the scaler listens, as in net.Listen. The last one
	// has its web page.
	GRPCAddress, HTTPAddress, AdminAddress string
	// Redis is the redis-server to start; empty for the one on the PATH. InProcess asks for the
	// Redis inside the process instead.
	Redis     string
	InProcess bool
	// Polling and Cooldown are those of the ScaledObjects, Sync is the interval of the
	// HorizontalPodAutoscalers, and Stabilization their window on the way down.
	Polling, Cooldown, Sync, Stabilization time.Duration
	// Workloads are scaled; see workload.Specs.
	Workloads []workload.Spec
	// Policies are AutoscalerPolicies in YAML, such as operator.Policy; see workload.Spec for what names them.
	Policies []byte
	// Duration ends the demo; 0 means never. Finite also ends it when all workloads have
	// finished.
	Duration time.Duration
	Finite   bool
	// Out is where it is shown. Size returns the size of the terminal in columns and rows; nil
	// if Out is none. Color allows colours there.
	Out   io.Writer
	Size  func() (width, height int)
	Color bool
	// Engines are those of the scaler, and Build is its version.
	Engines []backlog.Engine
	Build   telemetry.Build
}

// Run runs the demo until ctx ends or it is over. It leaves no process, no goroutine and no
// file behind.
func Run(ctx context.Context, options Options) (err error) {
	// The client has one log for the process, and would write it into the table. The scaler and
	// the workers report failures.
	logging.Disable()
	dir, err := os.MkdirTemp("", "backlog-scaler-demo-")
	if err != nil {
		return fmt.Errorf("make a folder for the demo: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	redis, err := broker.Start(ctx, broker.Options{Program: options.Redis, InProcess: options.InProcess, Dir: dir})
	if err != nil {
		return err
	}
	defer redis.Close()
	s, err := newRunner(ctx, options, redis, dir)
	if err != nil {
		return err
	}
	defer s.close()
	return s.run(ctx)
}

// A display shows snapshots.
type display interface {
	Show(s screen.Snapshot)
	Close()
}

// frame is how often the display is drawn.
const frame = 200 * time.Millisecond

// show draws until the demo is over. The error is nil if it ended as planned.
func (s *runner) show(ctx context.Context, failed <-chan error) error {
	var d display = screen.NewLog(s.options.Out)
	if s.options.Size != nil {
		d = screen.NewTerminal(s.options.Out, s.options.Size, s.options.Color)
	}
	// Before anything is stopped, so that the user has the terminal back at once.
	defer d.Close()
	err := s.follow(ctx, failed, func() { d.Show(s.snapshot(time.Now())) })
	d.Show(s.snapshot(time.Now()))
	return err
}

// follow calls draw for each frame until the demo is over.
func (s *runner) follow(ctx context.Context, failed <-chan error, draw func()) error {
	var over <-chan time.Time
	if s.options.Duration > 0 {
		timer := time.NewTimer(s.options.Duration)
		defer timer.Stop()
		over = timer.C
	}
	frames := time.NewTicker(frame)
	defer frames.Stop()
	ended, wakeUp := s.broker.Ended(), ""
	for {
		draw()
		select {
		case <-ctx.Done():
			return nil
		case err := <-failed:
			return err
		case <-over:
			return nil
		case <-ended:
			ended = nil
			s.log.Add("redis", "the server has ended: watch what the scaler reports now")
		case now := <-frames.C:
			if mode := s.metrics.wakeUp(); mode != wakeUp && mode != "" {
				wakeUp = mode
				s.log.Add("scaler", "notices changes by "+wakeUp)
			}
			if s.options.Finite && s.finished(now) {
				return nil
			}
		}
	}
}

// printTotals prints the numbers of messages.
func (s *runner) printTotals() {
	for _, p := range s.workloads {
		sent, done := p.workload.Counts()
		_, _ = fmt.Fprintf(s.options.Out, "%s: %d messages sent, %d done\n", p.workload.Spec().Name, sent, done)
	}
}
