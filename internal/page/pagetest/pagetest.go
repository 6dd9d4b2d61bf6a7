// Package pagetest serves the web page of a scaler whose queues are in memory, for tests of the page:
// over HTTP and in a browser.
package pagetest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	pbkeda "github.com/kedacore/keda/v2/pkg/scalers/externalscaler"

	"github.com/backlog-scaler/backlog-scaler/internal/admin"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/backlogtest"
	"github.com/backlog-scaler/backlog-scaler/internal/page"
	"github.com/backlog-scaler/backlog-scaler/internal/policies"
	"github.com/backlog-scaler/backlog-scaler/internal/policies/runner"
	"github.com/backlog-scaler/backlog-scaler/internal/policy"
	"github.com/backlog-scaler/backlog-scaler/internal/sampler"
	"github.com/backlog-scaler/backlog-scaler/internal/schedule"
	"github.com/backlog-scaler/backlog-scaler/internal/server"
	"github.com/backlog-scaler/backlog-scaler/internal/server/inspector"
	"github.com/backlog-scaler/backlog-scaler/internal/trigger"
)

// A World is a scaler with the connections "main" and "other", which read queues in memory, that
// serves its admin address.
type World struct {
	testing.TB

	// URL is the address of the page, without a slash at its end.
	URL string
	// Main and Other are the queues of the connections.
	Main, Other *backlogtest.Fake
	Server      *server.Server
	Inspector   *inspector.Inspector
	// Runner decides on policies; nil in a world without them.
	Runner *runner.Runner

	serving *serving
}

// Options change a World.
type Options struct {
	// Policies watches policies.
	Policies bool
	// Fault is the fault of the configuration file.
	Fault error
	// MaxStaleness is how long the last reading is used. Default 1 min.
	MaxStaleness time.Duration
}

// observer gives the sampler the server's shape.
type observer struct{ *sampler.Sampler }

// Subscribe returns the subscription as an interface.
func (o observer) Subscribe(want backlog.Interest) (server.Subscription, error) {
	return o.Sampler.Subscribe(want)
}

// signalObserver gives the sampler the runner's shape.
type signalObserver struct{ *sampler.Sampler }

// Notify returns the subscription as an interface.
func (o signalObserver) Notify(want backlog.Interest, changed func()) (runner.Observed, error) {
	return o.Sampler.Notify(want, changed)
}

// answerer gives the runner the server's shape.
type answerer struct{ *runner.Runner }

// Follow returns the subscription as an interface.
func (a answerer) Follow(key policies.Key) server.PolicySubscription { return a.Runner.Follow(key) }

// New returns a World that ends with the test.
func New(t testing.TB, o Options) *World {
	t.Helper()
	w := &World{TB: t, Main: backlogtest.NewFake(), Other: backlogtest.NewFake()}
	main, other := w.Main.Engine(), w.Other.Engine()
	main.Name, other.Name = "fake", "other-fake"
	engines := []backlog.Engine{main, other}
	if o.MaxStaleness == 0 {
		o.MaxStaleness = time.Minute
	}
	s := sampler.New(engines, sampler.Options{
		ActiveInterval: 200 * time.Millisecond, SafetyInterval: 500 * time.Millisecond, MinBackoff: 100 * time.Millisecond, MaxBackoff: 200 * time.Millisecond,
	})
	connections := []backlog.Connection{
		{Name: "main", Engine: "fake", Namespaces: []string{"*"}}, {Name: "other", Engine: "other-fake", Namespaces: []string{"shop", "bank"}},
	}
	if err := s.Apply(t.Context(), connections); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	catalog := trigger.NewCatalog(connections, engines)
	options := server.Options{MaxStaleness: o.MaxStaleness, MaxTriggersPerNamespace: 20_000}
	var inspected inspector.Policies
	if o.Policies {
		catalog = catalog.WithPolicies()
		w.run(signalObserver{s}, catalog)
		options.Policies, inspected = answerer{w.Runner}, w.Runner
	}
	w.Server = server.New(observer{s}, catalog, options)
	w.Inspector = inspector.New(w.Server, s, inspected, func() error { return o.Fault })
	w.Serve(backlogtest.FreeAddress(w))
	return w
}

// run decides on policies until the test ends.
func (w *World) run(signals signalObserver, catalog *trigger.Catalog) {
	w.Helper()
	w.Runner = runner.New(signals, catalog, time.Now)
	w.Runner.Synced()
	ctx, cancel := context.WithCancel(context.WithoutCancel(w.Context()))
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		w.Runner.Run(ctx)
	}()
	w.Cleanup(func() {
		cancel()
		<-stopped
		w.Runner.Close()
	})
}

// A serving is a server of the admin address.
type serving struct {
	server *http.Server
	ended  chan error
}

// Serve serves the admin address until Stop is called or the test ends.
func (w *World) Serve(address string) {
	w.Helper()
	web := page.New(page.Options{
		Inspector: w.Inspector, Version: "v0.0.0", Replica: "backlog-scaler-7c9d8-x2v5p",
		Settings: []page.Setting{{Name: "active-interval", Value: "1s"}, {Name: "admin-address", Value: "127.0.0.1:9091"}, {Name: "tls-cert-file", Value: ""}},
	})
	listener, err := new(net.ListenConfig).Listen(w.Context(), "tcp", address)
	if err != nil {
		w.Fatal(err)
	}
	served := &serving{server: admin.NewServer(admin.Options{Routes: w.Inspector.Routes(), Page: web}), ended: make(chan error, 1)}
	go func() { served.ended <- served.server.Serve(listener) }()
	w.URL, w.serving = "http://"+listener.Addr().String(), served
	w.Cleanup(w.Stop)
}

