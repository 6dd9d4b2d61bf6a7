// Package app builds every part of the scaler, and starts and stops them in order.
package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/config"
	"github.com/backlog-scaler/backlog-scaler/internal/page"
	"github.com/backlog-scaler/backlog-scaler/internal/policies/metrics"
	"github.com/backlog-scaler/backlog-scaler/internal/policies/runner"
	"github.com/backlog-scaler/backlog-scaler/internal/sampler"
	"github.com/backlog-scaler/backlog-scaler/internal/server"
	"github.com/backlog-scaler/backlog-scaler/internal/server/connlimit"
	"github.com/backlog-scaler/backlog-scaler/internal/telemetry"
	"github.com/backlog-scaler/backlog-scaler/internal/trigger"
)

// reloadInterval is the interval at which the configuration and its secrets are checked. A
// change is loaded when two checks agree on it, so within about two intervals.
const reloadInterval = time.Second

// Options configure a scaler.
type Options struct {
	// Config is the path of the configuration file.
	Config string
	// GRPCAddress and HTTPAddress are the listen addresses, as in net.Listen.
	GRPCAddress, HTTPAddress string
	// AdminAddress is the listen address of the inspector; empty disables it. Every client of
	// it sees the queues of all namespaces.
	AdminAddress string
	// AdminHosts are the names, next to addresses and localhost, by which clients may reach it.
	AdminHosts []string
	// Replica is the name of this process, such as that of its pod, and Settings are its flags. The
	// web page shows both.
	Replica  string
	Settings []page.Setting
	// TLS enables TLS for gRPC if its Cert is set.
	TLS server.TLSFiles
	// DrainDelay is how long the scaler keeps serving after it was asked to stop, so that
	// clients are routed elsewhere before it ends. ShutdownTimeout bounds the shutdown that
	// follows.
	DrainDelay, ShutdownTimeout time.Duration
	// Profiles serves Go's profiles on the HTTP port.
	Profiles bool
	// Sampling and Server are the options of those parts; New sets their Logger and Registerer.
	Sampling sampler.Options
	Server   server.Options
	// Policies opens the source of AutoscalerPolicies. nil watches none.
	Policies PolicySource
	// Engines are the available engines.
	Engines []backlog.Engine
	// Build is the version of the program.
	Build telemetry.Build
	// Logger receives the log of all parts.
	Logger *slog.Logger
}

// An App is a scaler that listens.
type App struct {
	options Options
	sampler *sampler.Sampler
	// runner is nil without Policies.
	runner  *runner.Runner
	server  *server.Server
	health  *server.Health
	grpc    *grpc.Server
	http    *http.Server
	watcher *config.Watcher
	reloads *reloads
	// inForce is the configuration in force. It belongs to reload.
	inForce  *config.Config
	grpcPort *connlimit.Port
	httpPort *connlimit.Port
	// admin and adminPort are nil without an AdminAddress.
	admin     *http.Server
	adminPort *connlimit.Port
	// parts are everything that New opens and Run starts.
	parts parts
}

// New loads the configuration and listens. The caller must call Run, which releases everything
// when it ends.
func New(ctx context.Context, options Options) (*App, error) {
	a := &App{options: options}
	if err := a.build(ctx); err != nil {
		a.parts.stop(context.WithoutCancel(ctx))
		return nil, err
	}
	return a, nil
}

