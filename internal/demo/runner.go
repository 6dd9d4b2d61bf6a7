package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"github.com/redis/go-redis/v9"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/backlog-scaler/backlog-scaler/internal/app"
	"github.com/backlog-scaler/backlog-scaler/internal/demo/broker"
	"github.com/backlog-scaler/backlog-scaler/internal/demo/caller"
	"github.com/backlog-scaler/backlog-scaler/internal/demo/journal"
	"github.com/backlog-scaler/backlog-scaler/internal/demo/operator"
	"github.com/backlog-scaler/backlog-scaler/internal/demo/workload"
	"github.com/backlog-scaler/backlog-scaler/internal/hpa"
)

// What the ScaledObjects of the demo say.
const (
	connection = "demo"
	namespace  = "demo"
)

// shutdownTimeout bounds how long the scaler may take to end.
const shutdownTimeout = 5 * time.Second

// A runner holds all parts of the demo.
type runner struct {
	options   Options
	began     time.Time
	log       *journal.Journal
	broker    *broker.Broker
	redis     *redis.Client
	scaler    *app.App
	conn      *grpc.ClientConn
	metrics   *scraper
	operator  *operator.Operator
	workloads []scaledWorkload
	// nextEvent is the number of the first event that was not shown. The goroutine that shows
	// them owns it.
	nextEvent int
}

// A scaledWorkload is a workload with the caller that scales it.
type scaledWorkload struct {
	workload *workload.Workload
	caller   *caller.Caller
	// metadata is the metadata of its trigger.
	metadata map[string]string
}

func newRunner(ctx context.Context, options Options, server *broker.Broker, dir string) (*runner, error) {
	connections := 10 // for the sources and for the replicas that just end
	for _, spec := range options.Workloads {
		connections += 2 * int(spec.Max)
	}
	s := &runner{options: options, began: time.Now(), log: journal.New(), broker: server, redis: server.Client(connections)}
	for _, spec := range options.Workloads {
		w, err := workload.New(ctx, s.redis, spec, s.log)
		if err != nil {
			return nil, errors.Join(err, s.redis.Close())
		}
		s.workloads = append(s.workloads, scaledWorkload{workload: w})
	}
	parsed, err := operator.Parse(options.Policies, options.Engines, namespace)
	if err != nil {
		return nil, errors.Join(err, s.redis.Close())
	}
	s.operator = operator.New(parsed, s.find, s.log)
	if err := s.startScaler(ctx, dir); err != nil {
		return nil, errors.Join(err, s.redis.Close())
	}
	return s, nil
}

// find returns the workload of a name; nil if there is none.
func (s *runner) find(name string) operator.Workload {
	for _, p := range s.workloads {
		if p.workload.Spec().Name == name {
			return p.workload
		}
	}
	return nil
}

// startScaler makes the scaler listen, and creates the clients that call it.
func (s *runner) startScaler(ctx context.Context, dir string) error {
	path := filepath.Join(dir, "connections.yaml")
	config := fmt.Sprintf("connections:\n  %s:\n    engine: redis\n    addresses: [%q]\n    namespaces: [%q]\n", connection, s.broker.Addr, namespace)
	if err := os.WriteFile(path, []byte(config), 0o600); err != nil {
		return fmt.Errorf("write the scaler's configuration: %w", err)
	}
	a, err := app.New(ctx, app.Options{
		Config:          path,
		GRPCAddress:     s.options.GRPCAddress,
		HTTPAddress:     s.options.HTTPAddress,
		AdminAddress:    s.options.AdminAddress,
		ShutdownTimeout: shutdownTimeout,
		Policies:        s.operator.Open,
		Engines:         s.options.Engines,
		Build:           s.options.Build,
		Logger:          newLogger(s.log.Writer("scaler")),
	})
	if err != nil {
		return s.nameFlag(err)
	}
	s.scaler = a
	s.metrics = newScraper("http://"+a.HTTPAddr().String()+"/metrics", &http.Client{Transport: &http.Transport{}})
	// A client of gRPC connects when it is first used, so this fails for no server.
	if s.conn, err = grpc.NewClient(a.GRPCAddr().String(), grpc.WithTransportCredentials(insecure.NewCredentials())); err != nil {
		return fmt.Errorf("make a client of the scaler: %w", err)
	}
	for i := range s.workloads {
		s.attach(&s.workloads[i])
	}
	return nil
}