// Stop ends the server of the admin address. It is idempotent.
func (w *World) Stop() {
	w.Helper()
	if w.serving == nil {
		return
	}
	if err := errors.Join(w.serving.server.Close(), <-w.serving.ended); !errors.Is(err, http.ErrServerClosed) {
		w.Error(err)
	}
	w.serving = nil
}

// Ask calls the scaler about a ScaledObject as KEDA polls; the metadata is in pairs. An error is part
// of what is shown.
func (w *World) Ask(namespace, name string, pairs ...string) {
	w.Helper()
	metadata := map[string]string{"scalerAddress": "scaler:9090"}
	for pair := range slices.Chunk(pairs, 2) {
		metadata[pair[0]] = pair[1]
	}
	ref := &pbkeda.ScaledObjectRef{Namespace: namespace, Name: name, ScalerMetadata: metadata}
	_, _ = w.Server.GetMetrics(w.Context(), &pbkeda.GetMetricsRequest{ScaledObjectRef: ref})
	_, _ = w.Server.IsActive(w.Context(), ref)
}

// Fill asks about so many ScaledObjects in the namespace "fleet". Some have work.
func (w *World) Fill(n int) {
	w.Helper()
	// A call waits for the first reading of its queue, so many are made at a time.
	const callers = 200
	var running sync.WaitGroup
	for caller := range callers {
		running.Go(func() {
			for i := caller; i < n; i += callers {
				queue := fmt.Sprintf("jobs-%05d", i)
				if i%7 == 0 {
					w.Main.SetReady(queue, int64(i%50))
				}
				w.Ask("fleet", fmt.Sprintf("worker-%05d", i), "connection", "main", "queue", queue)
			}
		})
	}
	running.Wait()
}

// Demo asks about triggers in all states, except for what the failure of a connection causes.
func (w *World) Demo() {
	w.Helper()
	now := time.Now()
	w.Main.Set("orders", backlog.Reading{Ready: 37, Due: 6, InFlight: backlog.Exactly(12), Oldest: backlog.Age{Kind: backlog.AgeExact, Since: now.Add(-95 * time.Second)}})
	w.Main.SetReady("mails", 4)
	w.Main.SetReady("invoices", 230)
	w.Main.FailQueue("nightly", fmt.Errorf("%w: the key holds a set, not a list", backlog.ErrMismatch))
	w.Other.Set("transfers", backlog.Reading{Ready: 18, InFlight: backlog.Exactly(3)})
	w.Ask("shop", "checkout", "connection", "main", "queue", "orders", "target", "5", "activation", "3")
	w.Ask("shop", "newsletter", "connection", "main", "queue", "mails", "target", "10")
	w.Ask("shop", "invoices", "connection", "main", "queue", "invoices", "target", "20")
	w.Ask("shop", "reports", "connection", "main", "queue", "nightly")
	w.Ask("shop", "exports", "connection", "main", "queue", "exports", "tagret", "5")
	w.Ask("shop", "images", "connection", "main", "queue", "images")
	w.Ask("bank", "ledger", "connection", "other", "queue", "transfers", "target", "4")
}

// Hostile is a name that is markup, changes the direction of writing, and is long. Names of this
// kind never reach the scaler by Kubernetes, but by any client of its port.
const Hostile = "\"><svg onload=alert(1)><script>alert(2)</script>\u202egnp.exe '"

// SetPolicy sets a policy with all that the page shows, and the replicas of its workload. Which of its windows are
// open depends on the time of day and on the weekday; more are others.
func (w *World) SetPolicy(name string, replicas int32, more ...schedule.Spec) {
	w.Helper()
	day, night, sale := int32(6), int32(12), int32(20)
	opened := time.Now().Add(50 * time.Hour)
	w.Runner.Set(policies.Policy{
		Key: policies.Key{Namespace: "shop", Name: name}, Generation: 3, Mode: policies.Enforce, Via: policies.ViaKEDA, Jump: policies.JumpFloor,
		Ref: policies.Ref{APIVersion: "apps/v1", Kind: "Deployment", Name: name},
		Spec: policy.Spec{
			MinReplicas: 1, MaxReplicas: 40, Signals: []policy.Signal{{Name: "orders", MaxStaleness: 2 * time.Minute}},
			Up: &policy.StepUp{Pods: 4, Period: 30 * time.Second, ReadyPercent: 75, StuckAfter: 10 * time.Minute},
			Schedules: append([]schedule.Spec{
				{Name: "office-hours", TimeZone: "Europe/Berlin", Start: "0 8 * * 1-5", End: "0 18 * * 1-5", Floor: &day, Ramp: time.Hour},
				{Name: "night", TimeZone: "Europe/Berlin", Start: "0 22 * * *", End: "0 6 * * *", Ceiling: &night},
				{Name: "sale", TimeZone: "Europe/Berlin", From: opened, Until: opened.Add(9 * time.Hour), Floor: &sale},
			}, more...),
		},
		Signals: []policies.Signal{{Name: "orders", Connection: "main", Trigger: map[string]string{"queue": "orders", "target": "5"}, Interval: time.Second}},
	})
	w.Runner.SetTarget("shop", name, policies.Target{Target: policy.Target{Replicas: replicas, Available: replicas}})
	w.Ask("shop", "uses-"+name, "policy", name)
}
