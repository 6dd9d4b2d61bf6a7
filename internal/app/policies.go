package app

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/policies"
	"github.com/backlog-scaler/backlog-scaler/internal/policies/runner"
	"github.com/backlog-scaler/backlog-scaler/internal/sampler"
	"github.com/backlog-scaler/backlog-scaler/internal/server"
	"github.com/backlog-scaler/backlog-scaler/internal/server/inspector"
	"github.com/backlog-scaler/backlog-scaler/internal/trigger"
)

// A PolicySource opens what passes AutoscalerPolicies, and what is known of their workloads, to a
// runner. It does not wait for them.
type PolicySource func(*runner.Runner, *slog.Logger) (PolicyWatcher, error)

// A PolicyWatcher passes policies on, and acts on what is decided.
type PolicyWatcher interface {
	// Run passes policies on until the context ends. An error ends the App.
	Run(ctx context.Context) error
}

// addPolicies adds the parts that watch AutoscalerPolicies and decide on them, if that is wanted.
// They stop before the sampler, which observes their signals.
func (a *App) addPolicies(catalog *trigger.Catalog) error {
	if a.options.Policies == nil {
		return nil
	}
	a.runner = runner.New(signalObserver{a.sampler}, catalog, time.Now)
	watcher, err := a.options.Policies(a.runner, a.options.Logger)
	if err != nil {
		return fmt.Errorf("watch policies: %w", err)
	}
	a.parts.add(part{name: "observe signals", stop: func(context.Context) { a.runner.Close() }})
	a.parts.add(part{name: "decide on policies", run: func(ctx context.Context) error { a.runner.Run(ctx); return nil }})
	a.parts.add(part{name: "watch policies", run: watcher.Run})
	return nil
}

// inspected returns the policies that the inspector explains; nil if none are watched.
func (a *App) inspected() inspector.Policies {
	if a.runner == nil {
		return nil
	}
	return a.runner
}

// A signalObserver is the sampler with the interface that the runner declares.
type signalObserver struct{ *sampler.Sampler }

// Notify returns the subscription as an interface.
func (o signalObserver) Notify(want backlog.Interest, changed func()) (runner.Observed, error) {
	sub, err := o.Sampler.Notify(want, changed)
	if err != nil {
		return nil, err
	}
	return sub, nil
}

// An answerer is the runner with the interface that the server declares.
type answerer struct{ *runner.Runner }

// Follow returns the subscription as an interface.
func (a answerer) Follow(key policies.Key) server.PolicySubscription { return a.Runner.Follow(key) }
