// Package worker is the worker's side of a scaler: a worker built with it ends without losing
// a job, and answers the probes of Kubernetes and of a scaler.
//
// A worker that is scaled is also ended, often in the middle of a job. This package counts the
// jobs in flight and serves
//
//   - /healthz: 200 while the process works, for the liveness probe,
//   - /readyz: 200 once [Worker.SetReady] was called and until the worker drains,
//   - /busy: whether a job is in flight, see [Status],
//   - /metrics: the metrics of [Options.Gatherer], if there is one.
//
// On SIGTERM the worker drains. It begins no further job, finishes those that it began within
// a grace period, and then returns from [Worker.Run]:
//
//	w, err := worker.New(worker.Options{Address: ":8080"})
//	...
//	err = w.Run(ctx, func(ctx context.Context) error { // ctx ends when the worker drains
//		w.SetReady(true)
//		for ctx.Err() == nil {
//			message, err := queue.Take(ctx)
//			...
//			err = w.Do(ctx, func(ctx context.Context) error { // ctx ends with the grace period
//				return handle(ctx, message)
//			})
//			if err != nil {
//				queue.HandBack(message)
//			}
//		}
//		return nil
//	})
//
// The package needs the standard library and prometheus/client_golang, and nothing of
// Kubernetes or of a queue.
package worker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// The defaults of Options. Together they are less than the 30 s that Kubernetes gives a pod
// between SIGTERM and SIGKILL where its terminationGracePeriodSeconds does not say.
const (
	DefaultGrace    = 25 * time.Second
	DefaultHandBack = 3 * time.Second
)

var (
	// ErrDraining is the error of a job that was not begun because the worker drains. The job
	// was taken from the queue, so it has to be handed back.
	ErrDraining = errors.New("the worker drains")
	// ErrGraceExceeded is the cause with which the context of a job ends, and what Run returns,
	// if the grace period was too short for the jobs in flight.
	ErrGraceExceeded = errors.New("the grace period is over")
)

// Options are the settings of a Worker. The zero value is valid.
type Options struct {
	// Address is the "host:port" on which Run serves Handler. Empty serves nothing; the program
	// then serves Handler itself.
	Address string
	// Grace is how long jobs in flight and the loop may take when the worker drains. Zero is
	// DefaultGrace.
	Grace time.Duration
	// HandBack is how long jobs may take after Grace, when their contexts have ended, to give
	// their messages back. Zero is DefaultHandBack. The pod's terminationGracePeriodSeconds
	// has to be larger than the sum of both.
	HandBack time.Duration
	// Live decides /healthz: an error is answered with 503 and its text. Nil is always live.
	// Requests call it at the same time, and it must return within the timeout of the probe.
	Live func() error
	// Registerer registers the gauge worker_jobs_in_flight. Nil registers nothing.
	Registerer prometheus.Registerer
	// Gatherer has the metrics of /metrics. Nil serves none.
	Gatherer prometheus.Gatherer
	// Logger logs the beginning and the end of the drain. Nil logs nothing.
	Logger *slog.Logger
	// IgnoreSignals leaves SIGTERM and SIGINT to the program. Run then drains when its context
	// ends or Drain is called.
	IgnoreSignals bool
}

// A Worker counts the jobs that a process works on, and drains it. All methods may be called
// at the same time from several goroutines.
type Worker struct {
	options Options
	// started is set by the first Run.
	started atomic.Bool
	// drain is closed when draining begins, idle when no job is in flight after that. Both are
	// closed with mu held.
	drain, idle chan struct{}

	// mu guards all below. Only locks of contexts are taken while it is held.
	mu              sync.Mutex
	ready, draining bool
	addr            net.Addr
	jobs            map[*job]struct{}
}

// A job is one that was begun and has not ended.
type job struct{ cancel context.CancelCauseFunc }

// New returns a worker that is not ready. An error names the setting that is not valid, or is
// that of the registerer.
func New(options Options) (*Worker, error) {
	var err error
	if options.Grace, err = orDefault("Grace", options.Grace, DefaultGrace); err != nil {
		return nil, err
	}
	if options.HandBack, err = orDefault("HandBack", options.HandBack, DefaultHandBack); err != nil {
		return nil, err
	}
	if options.Logger == nil {
		options.Logger = slog.New(slog.DiscardHandler)
	}
	w := &Worker{
		options: options, drain: make(chan struct{}), idle: make(chan struct{}), jobs: map[*job]struct{}{},
	}
	if options.Registerer != nil {
		gauge := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "worker_jobs_in_flight", Help: "Jobs that were begun and have not ended.",
		}, func() float64 { return float64(w.Status().InFlight) })
		if err := options.Registerer.Register(gauge); err != nil {
			return nil, fmt.Errorf("register worker_jobs_in_flight: %w", err)
		}
	}
	return w, nil
}

func orDefault(name string, value, fallback time.Duration) (time.Duration, error) {
	switch {
	case value < 0:
		return 0, fmt.Errorf("worker: %s is %s, want a positive duration, or zero for %s", name, value, fallback)
	case value == 0:
		return fallback, nil
	default:
		return value, nil
	}
}

// SetReady sets whether /readyz answers 200. A worker is ready when it can take jobs, which is
// when it is connected to its queue. While it drains it is not ready, whatever was set.
func (w *Worker) SetReady(ready bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ready = ready
}

// Begin counts a job as in flight until done is called. The context of the job has the values
// of ctx and not its end: it ends when the grace period is over, with the cause
// ErrGraceExceeded, or when done is called. So a job may go on with it while the worker drains.
//
// The only error is ErrDraining. The job must not be begun then, and has to be handed back.
// Calling done more than once has no effect.
func (w *Worker) Begin(ctx context.Context) (_ context.Context, done func(), _ error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.draining {
		return ctx, func() {}, ErrDraining
	}
	ctx, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	j := &job{cancel: cancel}
	w.jobs[j] = struct{}{}
	return ctx, func() { w.end(j) }, nil
}

func (w *Worker) end(j *job) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if _, inFlight := w.jobs[j]; !inFlight {
		return
	}
	j.cancel(nil)
	delete(w.jobs, j)
	if w.draining && len(w.jobs) == 0 {
		close(w.idle)
	}
}

// Do runs a job, which is in flight until it returns. The context is that of [Worker.Begin].
// The error is ErrDraining if the job was not begun, else that of the job.
func (w *Worker) Do(ctx context.Context, job func(ctx context.Context) error) error {
	ctx, done, err := w.Begin(ctx)
	if err != nil {
		return err
	}
	defer done()
	return job(ctx)
}

// Drain begins to drain, as SIGTERM does: no job is begun from now on, the worker is not ready,
// and the context of the loop ends. It does not wait; Run does. Calling it again has no effect.
func (w *Worker) Drain() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.draining {
		return
	}
	w.draining = true
	close(w.drain)
	if len(w.jobs) == 0 {
		close(w.idle)
	}
}

// Status returns what /busy answers at this moment.
func (w *Worker) Status() Status {
	w.mu.Lock()
	defer w.mu.Unlock()
	return Status{
		Busy: len(w.jobs) > 0, InFlight: len(w.jobs),
		Ready: w.ready && !w.draining, Draining: w.draining,
	}
}

// Addr returns the address on which Run serves, or nil if it does not serve yet.
func (w *Worker) Addr() net.Addr {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.addr
}

// cancelJobs ends the contexts of all jobs in flight, and returns their number.
func (w *Worker) cancelJobs() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	for j := range w.jobs {
		j.cancel(ErrGraceExceeded)
	}
	return len(w.jobs)
}
