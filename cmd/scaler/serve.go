package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"github.com/alecthomas/kong"
	"google.golang.org/grpc/grpclog"

	"github.com/backlog-scaler/backlog-scaler/internal/app"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/page"
	"github.com/backlog-scaler/backlog-scaler/internal/sampler"
	"github.com/backlog-scaler/backlog-scaler/internal/server"
	"github.com/backlog-scaler/backlog-scaler/internal/telemetry"
)

// serveCommand serves KEDA until a signal.
type serveCommand struct {
	Config      string `required:"" type:"path" placeholder:"FILE" help:"Configuration file with the connections." env:"SCALER_CONFIG"`
	GRPCAddress string `name:"grpc-address" default:":9090" help:"gRPC listen address for KEDA." env:"SCALER_GRPC_ADDRESS"`
	HTTPAddress string `name:"http-address" default:":8080" help:"HTTP listen address for probes, metrics and the version." env:"SCALER_HTTP_ADDRESS"`
	// Operators reach it by kubectl port-forward. It is not for the network.
	AdminAddress string   `default:"127.0.0.1:9091" help:"Admin listen address, for the web page, scaler explain and scaler watch; it shows the queues of all namespaces. Empty disables it." env:"SCALER_ADMIN_ADDRESS"`
	AdminHosts   []string `placeholder:"NAME,..." help:"Names by which clients reach the admin address, next to addresses and localhost; requests to other names are rejected." env:"SCALER_ADMIN_HOSTS"`

	TLSCertFile     string `name:"tls-cert-file" type:"path" placeholder:"FILE" help:"Certificate of the gRPC server, in PEM. It is reloaded when it changes." env:"SCALER_TLS_CERT_FILE"`
	TLSKeyFile      string `name:"tls-key-file" type:"path" placeholder:"FILE" help:"Private key of the certificate, in PEM." env:"SCALER_TLS_KEY_FILE"`
	TLSClientCAFile string `name:"tls-client-ca-file" type:"path" placeholder:"FILE" help:"Authorities of client certificates, in PEM; only clients with a certificate from one of them may call." env:"SCALER_TLS_CLIENT_CA_FILE"`

	DrainDelay      time.Duration `default:"5s" help:"Time to keep serving after SIGTERM before shutdown begins." env:"SCALER_DRAIN_DELAY"`
	ShutdownTimeout time.Duration `default:"20s" help:"Time for calls to finish after the drain delay; then they are cut off." env:"SCALER_SHUTDOWN_TIMEOUT"`
	StreamLifetime  time.Duration `default:"30m" help:"Time after which a stream ends, so that KEDA can reopen it at another replica." env:"SCALER_STREAM_LIFETIME"`

	MaxStaleness        time.Duration `default:"30s" help:"Longest age of the last good reading that is used while reads fail; a trigger can set its own." env:"SCALER_MAX_STALENESS"`
	FirstReadingTimeout time.Duration `default:"2s" help:"Longest wait of a call for the first reading of a queue." env:"SCALER_FIRST_READING_TIMEOUT"`
	ReadTimeout         time.Duration `default:"2s" help:"Timeout of one batch of reads." env:"SCALER_READ_TIMEOUT"`
	SafetyInterval      time.Duration `default:"10s" help:"Interval for verifying idle queues that rely on change notifications: they are confirmed where possible, else read." env:"SCALER_SAFETY_INTERVAL"`
	ActiveInterval      time.Duration `default:"1s" help:"Interval for reading a queue with work." env:"SCALER_ACTIVE_INTERVAL"`
	WakeInterval        time.Duration `default:"20ms" help:"Shortest time between two reads of one queue." env:"SCALER_WAKE_INTERVAL"`
	WatchTTL            time.Duration `name:"watch-ttl" default:"5m" help:"Time for which a queue is read after the last call that requested it." env:"SCALER_WATCH_TTL"`

	MaxTriggers             int `default:"100000" help:"Maximum number of triggers in memory, over all namespaces; each may have three streams." env:"SCALER_MAX_TRIGGERS"`
	MaxTriggersPerNamespace int `default:"2000" help:"Maximum number of triggers in memory for each namespace." env:"SCALER_MAX_TRIGGERS_PER_NAMESPACE"`

	MaxConnections          int `default:"1000" help:"Maximum number of connections to the gRPC port; half of them may come from one address." env:"SCALER_MAX_CONNECTIONS"`
	MaxStreamsPerConnection int `default:"40000" help:"Maximum number of concurrent calls on one connection; KEDA holds two streams for each trigger. A higher limit needs more memory than the chart gives." env:"SCALER_MAX_STREAMS_PER_CONNECTION"`

	policiesFlags `embed:""`

	LogFormat string     `enum:"text,json" default:"text" help:"Format of the log: ${enum}." env:"SCALER_LOG_FORMAT"`
	LogLevel  slog.Level `default:"info" help:"Lowest level that is logged: debug, info, warn or error." env:"SCALER_LOG_LEVEL"`
	Pprof     bool       `help:"Go's profiles on the HTTP port." env:"SCALER_PPROF"`
}

