// Command scaler is a KEDA external scaler for queues.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"slices"
	_ "time/tzdata" // the zones of schedules, where the machine has none

	"github.com/alecthomas/kong"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/engines"
	"github.com/backlog-scaler/backlog-scaler/internal/cli"
	"github.com/backlog-scaler/backlog-scaler/internal/cli/command"
	"github.com/backlog-scaler/backlog-scaler/internal/simulation/candidate"
	"github.com/backlog-scaler/backlog-scaler/internal/telemetry"
)

// version and revision are set by the release build:
// -ldflags "-X main.version=v1.2.3 -X main.revision=0123abc". An empty revision means
// the one that the Go toolchain recorded.
var version, revision = "dev", "" //nolint:gochecknoglobals // the linker can set nothing else

// serving is the command line of a scaler that is served.
type serving struct {
	Serve serveCommand `cmd:"" help:"Serve KEDA's external scaler protocol."`
}

// commandLine is the command line.
type commandLine struct {
	serving

	Read    readCommand    `cmd:"" help:"Read one queue once and print the reading."`
	Check   checkCommand   `cmd:"" help:"Validate a configuration and try each of its connections."`
	Explain explainCommand `cmd:"" help:"Explain why a running scaler scales a ScaledObject as it does."`
	Watch   watchCommand   `cmd:"" help:"Show all triggers of a running scaler, live."`
	Policy  policyCommand  `cmd:"" help:"Check AutoscalerPolicies."`

	Doctor   doctorCommand   `cmd:"" help:"Find traps in the set-up of KEDA, a cluster and the scaler."`
	Migrate  migrateCommand  `cmd:"" help:"Turn triggers of KEDA's own scalers into triggers of this one, with a report."`
	Record   recordCommand   `cmd:"" help:"Record what comes to a queue, as a trace for simulate."`
	Simulate simulateCommand `cmd:"" help:"Replay what came to a queue, with triggers and policies that are not turned on yet."`
	Tune     tuneCommand     `cmd:"" help:"Search the settings of a ScaledObject that meet a goal at the least cost, on a trace."`

	Version versionCommand `cmd:"" help:"Print the version."`
}

// grammar returns the command line of a run. Building flags takes a large part of a start, so a scaler
// that is served has those of serve alone, and the flags of layouts are there where a queue is read.
func grammar(args []string, all []backlog.Engine) any {
	if len(args) > 0 && args[0] == "serve" {
		return &serving{}
	}
	var c commandLine
	if slices.Contains(args, "read") {
		c.Read.Plugins = kong.Plugins{metadataFlags(all)}
	}
	return &c
}

func main() {
	os.Exit(run(os.Args[1:], os.Stdout, os.Stderr))
}

// notes is the standard error, for what accompanies the output of a command.
type notes struct{ io.Writer }

// run is the program: arguments in, exit code out. The first SIGINT or SIGTERM
// ends it in order, a second one at once.
func run(args []string, stdout, stderr io.Writer) int {
	ctx, stop := cli.UntilSignal()
	defer stop()

	all := engines.All()
	exit := -1
	parser, err := kong.New(grammar(args, all),
		kong.Name("scaler"),
		kong.Description("Scales queue workers by their backlog, through KEDA."),
		kong.UsageOnError(),
		kong.Writers(stdout, stderr),
		kong.Exit(func(code int) { exit = code }),
		kong.BindTo(ctx, (*context.Context)(nil)),
		kong.Bind(all, telemetry.NewBuild(version, revision), notes{stderr}),
		kong.Vars{"notice": candidate.DefaultNotice.String()},
		kong.BindTo(stdout, (*io.Writer)(nil)),
	)
	if err != nil {
		_, _ = fmt.Fprintln(stderr, "scaler:", err)
		return 2
	}
	parsed, err := parser.Parse(args)
	switch {
	case exit >= 0: // help was asked for
		return exit
	case err != nil:
		return command.Misused(stderr, "scaler", err)
	}
	return command.Ended(stderr, "scaler", parsed.Run())
}

// versionCommand prints the version.
type versionCommand struct{}

// Run prints the version, the revision and the Go version.
func (versionCommand) Run(stdout io.Writer, build telemetry.Build) error {
	return build.Print(stdout, "scaler")
}
