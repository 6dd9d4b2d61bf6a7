package main

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/backlog-scaler/backlog-scaler/worker"
)

const (
	// retryDelay is the pause after Redis did not answer.
	retryDelay = time.Second
	// endTimeout bounds the end of a job in Redis. It is less than worker.DefaultHandBack, so
	// that a job that is cancelled is handed back before the process ends.
	endTimeout = 2 * time.Second
)

var errLeaseLost = errors.New("the lease of the job has ended, and another worker may have it")

// A consumer takes jobs from the queue, one at a time.
type consumer struct {
	worker *worker.Worker
	queue  *queue
	logger *slog.Logger
	// handle does a job. It gives up when its context ends.
	handle func(ctx context.Context, job string) error
}

// consume is the loop of the worker, whose context ends when it drains. The worker is ready
// while Redis answers.
func (c *consumer) consume(ctx context.Context) error {
	recovery := time.NewTicker(c.queue.lease)
	defer recovery.Stop()
	// What a former process of the same name had in hand is handed back first.
	due, own := true, true
	for ctx.Err() == nil {
		select {
		case <-recovery.C:
			due = true
		default:
		}
		if due {
			if err := c.recover(ctx, own); err != nil {
				c.wait(ctx, err)
				continue
			}
			due, own = false, false
		}
		job, found, err := c.queue.take(ctx)
		if err != nil {
			c.wait(ctx, err)
			continue
		}
		c.worker.SetReady(true)
		if found {
			c.process(ctx, job)
		}
	}
	return nil
}

// recover hands back jobs of workers that are gone.
func (c *consumer) recover(ctx context.Context, own bool) error {
	recovered, err := c.queue.recoverJobs(ctx, own)
	if recovered > 0 {
		c.logger.InfoContext(ctx, "jobs recovered", "jobs", recovered)
	}
	return err
}

// wait pauses after an error of Redis.
func (c *consumer) wait(ctx context.Context, err error) {
	c.worker.SetReady(false)
	c.logger.WarnContext(ctx, "queue not available", "error", err)
	_ = pause(ctx, retryDelay) // the loop ends with its context
}

// process does a job that was taken, or hands it back if the worker drains.
func (c *consumer) process(ctx context.Context, job string) {
	err := c.worker.Do(ctx, func(ctx context.Context) error {
		c.end(ctx, job, c.handleLeased(ctx, job))
		return nil
	})
	if err != nil {
		c.end(ctx, job, err)
	}
}

// handleLeased does a job and renews its lease meanwhile.
func (c *consumer) handleLeased(ctx context.Context, job string) error {
	ctx, cancel := context.WithCancelCause(ctx)
	renewed := make(chan struct{})
	go func() {
		defer close(renewed)
		c.renew(ctx, cancel, job)
	}()
	err := c.handle(ctx, job)
	if err != nil && ctx.Err() != nil {
		err = context.Cause(ctx) // the grace period or the lease
	}
	cancel(nil)
	<-renewed
	return err
}

// renew extends the lease of a job until ctx ends, and cancels the job if the lease is lost.
func (c *consumer) renew(ctx context.Context, cancel context.CancelCauseFunc, job string) {
	ticker := time.NewTicker(c.queue.lease / 3)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		held, err := c.queue.renew(ctx, job)
		switch {
		case err != nil && ctx.Err() == nil:
			c.logger.WarnContext(ctx, "lease not renewed", "job", job, "error", err)
		case err == nil && !held:
			cancel(errLeaseLost)
			return
		}
	}
}

// end deletes a job that is done, and hands back one that is not. It does so when ctx has
// ended, too.
func (c *consumer) end(ctx context.Context, job string, failure error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), endTimeout)
	defer cancel()
	end := c.queue.finish
	if failure != nil {
		end = c.queue.release
	}
	held, err := end(ctx, job)
	switch {
	case err != nil:
		c.logger.WarnContext(ctx, "job not ended", "job", job, "error", err)
	case !held:
		c.logger.WarnContext(ctx, "job not ended", "job", job, "error", errLeaseLost)
	case failure != nil:
		c.logger.InfoContext(ctx, "job handed back", "job", job, "reason", failure)
	default:
		c.logger.InfoContext(ctx, "job done", "job", job)
	}
}

// pause waits for d, or until ctx ends, which is its error.
func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
