package soak

import (
	"context"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	pb "github.com/kedacore/keda/v2/pkg/scalers/externalscaler"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/backlog-scaler/backlog-scaler/internal/app"
	"github.com/backlog-scaler/backlog-scaler/internal/sampler"
	"github.com/backlog-scaler/backlog-scaler/internal/soak/plan"
	"github.com/backlog-scaler/backlog-scaler/internal/soak/stage"
	"github.com/backlog-scaler/backlog-scaler/internal/telemetry"
)

// scalerTopology is the name of the scaler among the topologies: its configuration is
// changed as they are.
const scalerTopology = "scaler"

// Names of the faults of the scaler's configuration.
const (
	reopen          = "configuration with all connections changed"
	breakFile       = "configuration broken"
	otherConnection = "configuration with a connection to nowhere"
)

func scalerShape() plan.Shape {
	return plan.Shape{Topology: scalerTopology, Pause: 20 * time.Second, Faults: []plan.Fault{
		// The file is read each second, and counts when two reads agree. All
		// connections are opened again.
		{Name: reopen, Weight: 2, Settle: 8 * time.Second},
		{Name: breakFile, Weight: 1, Least: 3 * time.Second, Most: 8 * time.Second, Settle: time.Second, Lasting: true},
		{Name: otherConnection, Weight: 1, Least: 3 * time.Second, Most: 8 * time.Second, Settle: time.Second, Lasting: true},
	}}
}

// startScaler starts the scaler with its defaults on ports of its own.
func (r *run) startScaler(ctx context.Context, t testing.TB) (stop func()) {
	t.Helper()
	r.configure(t)
	// Lines count as an operator gets to see them.
	log := telemetry.LimitRepeats(r.log)
	a, err := app.New(ctx, app.Options{
		Config: r.config, GRPCAddress: "127.0.0.1:0", HTTPAddress: "127.0.0.1:0", AdminAddress: "127.0.0.1:0",
		ShutdownTimeout: 10 * time.Second, Sampling: sampler.Options{}, Engines: r.options.Engines,
		Build: telemetry.NewBuild("soak", ""), Logger: log.Logger,
	})
	if err != nil {
		t.Fatal(err)
	}
	// It is asked until the very end of the run.
	asking := context.WithoutCancel(ctx)
	r.explain = func(name string) string { return explained(asking, a.AdminAddr().String(), name) }
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- a.Run(ctx) }()
	conn, err := grpc.NewClient(a.GRPCAddr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	r.client = pb.NewExternalScalerClient(conn)
	return func() { //nolint:contextcheck // the log writes its summaries when the run is over
		if err := conn.Close(); err != nil {
			t.Error(err)
		}
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("run the scaler: %v", err)
		}
		log.Close()
	}
}

// configure writes the configuration of the scaler.
func (r *run) configure(t testing.TB) {
	t.Helper()
	var b strings.Builder
	b.WriteString("connections:\n")
	for _, s := range r.brokers {
		connections := s.broker.Configuration()
		for _, name := range slices.Sorted(maps.Keys(connections)) {
			b.WriteString("  " + name + ":\n")
			for _, line := range connections[name] {
				b.WriteString("    " + line + "\n")
			}
			if r.reopened {
				b.WriteString("    " + s.topology.Reopen + "\n")
			}
		}
	}
	if r.added {
		b.WriteString("  nowhere:\n    engine: redis\n    namespaces: ['*']\n    addresses: ['127.0.0.1:1']\n")
	}
	if r.broken {
		b.WriteString("    usrname: broken\n")
	}
	next := r.config + ".next"
	if err := os.WriteFile(next, []byte(b.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(next, r.config); err != nil {
		t.Fatal(err)
	}
}

// disturbScaler changes the configuration of the scaler.
func (r *run) disturbScaler(ctx context.Context, t testing.TB, steps []plan.Step) {
	t.Helper()
	var mu sync.Mutex
	for _, step := range steps {
		if step.Topology == scalerTopology {
			r.suffer(ctx, step, scalerShape().Faults, &mu, func() stage.Trouble { return r.reconfigure(t, step.Fault) })
		}
	}
}

func (r *run) reconfigure(t testing.TB, fault string) stage.Trouble {
	t.Helper()
	change := func(flag *bool) {
		*flag = !*flag
		r.configure(t)
	}
	switch fault {
	case reopen:
		change(&r.reopened)
		return stage.Trouble{Text: strconv.FormatBool(r.reopened)}
	case breakFile:
		change(&r.broken)
		return stage.Trouble{End: func() { change(&r.broken) }}
	default:
		change(&r.added)
		return stage.Trouble{End: func() { change(&r.added) }}
	}
}
