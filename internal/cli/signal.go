// Package cli is what the command lines of the programs have in common: how signals end
// them, and how large their terminal is.
package cli

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

// UntilSignal returns a context that ends with the first SIGINT or SIGTERM, or when stop
// is called. By then signals have their default effect again, so that a second one ends the
// program as soon as the first one shows.
func UntilSignal() (context.Context, context.CancelFunc) {
	ctx, stop := context.WithCancel(context.Background())
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	go func() {
		select {
		case <-signals:
		case <-ctx.Done():
		}
		signal.Stop(signals)
		stop()
	}()
	return ctx, stop
}
