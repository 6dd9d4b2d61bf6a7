package worker

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"
)

// Run serves the probes, runs loop and drains the worker. It returns when all of it has ended.
//
// The sequence is:
//
//  1. Run listens on Address, then calls loop in a goroutine of its own. The loop takes jobs
//     and calls Do or Begin for each, from as many goroutines as it likes; it returns when its
//     own goroutines have ended.
//  2. Draining begins with the first SIGTERM or SIGINT, when ctx ends, when Drain is called, or
//     when loop returns. From now on no job is begun, /readyz answers 503, and the context of
//     loop ends. A second signal has its default effect: it ends the process at once.
//  3. Run waits for the loop and for all jobs in flight, for Grace. Probes are still answered.
//  4. If that was too short, the contexts of the jobs end, and Run waits for HandBack. Then it
//     returns ErrGraceExceeded with numbers. Whatever still runs is left behind, and the
//     program should exit.
//
// The error of loop is returned as well, unless it is the end of its own context. A worker runs
// once; a second Run is an error.
func (w *Worker) Run(ctx context.Context, loop func(ctx context.Context) error) error {
	if !w.started.CompareAndSwap(false, true) {
		return errors.New("run worker: it has run before, and a worker runs once")
	}
	signals, stopSignals := w.signals()
	defer stopSignals()
	probes, err := w.serve(ctx)
	if err != nil {
		return err
	}
	loopCtx, endLoop := context.WithCancel(ctx)
	defer endLoop()
	l := startLoop(loopCtx, loop)
	reason := w.awaitDrain(ctx, signals, l, probes)
	w.Drain()
	stopSignals()
	endLoop()
	w.options.Logger.InfoContext(ctx, "draining", "reason", reason, "in_flight", w.Status().InFlight, "grace", w.options.Grace)
	err = w.finish(l)
	// The probes are served to the end, so that the kubelet does not kill a pod that drains.
	return errors.Join(err, probes.stop(ctx))
}

// signals returns the channel of those that begin the drain, and what stops their delivery.
func (w *Worker) signals() (<-chan os.Signal, func()) {
	if w.options.IgnoreSignals {
		return nil, func() {}
	}
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	return signals, func() { signal.Stop(signals) }
}

// awaitDrain waits for a reason to drain, and returns it.
func (w *Worker) awaitDrain(ctx context.Context, signals <-chan os.Signal, l *loopRun, p *probes) string {
	select {
	case s := <-signals:
		return s.String()
	case <-ctx.Done():
		return "the context has ended"
	case <-w.drain:
		return "Drain was called"
	case <-l.done:
		return "the loop has returned"
	case <-p.done:
		return "the probes cannot be served"
	}
}

// finish waits for the loop and the jobs in flight, and cancels the jobs when Grace is over.
func (w *Worker) finish(l *loopRun) error {
	if w.await(l, w.options.Grace) {
		w.options.Logger.Info("drained")
		return l.err
	}
	cancelled := w.cancelJobs()
	ended := w.await(l, w.options.HandBack)
	err := fmt.Errorf("drain: %w after %s; cancelled jobs: %d, still running: %d", ErrGraceExceeded, w.options.Grace, cancelled, w.Status().InFlight)
	if ended {
		return errors.Join(err, l.err)
	}
	select {
	case <-l.done:
		return errors.Join(err, l.err)
	default:
		return fmt.Errorf("%w, and the loop has not returned", err)
	}
}

// await waits until the loop has returned and no job is in flight, and reports whether that
// was so within the limit.
func (w *Worker) await(l *loopRun, limit time.Duration) bool {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	for _, ended := range []<-chan struct{}{l.done, w.idle} {
		select {
		case <-ended:
			continue
		case <-ctx.Done():
		}
		select {
		case <-ended: // in the same moment
		default:
			return false
		}
	}
	return true
}

// A loopRun is the run of the program's loop.
type loopRun struct {
	// done is closed when the loop has returned. err is written before that and read after.
	done chan struct{}
	err  error
}

func startLoop(ctx context.Context, loop func(ctx context.Context) error) *loopRun {
	l := &loopRun{done: make(chan struct{})}
	go func() {
		defer close(l.done)
		err := loop(ctx)
		if ctx.Err() != nil && errors.Is(err, ctx.Err()) {
			err = nil // the end that it was asked for
		}
		l.err = err
	}()
	return l
}
