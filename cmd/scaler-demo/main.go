// Command scaler-demo demonstrates the scaler on one machine, with a Redis, workloads and
// clients that act as KEDA and the HorizontalPodAutoscaler. "make run" starts it.
package main

import (
	"context"
	"fmt"
	"io"
	"os"

	"github.com/alecthomas/kong"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog/engines"
	"github.com/backlog-scaler/backlog-scaler/internal/cli"
	"github.com/backlog-scaler/backlog-scaler/internal/telemetry"
)

// version is set by the build: -ldflags "-X main.version=v1.2.3".
var version = "dev"

func main() {
	os.Exit(run(os.Args[1:], os.Stdout, os.Stderr))
}

// run is the program: arguments in, exit code out. The first SIGINT or SIGTERM
// ends it in order, a second one at once.
func run(args []string, stdout, stderr io.Writer) int {
	ctx, stop := cli.UntilSignal()
	defer stop()

	var c commandLine
	exit := -1
	parser, err := kong.New(&c,
		kong.Name("scaler-demo"),
		kong.Description("Demonstrates the scaler on this machine, with a Redis, workloads and clients that act as KEDA."),
		kong.UsageOnError(),
		kong.Writers(stdout, stderr),
		kong.Exit(func(code int) { exit = code }),
		kong.BindTo(ctx, (*context.Context)(nil)),
		kong.Bind(engines.All(), telemetry.NewBuild(version, "")),
		kong.BindTo(stdout, (*io.Writer)(nil)),
	)
	if err != nil {
		_, _ = fmt.Fprintln(stderr, "scaler-demo:", err)
		return 2
	}
	command, err := parser.Parse(args)
	switch {
	case exit >= 0: // help was asked for
		return exit
	case err != nil:
		_, _ = fmt.Fprintf(stderr, "scaler-demo: %s\nRun \"scaler-demo --help\" for the flags.\n", err)
		return 2
	}
	if err := command.Run(); err != nil {
		_, _ = fmt.Fprintln(stderr, "scaler-demo:", err)
		return 1
	}
	return 0
}