func (a *App) build(ctx context.Context) error {
	o := a.options
	loaded, err := config.Load(o.Config, o.Engines)
	if err != nil {
		return err
	}
	var creds credentials.TransportCredentials
	if o.TLS.Cert != "" {
		if creds, err = server.NewTLS(o.TLS, o.Logger); err != nil {
			return err
		}
	}
	grpcPort, err := a.listen(ctx, "listen for gRPC", o.GRPCAddress)
	if err != nil {
		return fmt.Errorf("listen for gRPC: %w", err)
	}
	httpPort, err := a.listen(ctx, "listen for HTTP", o.HTTPAddress)
	if err != nil {
		return fmt.Errorf("listen for HTTP: %w", err)
	}
	var adminPort net.Listener
	if o.AdminAddress != "" {
		if adminPort, err = a.listen(ctx, "listen for the inspector", o.AdminAddress); err != nil {
			return fmt.Errorf("listen for the inspector: %w", err)
		}
	}
	registry := telemetry.NewRegistry(o.Build)
	o.Sampling.Logger, o.Sampling.Registerer = o.Logger, registry
	a.sampler = sampler.New(o.Engines, o.Sampling)
	a.parts.add(part{name: "sample", stop: func(context.Context) { a.sampler.Close() }})
	if err := a.sampler.Apply(ctx, loaded.Connections); err != nil {
		return err
	}
	o.Server.Logger = o.Logger
	catalog, err := a.catalog(loaded)
	if err != nil {
		return err
	}
	if err := a.addPolicies(catalog); err != nil {
		return err
	}
	if a.runner != nil {
		o.Server.Policies = answerer{a.runner}
		registry.MustRegister(metrics.NewCollector(a.runner))
	}
	a.server = server.New(&observer{a.sampler}, catalog, o.Server)
	if err := a.server.SetStaticWatches(watches(loaded)); err != nil {
		return err
	}
	registry.MustRegister(a.server.Collectors()...)
	a.grpcPort = a.server.NewPort(server.PortGRPC, grpcPort)
	a.httpPort = a.server.NewPort(server.PortHTTP, httpPort)
	a.health = server.NewHealth(a.sampler.Stuck)
	a.grpc = server.NewGRPC(a.server, a.health, creds, registry)
	a.http = server.NewHTTP(server.HTTPOptions{
		Health: a.health, Gatherer: registry, Version: o.Build, Wake: a.server.WakeHandler(), Profiles: o.Profiles,
	})
	a.http.ErrorLog = telemetry.NewHTTPLog(o.Logger)
	a.reloads = newReloads(registry)
	if adminPort != nil {
		a.addAdmin(adminPort)
	}
	a.inForce = loaded
	a.watcher = config.NewWatcher(o.Config, o.Engines, loaded, reloadInterval, a.reloads, o.Logger)
	a.addServers()
	return nil
}

// GRPCAddr is where the App serves KEDA.
func (a *App) GRPCAddr() net.Addr { return a.grpcPort.Addr() }

// HTTPAddr is where the App serves probes and metrics.
func (a *App) HTTPAddr() net.Addr { return a.httpPort.Addr() }

// Reload reads the configuration again, and applies it at once if it is valid and has changed.
// The log has the outcome.
func (a *App) Reload() { a.watcher.Reload() }

// addServers adds the parts that serve and reload. They stop in reverse order: the reloads, the
// streams, the servers, and last the sampler, which answers their calls.
func (a *App) addServers() {
	a.parts.add(part{name: "serve HTTP", stop: a.stopHTTP, run: func(context.Context) error {
		if err := a.http.Serve(a.httpPort); !errors.Is(err, http.ErrServerClosed) {
			return err
		}
		return nil
	}})
	if a.admin != nil {
		a.parts.add(part{name: "serve the inspector", run: a.serveAdmin, stop: func(context.Context) { a.stopAdmin() }})
	}
	a.parts.add(part{
		name: "serve gRPC", stop: a.stopGRPC,
		run: func(context.Context) error { return a.grpc.Serve(a.grpcPort) },
	})
	a.parts.add(part{name: "hold streams", stop: func(context.Context) { a.server.Drain() }})
	a.parts.add(part{name: "apply configurations", run: func(ctx context.Context) error { a.reload(ctx); return nil }})
	a.parts.add(part{name: "follow the configuration file", run: func(ctx context.Context) error { a.watcher.Run(ctx); return nil }})
}

// Run serves until ctx ends, and then stops in order: it becomes unready, waits
// DrainDelay, ends the streams, lets calls finish, and closes everything. The
// error is what ended it before ctx; nil if that was ctx.
func (a *App) Run(ctx context.Context) error {
	log := a.options.Logger
	if a.admin != nil {
		a.warnOfAdmin()
	}
	failed := a.parts.start(ctx)
	a.health.Serving()
	log.Info("serving", "version", a.options.Build.Version, "grpc", a.GRPCAddr().String(), "http", a.HTTPAddr().String(), "admin", a.adminText())

	var err error
	select {
	case <-ctx.Done():
		a.health.Draining()
		log.Info("stopping", "drain_delay", a.options.DrainDelay)
		// ctx is over, and the delay is meant to outlast it.
		select {
		case <-time.After(a.options.DrainDelay):
		case err = <-failed:
		}
	case err = <-failed:
	}
	a.health.Draining()
	bounded, cancel := context.WithTimeout(context.WithoutCancel(ctx), a.options.ShutdownTimeout)
	defer cancel()
	a.parts.stop(bounded)
	log.Info("stopped")
	return err
}