// newLogger returns a logger of warnings and errors, without times: events have their own.
func newLogger(w io.Writer) *slog.Logger {
	return slog.New(slog.NewTextHandler(w, &slog.HandlerOptions{
		Level: slog.LevelWarn,
		ReplaceAttr: func(groups []string, a slog.Attr) slog.Attr {
			if len(groups) == 0 && a.Key == slog.TimeKey {
				return slog.Attr{}
			}
			return a
		},
	}))
}

// nameFlag adds the flag that chooses another address, if a port is taken.
func (s *runner) nameFlag(err error) error {
	if !errors.Is(err, syscall.EADDRINUSE) {
		return err
	}
	flag := "--grpc-address"
	if op := new(net.OpError); errors.As(err, &op) && op.Addr != nil {
		switch op.Addr.String() {
		case s.options.HTTPAddress:
			flag = "--http-address"
		case s.options.AdminAddress:
			flag = "--admin-address"
		}
	}
	return fmt.Errorf("%w; choose another address with %s, such as %s 127.0.0.1:0 for any free port", err, flag, flag)
}

// attach gives a workload the caller that scales it.
func (s *runner) attach(p *scaledWorkload) {
	spec := p.workload.Spec()
	p.metadata = p.workload.Metadata(connection)
	metadata := map[string]string{"scalerAddress": s.scaler.GRPCAddr().String()}
	maps.Copy(metadata, p.metadata)
	down := hpa.DefaultDown()
	down.Stabilization = s.options.Stabilization
	p.caller = caller.New(s.conn, caller.Object{
		Name: spec.Name, Namespace: namespace, Metadata: metadata,
		Polling: s.options.Polling, Sync: s.options.Sync,
		Scaling: hpa.ScaledObject{
			Max: spec.Max, Cooldown: s.options.Cooldown, Created: s.began,
			Behavior: &hpa.Behavior{Up: hpa.DefaultUp(), Down: down},
		},
	}, p.workload, p.workload.Arrival, s.log)
}

// run plays until ctx ends or the demo is over, and stops everything in order: the
// callers, the workloads, the scaler.
func (s *runner) run(ctx context.Context) error {
	failed := make(chan error, 1)
	stopScaler := background(ctx, func(ctx context.Context) {
		if err := s.scaler.Run(ctx); err != nil {
			failed <- err
		}
	})
	stopFigures := background(ctx, func(ctx context.Context) { s.metrics.run(ctx) })
	var stopWorkloads, stopCallers []func()
	for _, p := range s.workloads {
		stopWorkloads = append(stopWorkloads, background(ctx, p.workload.Run))
		stopCallers = append(stopCallers, background(ctx, func(ctx context.Context) {
			if p.workload.Spec().Policy != "" {
				s.operator.Await(ctx)
			}
			p.caller.Run(ctx)
		}))
	}
	err := s.show(ctx, failed)
	_, _ = fmt.Fprintln(s.options.Out, "Ending: the replicas finish what they have begun.")
	together(stopCallers)
	together(stopWorkloads)
	stopFigures()
	stopScaler()
	s.printTotals()
	return err
}

// background runs a part until the function that it returns is called, which waits
// for the part's end. The end of ctx does not end it: parts end in order.
func background(ctx context.Context, part func(context.Context)) (stop func()) {
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	done := make(chan struct{})
	go func() {
		defer close(done)
		part(ctx)
	}()
	return func() {
		cancel()
		<-done
	}
}

// together calls all at the same time, and waits for them.
func together(calls []func()) {
	var all sync.WaitGroup
	for _, call := range calls {
		all.Go(call)
	}
	all.Wait()
}

// close ends what newStage began. What cannot be closed is about to be gone.
func (s *runner) close() {
	_ = s.conn.Close()
	_ = s.redis.Close()
}
