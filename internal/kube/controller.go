package kube

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"golang.org/x/time/rate"
	"k8s.io/client-go/rest"

	"github.com/backlog-scaler/backlog-scaler/internal/kube/api"
	"github.com/backlog-scaler/backlog-scaler/internal/kube/election"
	"github.com/backlog-scaler/backlog-scaler/internal/policies"
)

// The size of the controller.
const (
	// workers is the number of policies that are reconciled at a time.
	workers = 4
	// probeWorkers is the number of policies whose pods are asked at a time.
	probeWorkers = 4
	// startInterval is the time between two tries to watch policies and workloads, such as while
	// the custom resource definition is not installed yet.
	startInterval = 5 * time.Second
)

// Options are what a controller needs.
type Options struct {
	// Config is the access to the API server.
	Config *rest.Config
	// Namespaces are those that are watched; empty for all.
	Namespaces []string
	// Lease is the name of the Lease of the leader, and LeaseNamespace its namespace. Without one
	// this is the only replica, which always leads.
	Lease, LeaseNamespace string
	// Identity is unique among the replicas of the scaler, such as that of the function Identity.
	Identity string
	Runner   Runner
	Logger   *slog.Logger
	// Now is the clock.
	Now func() time.Time
}

func (o *Options) check() error {
	switch {
	case o.Config == nil || o.Runner == nil || o.Logger == nil || o.Now == nil:
		return errors.New("config, runner, logger and clock are needed")
	case o.Lease != "" && (o.LeaseNamespace == "" || o.Identity == ""):
		return errors.New("the namespace of the lease and the identity are needed")
	}
	return nil
}

// A Controller passes policies and what is known of their workloads to a Runner, and writes what
// it decides while it leads.
type Controller struct {
	caches

	client     *api.Client
	options    Options
	runner     Runner
	logger     *slog.Logger
	now        func() time.Time
	queue      *queue
	probes     *queue
	prober     *prober
	sources    *sources
	leadership *election.Leadership
	// statuses limits the writes of statuses of all policies. Workers do not wait for it, so that a
	// change of the leader, after which many statuses are written, delays no replicas.
	statuses *rate.Limiter

	// mu guards records. A record belongs to the worker that has its policy.
	mu      sync.Mutex
	records map[policies.Key]*record
}

// New makes a controller. It does not wait for the API server.
func New(options Options) (*Controller, error) {
	if err := options.check(); err != nil {
		return nil, fmt.Errorf("make client of policies: %w", err)
	}
	client, err := api.New(options.Config, fieldManager, options.Now)
	if err != nil {
		return nil, fmt.Errorf("make client of policies: %w", err)
	}
	c := &Controller{
		client: client, options: options, runner: options.Runner, logger: options.Logger, now: options.Now,
		prober: newProber(options.Now), records: make(map[policies.Key]*record),
		leadership: election.NewLeadership(options.Now, options.Lease == ""),
		statuses:   rate.NewLimiter(statusesPerSecond, statusBurst),
	}
	c.queue = newQueue(c.Reconcile, options.Logger)
	c.probes = newQueue(c.probe, options.Logger)
	if err := c.newCaches(); err != nil {
		return nil, fmt.Errorf("make client of policies: %w", err)
	}
	c.sources = newSources(&c.caches, options.Logger)
	return c, nil
}

// Run watches and writes until the context ends, and returns when everything that it started has
// ended. An API server that cannot be reached is no error: nothing is known of policies until it
// can.
//
// The order of the end:
//
//  1. the workers: nothing is written any more
//  2. the leadership: the Lease is released
//  3. the watches
func (c *Controller) Run(ctx context.Context) error {
	stopWatching, err := c.Watch(ctx)
	defer stopWatching()
	switch {
	case errors.Is(err, context.Canceled):
		return nil
	case err != nil:
		return err
	}
	leading, stopLeading := context.WithCancel(context.WithoutCancel(ctx))
	var leadership sync.WaitGroup
	leadership.Go(func() { c.lead(leading) })
	c.work(ctx)
	stopLeading()
	leadership.Wait()
	return nil
}

// Watch watches policies and what they are about, and returns when all policies are known to the
// runner. Until then it waits for the API server; the error is that of the context. stop ends the
// watches and waits for their end. It is to be called next to an error, too.
func (c *Controller) Watch(ctx context.Context) (stop func(), err error) {
	watching, cancel := context.WithCancel(context.WithoutCancel(ctx))
	var watches sync.WaitGroup
	stop = func() {
		cancel()
		watches.Wait()
		c.client.Close()
	}
	start := func(kind watched) { watches.Go(func() { kind.Run(watching) }) }
	if err := c.sync(ctx, start); err != nil {
		return stop, err
	}
	watches.Go(func() { c.sources.run(watching, start, c.addAll) })
	return stop, nil
}

// sync watches policies and workloads, and returns when all policies are known to the runner.
func (c *Controller) sync(ctx context.Context, start func(watched)) error {
	kinds := []watched{c.policies, c.deployments, c.statefulSets}
	for _, kind := range kinds {
		for {
			err := probe(ctx, kind)
			if err == nil {
				break
			}
			c.logger.Warn("cannot watch a kind yet", slog.Any("error", err))
			if !wait(ctx, startInterval) {
				return ctx.Err()
			}
		}
		start(kind)
	}
	c.sources.try(ctx, start)
	for _, kind := range kinds {
		if err := kind.Wait(ctx); err != nil {
			return err
		}
	}
	for _, p := range c.policies.All() {
		if _, err := c.Reconcile(ctx, keyOf(p)); err != nil {
			c.queue.add(keyOf(p))
		}
	}
	c.runner.Synced()
	return nil
}

// wait waits for a time; false if the context ends before.
func wait(ctx context.Context, length time.Duration) bool {
	timer := time.NewTimer(length)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

// work runs everything that works on policies, and returns when all of it has ended.
func (c *Controller) work(ctx context.Context) {
	var group sync.WaitGroup
	group.Go(func() { c.queue.run(ctx, workers) })
	group.Go(func() { c.probes.run(ctx, probeWorkers) })
	group.Go(func() { c.followTerms(ctx) })
	group.Go(func() {
		for {
			select {
			case <-ctx.Done():
				return
			case key := <-c.runner.Changed():
				c.queue.add(key)
			}
		}
	})
	group.Wait()
}