// stopGRPC lets calls finish until ctx ends, and then cuts them off.
func (a *App) stopGRPC(ctx context.Context) {
	graceful := make(chan struct{})
	go func() {
		a.grpc.GracefulStop()
		close(graceful)
	}()
	select {
	case <-graceful:
	case <-ctx.Done():
		a.options.Logger.Warn("calls did not end in time and were cut off", "timeout", a.options.ShutdownTimeout)
		cutOff(a.grpc, a.grpcPort)
		<-graceful
	}
}

// stopHTTP lets requests finish until ctx ends, and then cuts them off.
func (a *App) stopHTTP(ctx context.Context) {
	if err := a.http.Shutdown(ctx); err != nil {
		// The timeout has passed. The remaining requests are cut off.
		_ = a.http.Close()
	}
}

// cutOff ends a server at once. A gRPC server waits for clients that have connected and sent
// nothing, so their connections are closed first, including those that it accepts last.
func cutOff(g *grpc.Server, port *connlimit.Port) {
	port.CloseConnections()
	g.Stop()
}

// reload applies each new configuration.
func (a *App) reload(ctx context.Context) {
	for updated := range a.watcher.Updates() {
		catalog, err := a.catalog(updated)
		if err != nil {
			a.reloads.Reloaded(err)
			for _, problem := range config.Problems(err) {
				a.options.Logger.Error("the configuration cannot be used, the old one stays", "error", problem)
			}
			continue
		}
		changes := updated.Changes(a.inForce)
		if changes == "" {
			a.options.Logger.Info("configuration has not changed", "file", a.options.Config)
			continue
		}
		a.inForce = updated
		if err := a.sampler.Apply(ctx, updated.Connections); err != nil {
			a.reloads.Reloaded(err)
			a.options.Logger.Error("connections could not be opened", "error", err)
		}
		a.server.SetCatalog(catalog)
		if a.runner != nil {
			a.runner.SetCatalog(catalog)
		}
		if err := a.server.SetStaticWatches(watches(updated)); err != nil {
			a.options.Logger.Error("watches could not be kept", "error", err)
		}
		a.options.Logger.Info("configuration reloaded", "changes", changes, "connections", len(updated.Connections))
	}
}

// catalog returns the catalog of a configuration.
func (a *App) catalog(c *config.Config) (*trigger.Catalog, error) {
	catalog, err := NewCatalog(c, a.options.Engines)
	if err != nil || a.options.Policies == nil {
		return catalog, err
	}
	return catalog.WithPolicies(), nil
}

// NewCatalog returns the catalog of a configuration. Its static watches must be valid triggers.
// Every command that reads a configuration calls it, so that all accept the same files.
func NewCatalog(c *config.Config, engines []backlog.Engine) (*trigger.Catalog, error) {
	catalog := trigger.NewCatalog(c.Connections, engines)
	var faults []error
	for _, w := range c.Watches {
		if _, err := catalog.Parse(w.Namespace, w.Trigger); err != nil {
			faults = append(faults, fmt.Errorf("%s: watches.%s: %w", w.Place, w.Name, err))
		}
	}
	if len(faults) > 0 {
		return nil, fmt.Errorf("invalid configuration:\n%w", errors.Join(faults...))
	}
	return catalog, nil
}

// watches gives those of the configuration the shape that the server asks for.
func watches(c *config.Config) []server.StaticWatch {
	all := make([]server.StaticWatch, len(c.Watches))
	for i, w := range c.Watches {
		all[i] = server.StaticWatch{Namespace: w.Namespace, Name: w.Name, Metadata: w.Trigger}
	}
	return all
}

// An observer is the sampler with the interface that the server declares.
type observer struct{ *sampler.Sampler }

// Subscribe returns the subscription as an interface.
func (o *observer) Subscribe(want backlog.Interest) (server.Subscription, error) {
	sub, err := o.Sampler.Subscribe(want)
	if err != nil {
		return nil, err
	}
	return sub, nil
}

// listen opens a port. The server that serves it closes it. Stopping the part closes it if
// there is no such server.
func (a *App) listen(ctx context.Context, name, address string) (net.Listener, error) {
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	// An error means that the server has closed the port already.
	a.parts.add(part{name: name, stop: func(context.Context) { _ = l.Close() }})
	return l, nil
}
