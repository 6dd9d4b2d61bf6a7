package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/app"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/config"
)

// checkCommand validates a configuration and tries each connection.
type checkCommand struct {
	Config  string        `required:"" type:"path" placeholder:"FILE" help:"Configuration file with the connections." env:"SCALER_CONFIG"`
	Timeout time.Duration `default:"5s" help:"Timeout for each connection."`
}

// errUnreachable is the outcome of a check that found the file valid.
var errUnreachable = errors.New("not every connection works")

// Run checks the file and prints a line for each connection. Below one that does not work it
// prints what to change.
func (c checkCommand) Run(ctx context.Context, engines []backlog.Engine, stdout io.Writer) error {
	loaded, err := config.Load(c.Config, engines)
	if err != nil {
		return err
	}
	if _, err := app.NewCatalog(loaded, engines); err != nil {
		return err
	}
	table := tabwriter.NewWriter(stdout, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(table, "CONNECTION\tENGINE\tSERVER\tWAKE-UP\tRESULT")
	var outcome error
	for _, connection := range loaded.Connections {
		status, err := c.try(ctx, engines, connection)
		result, change := "ok", ""
		if err != nil {
			result, change = backlog.Advice(err)
			outcome = errUnreachable
		}
		// Servers and files provide these texts.
		_, _ = fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\n", backlog.Line(connection.Name), connection.Engine,
			dash(backlog.Line(status.Server)), dash(status.WakeUp), backlog.Line(result))
		if change != "" {
			_, _ = fmt.Fprintf(table, "\t\t\t\tchange: %s\n", backlog.Line(change))
		}
		if status.WakeUpReason != "" {
			_, _ = fmt.Fprintf(table, "\t\t\t\tfallback reason: %s\n", backlog.Line(status.WakeUpReason))
		}
	}
	return errors.Join(table.Flush(), outcome)
}

// probeQueue is a queue that does not exist. A read of it needs the same rights as any other.
const probeQueue = "backlog-scaler-check"

// try reads a queue that does not exist, or asks the source to verify the connection, and returns
// the status of the connection.
func (c checkCommand) try(ctx context.Context, engines []backlog.Engine, connection backlog.Connection) (backlog.Status, error) {
	ctx, cancel := context.WithTimeout(ctx, c.Timeout)
	defer cancel()
	source, err := open(ctx, engines, connection)
	if err != nil {
		return backlog.Status{}, err
	}
	if prober, ok := source.(backlog.Prober); ok {
		err := prober.Probe(ctx)
		return source.Status(), errors.Join(err, source.Close())
	}
	layout := ""
	for _, engine := range engines {
		if engine.Name == connection.Engine {
			layout = engine.Layouts[0].Name
		}
	}
	result := source.Read(ctx, []backlog.Query{{Layout: layout, Queue: probeQueue}}, nil)[0]
	status := source.Status()
	// The mode of wake-ups is negotiated next to the first read, within milliseconds.
	for result.Err == nil && status.WakeUp == "" && ctx.Err() == nil {
		select {
		case <-time.After(10 * time.Millisecond):
			status = source.Status()
		case <-ctx.Done():
		}
	}
	return status, errors.Join(result.Err, source.Close())
}

func dash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}
