package soak_test

import (
	"flag"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/engines"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/jetstream/jetstreamtest"
	"github.com/backlog-scaler/backlog-scaler/internal/soak"
	"github.com/backlog-scaler/backlog-scaler/internal/soak/jetstreamstage"
	"github.com/backlog-scaler/backlog-scaler/internal/soak/kafkastage"
	"github.com/backlog-scaler/backlog-scaler/internal/soak/mutant"
	"github.com/backlog-scaler/backlog-scaler/internal/soak/plan"
	"github.com/backlog-scaler/backlog-scaler/internal/soak/rabbitstage"
	"github.com/backlog-scaler/backlog-scaler/internal/soak/redisstage"
	"github.com/backlog-scaler/backlog-scaler/internal/soak/sqlstage"
	"github.com/backlog-scaler/backlog-scaler/internal/soak/sqsstage"
	"github.com/backlog-scaler/backlog-scaler/internal/soak/stage"
)

// The flags of "make soak".
var (
	seed     = flag.Uint64("seed", 0, "what happens in the run; 0 chooses one")
	length   = flag.Duration("for", 0, "how long to run; 0 is a short run on one server")
	only     = flag.String("only", "", "the topologies to run on, separated by commas; all if empty")
	planOnly = flag.Bool("plan", false, "print what would happen, and run nothing")
)

func TestMain(m *testing.M) {
	// A server of NATS is this program.
	if code, served := jetstreamtest.ServeChild(); served {
		os.Exit(code)
	}
	goleak.VerifyTestMain(m,
		// A client of the soak itself that was dialling when its server was killed.
		goleak.IgnoreAnyFunction("github.com/redis/go-redis/v9/internal/pool.(*ConnPool).tryDial"),
	)
}

// TestSoak is "make soak". Without flags it is a short run on one server, the same as
// those in which mutants are found.
func TestSoak(t *testing.T) {
	if *length == 0 {
		t.Parallel()
		found(t, short(t, single(), engines.All(), 26*time.Second, nil))
		return
	}
	o := soak.Options{Seed: *seed, For: *length, Engines: engines.All(), Out: os.Stdout}
	if o.Seed == 0 {
		o.Seed = uint64(time.Now().UnixNano() % 1_000_000)
	}
	for _, topology := range topologies() {
		if *only == "" || slices.Contains(strings.Split(*only, ","), topology.Topology) {
			o.Topologies = append(o.Topologies, topology)
		}
	}
	if *planOnly {
		for _, step := range o.Plan() {
			fmt.Fprintln(o.Out, step)
		}
		return
	}
	found(t, soak.Run(t, o))
}

// topologies are those of all engines with servers of their own.
func topologies() []stage.Topology {
	return append(append(redisstage.Topologies(), kafkastage.Cluster(), rabbitstage.Node(), jetstreamstage.Cluster(), sqsstage.Server()), sqlstage.Topologies()...)
}

// found fails the test for what a run found.
func found(t *testing.T, violations []soak.Violation) {
	t.Helper()
	for _, v := range violations {
		t.Error(v)
	}
}

// short is a short run on one server, whose connections are refused from time to time.
func short(t *testing.T, server stage.Topology, all []backlog.Engine, length time.Duration, until func(soak.Violation) bool) []soak.Violation {
	t.Helper()
	server.Faults = []plan.Fault{
		{Name: redisstage.Refused, Weight: 1, Least: 2 * time.Second, Most: 3 * time.Second, Settle: 8 * time.Second},
	}
	return soak.Run(t, soak.Options{
		Seed: 3, For: length, Topologies: []stage.Topology{server}, Engines: all,
		WithoutScalerFaults: true, Until: until, Out: testOutput{t},
	})
}

// single is a server of Redis with some queues.
func single() stage.Topology {
	server := redisstage.Single()
	server.Queues = server.Queues[:8]
	return server
}

// TestMutantsAreFound: a soak finds an engine that breaks a promise, on either kind of queues.
func TestMutantsAreFound(t *testing.T) {
	t.Parallel()
	type promise struct {
		mutate func(backlog.Engine) backlog.Engine
		want   soak.Invariant
	}
	for name, c := range map[string]promise{
		"answers zero for a failed read": {mutant.Zero, soak.Understated},
		"drops wake-ups":                 {mutant.LosesWakeups, soak.Announced},
	} {
		for _, server := range []stage.Topology{single(), sqlstage.PostgreSQL()} {
			t.Run(name+"/"+server.Topology, func(t *testing.T) {
				t.Parallel()
				all := engines.All()
				for i := range all {
					all[i] = c.mutate(all[i])
				}
				// It ends as soon as the mutant is found, which on a busy machine takes longer.
				wanted := func(v soak.Violation) bool { return v.Invariant == c.want }
				violations := short(t, server, all, 4*time.Minute, wanted)
				if !slices.ContainsFunc(violations, wanted) {
					t.Errorf("found %v, want a violation of %q", violations, c.want)
				}
			})
		}
	}
}

// testOutput writes to the log of a test.
type testOutput struct{ *testing.T }

var _ io.Writer = testOutput{}

func (o testOutput) Write(text []byte) (int, error) {
	o.Helper()
	o.Log(string(text))
	return len(text), nil
}