// Validate reports flags that exclude each other or are out of range; kong calls it.
func (c serveCommand) Validate() error {
	if err := c.policiesFlags.Validate(); err != nil {
		return err
	}
	if (c.TLSCertFile == "") != (c.TLSKeyFile == "") {
		return errors.New("--tls-cert-file and --tls-key-file must be set together")
	}
	if c.TLSClientCAFile != "" && c.TLSCertFile == "" {
		return errors.New("--tls-client-ca-file needs --tls-cert-file and --tls-key-file")
	}
	for _, d := range []struct {
		flag  string
		value time.Duration
	}{
		{"shutdown-timeout", c.ShutdownTimeout},
		{"stream-lifetime", c.StreamLifetime},
		{"max-staleness", c.MaxStaleness},
		{"first-reading-timeout", c.FirstReadingTimeout},
		{"read-timeout", c.ReadTimeout},
		{"safety-interval", c.SafetyInterval},
		{"active-interval", c.ActiveInterval},
		{"wake-interval", c.WakeInterval},
		{"watch-ttl", c.WatchTTL},
	} {
		if d.value <= 0 {
			return errors.New("--" + d.flag + " must be greater than 0")
		}
	}
	if c.MaxTriggers < 1 || c.MaxTriggersPerNamespace < 1 {
		return errors.New("--max-triggers and --max-triggers-per-namespace must be greater than 0")
	}
	if c.MaxConnections < 2 || c.MaxStreamsPerConnection < 1 || c.MaxStreamsPerConnection > math.MaxInt32 {
		return errors.New("--max-connections must be at least 2, and --max-streams-per-connection greater than 0")
	}
	if c.DrainDelay < 0 {
		return errors.New("--drain-delay must not be negative")
	}
	return nil
}

// Run serves until ctx ends.
func (c serveCommand) Run(ctx context.Context, command *kong.Context, engines []backlog.Engine, build telemetry.Build) error {
	// Before anything else: by default the signal ends the process.
	hangUps := make(chan os.Signal, 1)
	signal.Notify(hangUps, syscall.SIGHUP)
	log := telemetry.NewLog(os.Stderr, c.LogFormat, c.LogLevel, backlog.Line)
	defer log.Close() //nolint:contextcheck // what it writes belongs to no call
	// grpc-go has one logger for the process, to be set before anything else of it is used.
	grpclog.SetLoggerV2(telemetry.NewGRPCLog(log.Logger))
	policies, err := c.source(log.Logger)
	if err != nil {
		return err
	}
	a, err := app.New(ctx, app.Options{
		Policies:        policies,
		Config:          c.Config,
		GRPCAddress:     c.GRPCAddress,
		HTTPAddress:     c.HTTPAddress,
		AdminAddress:    c.AdminAddress,
		AdminHosts:      c.AdminHosts,
		Replica:         replica(),
		Settings:        settings(command),
		TLS:             server.TLSFiles{Cert: c.TLSCertFile, Key: c.TLSKeyFile, ClientCA: c.TLSClientCAFile},
		DrainDelay:      c.DrainDelay,
		ShutdownTimeout: c.ShutdownTimeout,
		Profiles:        c.Pprof,
		Sampling: sampler.Options{
			SafetyInterval: c.SafetyInterval,
			ActiveInterval: c.ActiveInterval,
			WakeInterval:   c.WakeInterval,
			ReadTimeout:    c.ReadTimeout,
			FirstReading:   c.FirstReadingTimeout,
			WatchTTL:       c.WatchTTL,
		},
		Server: server.Options{
			MaxStaleness:   c.MaxStaleness,
			TriggerTTL:     c.WatchTTL,
			StreamLifetime: c.StreamLifetime,
			MaxTriggers:    c.MaxTriggers, MaxTriggersPerNamespace: c.MaxTriggersPerNamespace,
			MaxConnections: c.MaxConnections, MaxStreamsPerConnection: c.MaxStreamsPerConnection,
		},
		Engines: engines,
		Build:   build,
		Logger:  log.Logger,
	})
	if err != nil {
		return err
	}
	var background sync.WaitGroup
	defer background.Wait()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	background.Go(func() { reloadOn(ctx, hangUps, a.Reload) })
	if os.Getenv("GOGC") == "" {
		background.Go(func() { telemetry.TuneCollector(ctx) })
	}
	return a.Run(ctx)
}

// replica returns the name of this host, which is that of the pod; empty if it is unknown.
func replica() string {
	name, err := os.Hostname()
	if err != nil {
		return ""
	}
	return name
}

// settings returns the flags of the command with their values. None of them is a secret.
func settings(command *kong.Context) []page.Setting {
	var all []page.Setting
	for _, flag := range command.Selected().Flags {
		all = append(all, page.Setting{Name: flag.Name, Value: fmt.Sprint(flag.Target.Interface())})
	}
	return all
}

// reloadOn calls reload for each signal until ctx ends. Later signals are ignored, because
// the default effect of one would end a process that is shutting down.
func reloadOn(ctx context.Context, signals <-chan os.Signal, reload func()) {
	for {
		select {
		case <-signals:
			reload()
		case <-ctx.Done():
			return
		}
	}
}
