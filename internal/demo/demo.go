// Package demo shows the scaler at work on one machine: a Redis, the scaler on its
// real ports, workloads with sources and replicas, and callers that do with the
// scaler what KEDA and the HorizontalPodAutoscaler do.
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
	// GRPCAddress and HTTPAddress are where the scaler listens, as in net.Listen.
	GRPCAddress, HTTPAddress string
	// Redis is the redis-server to start; empty for that of the PATH. InProcess wants
	// the one inside the process even so.
	Redis     string
	InProcess bool
	// Polling and Cooldown are those of the ScaledObjects, Sync is how often the
	// HorizontalPodAutoscalers look, and Stabilization their window on the way down.
	Polling, Cooldown, Sync, Stabilization time.Duration
	// Workloads are what is scaled; see workload.Specs.
	Workloads []workload.Spec
	// Duration ends the demo; 0 is never. Finite also ends it when all workloads are
	// finished.
	Duration time.Duration
	Finite   bool
	// Out is where it is shown. Size tells how large the terminal is, in columns and
	// rows; nil if Out is none. Color allows colours there.
	Out   io.Writer
	Size  func() (width, height int)
	Color bool
	// Engines are those of the scaler, and Build is what it is.
	Engines []backlog.Engine
	Build   telemetry.Build
}

// Run shows the demo until ctx ends or it is over. Nothing is left when it returns:
// no process, no goroutine, no file.
func Run(ctx context.Context, options Options) (err error) {
	// The client has one log for the process, and writes it where the table is. What
	// fails is told by the scaler and by the workers.
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
	s, err := newStage(ctx, options, redis, dir)
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

// show draws until the demo is over, and returns why it is: nil if that is as it
// should be.
func (s *stage) show(ctx context.Context, failed <-chan error) error {
	var d display = screen.NewLog(s.options.Out)
	if s.options.Size != nil {
		d = screen.NewTerminal(s.options.Out, s.options.Size, s.options.Color)
	}
	// Before anything is stopped, so that whoever is impatient has the terminal back.
	defer d.Close()
	err := s.watch(ctx, failed, func() { d.Show(s.snapshot(time.Now())) })
	d.Show(s.snapshot(time.Now()))
	return err
}

// watch calls draw for each frame until the demo is over.
func (s *stage) watch(ctx context.Context, failed <-chan error, draw func()) error {
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
			s.log.Add("redis", "the server has ended: watch what the scaler tells now")
		case now := <-frames.C:
			if mode := s.figures.wakeUp(); mode != wakeUp && mode != "" {
				wakeUp = mode
				s.log.Add("scaler", "notices changes by "+wakeUp)
			}
			if s.options.Finite && s.finished(now) {
				return nil
			}
		}
	}
}

// conclude says what was done.
func (s *stage) conclude() {
	for _, p := range s.players {
		sent, done := p.workload.Counts()
		_, _ = fmt.Fprintf(s.options.Out, "%s: %d messages sent, %d done\n", p.workload.Spec().Name, sent, done)
	}
}
