// Command kubectl-backlog is a plugin of kubectl that finds the scaler in a cluster, and asks it.
package main

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"
	_ "time/tzdata" // the zones of schedules, where the machine has none

	"github.com/alecthomas/kong"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog/engines"
	"github.com/backlog-scaler/backlog-scaler/internal/cli"
	"github.com/backlog-scaler/backlog-scaler/internal/cli/command"
	"github.com/backlog-scaler/backlog-scaler/internal/kube/kubectl"
	"github.com/backlog-scaler/backlog-scaler/internal/telemetry"
)

// version and revision are set by the release build:
// -ldflags "-X main.version=v1.2.3 -X main.revision=0123abc". An empty revision means
// the one that the Go toolchain recorded.
var version, revision = "dev", "" //nolint:gochecknoglobals // the linker can set nothing else

// commandLine is the command line.
type commandLine struct {
	Explain explainCommand `cmd:"" help:"Explain why the scaler scales a ScaledObject as it does."`
	Watch   watchCommand   `cmd:"" help:"Show the triggers of the scaler, live."`
	Policy  policyCommand  `cmd:"" help:"Explain and check AutoscalerPolicies."`
	Doctor  doctorCommand  `cmd:"" help:"Find traps in the set-up of KEDA, the cluster and the scaler."`
	UI      uiCommand      `cmd:"" name:"ui" help:"Reach the web page of the scaler from this machine."`

	Completion completionCommand `cmd:"" help:"Complete names and flags in a shell."`
	Version    versionCommand    `cmd:"" help:"Print the version."`
}

func main() {
	kubectl.Quiet()
	os.Exit(run(os.Args[0], os.Args[1:], os.Stdout, os.Stderr))
}

// notes is the standard error, for what accompanies the output of a command.
type notes struct{ io.Writer }

// run is the program: its path and arguments in, exit code out. The first SIGINT or SIGTERM ends it in order, a
// second one at once.
func run(path string, args []string, stdout, stderr io.Writer) int {
	ctx, stop := cli.UntilSignal()
	defer stop()

	program := nameOf(path)
	exit := -1
	parser, err := kong.New(new(commandLine),
		kong.Name(program),
		kong.Description("Finds the backlog-scaler in the cluster, and asks it."),
		kong.UsageOnError(),
		kong.Writers(stdout, stderr),
		kong.Exit(func(code int) { exit = code }),
		kong.BindTo(ctx, (*context.Context)(nil)),
		kong.Bind(engines.All(), telemetry.NewBuild(version, revision), notes{stderr}),
		kong.BindTo(stdout, (*io.Writer)(nil)),
	)
	if err != nil {
		return command.Misused(stderr, program, err)
	}
	if len(args) > 0 && args[0] == completeCommand {
		return command.Ended(stderr, program, complete(ctx, parser.Model, args[1:], stdout))
	}
	parsed, err := parser.Parse(args)
	switch {
	case exit >= 0: // help was asked for
		return exit
	case err != nil:
		return command.Misused(stderr, program, err)
	}
	return command.Ended(stderr, program, parsed.Run())
}

// nameOf is what a user types: kubectl starts a plugin by the path of its file.
// https://kubernetes.io/docs/tasks/extend-kubectl/kubectl-plugins/
func nameOf(path string) string {
	name := strings.TrimSuffix(filepath.Base(path), ".exe")
	if plugin, ok := strings.CutPrefix(name, "kubectl-"); ok {
		return "kubectl " + plugin
	}
	return name
}

// versionCommand prints the version.
type versionCommand struct{}

// Run prints the version, the revision and the Go version.
func (versionCommand) Run(stdout io.Writer, build telemetry.Build) error {
	return build.Print(stdout, "kubectl-backlog")
}
