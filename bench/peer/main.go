// Command peer is what the benchmark sets against the scaler: the server that the scaler is compared with, or a
// tenant that takes all it can get. It is a program of its own because its heap is a part of the comparison, and
// the benchmark links the clients of Kubernetes.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/backlog-scaler/backlog-scaler/bench/attack"
	"github.com/backlog-scaler/backlog-scaler/bench/baseline"
)

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

// run is the program: arguments in, exit code out.
func run(arguments []string, stdout, stderr io.Writer) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	err := errors.New(`usage: peer baseline, or peer attack NAME SCALER REDIS`)
	switch {
	case len(arguments) == 1 && arguments[0] == "baseline":
		err = baseline.Serve(ctx, stderr)
	case len(arguments) == 4 && arguments[0] == "attack":
		err = attack.Run(ctx, arguments[1], arguments[2], arguments[3], stdout)
	}
	if err != nil {
		fmt.Fprintln(stderr, "peer:", err)
		return 1
	}
	return 0
}
