package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/app"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/config"
	"github.com/backlog-scaler/backlog-scaler/internal/doctor"
	"github.com/backlog-scaler/backlog-scaler/internal/doctor/cluster"
	"github.com/backlog-scaler/backlog-scaler/internal/doctor/facts"
	"github.com/backlog-scaler/backlog-scaler/internal/doctor/manifests"
	"github.com/backlog-scaler/backlog-scaler/internal/doctor/output"
	"github.com/backlog-scaler/backlog-scaler/internal/doctor/running"
	"github.com/backlog-scaler/backlog-scaler/internal/doctor/triggers"
	"github.com/backlog-scaler/backlog-scaler/internal/kube"
	"github.com/backlog-scaler/backlog-scaler/internal/kube/api"
	"github.com/backlog-scaler/backlog-scaler/internal/policycheck"
	"github.com/backlog-scaler/backlog-scaler/internal/telemetry"
	"github.com/backlog-scaler/backlog-scaler/internal/trigger"
)

// doctorCommand looks for traps.
type doctorCommand struct {
	Offline   []string      `placeholder:"FILE" help:"Manifests to check in place of a cluster: a file, a folder, or - for the standard input; may be repeated."`
	Config    string        `type:"path" placeholder:"FILE" help:"Configuration file of the scaler; connections are checked against it. The secrets that it names are not read."`
	Namespace string        `short:"n" help:"Only namespace whose objects are read; all without it. With --offline, the namespace of objects that name none."`
	Address   string        `placeholder:"HOST:PORT" help:"Admin API address of the scaler. Without it 127.0.0.1:9091 is tried, and its checks are skipped if no scaler answers." env:"SCALER_INSPECT_ADDRESS"`
	FailOn    string        `enum:"warning,error" default:"warning" help:"Least severity of a finding that gives the exit code 1: ${enum}."`
	Output    string        `short:"o" enum:"text,short,json,sarif" default:"text" help:"Output format: ${enum}."`
	Timeout   time.Duration `default:"2m" help:"Timeout of everything that is read."`
}

// defaultAdmin is where a scaler answers by default.
const defaultAdmin = "127.0.0.1:9091"

// askTimeout bounds the call of a scaler that may not be there.
const askTimeout = 10 * time.Second

// An exitError ends the program with a code of its own.
type exitError struct {
	error
	code int
}

func (e exitError) Unwrap() error { return e.error }

// ExitCode returns the code.
func (e exitError) ExitCode() int { return e.code }

// exitUnseen is the exit code of a doctor that could not look.
const exitUnseen = 3

// Help is the end of the help of the command; kong shows it.
func (doctorCommand) Help() string {
	return "Exit codes: 0 no finding, 1 findings of the severity of --fail-on or above, 2 wrong usage, 3 could not look at everything."
}

// Validate reports flags that do not go together; kong calls it.
func (c doctorCommand) Validate() error {
	if len(c.Offline) > 0 && c.Address != "" && os.Getenv("SCALER_INSPECT_ADDRESS") != c.Address {
		return errors.New("--address and --offline: want one of the two")
	}
	return nil
}

// Run looks for traps and prints a report.
func (c doctorCommand) Run(ctx context.Context, engines []backlog.Engine, stdout io.Writer, build telemetry.Build) error {
	ctx, cancel := context.WithTimeout(ctx, c.Timeout)
	defer cancel()
	known := facts.Facts{Now: time.Now()}
	if err := c.configure(&known, engines); err != nil {
		return exitError{err, exitUnseen}
	}
	if err := c.gather(ctx, &known); err != nil {
		return exitError{err, exitUnseen}
	}
	found := doctor.Examine(&known)
	if err := output.Write(stdout, c.Output, found, build.Version); err != nil {
		return exitError{err, exitUnseen}
	}
	threshold, err := doctor.ParseSeverity(c.FailOn)
	if err != nil {
		return exitError{err, 2}
	}
	switch err := found.Verdict(threshold); {
	case errors.Is(err, doctor.ErrIncomplete):
		return exitError{err, exitUnseen}
	default:
		return err
	}
}

// configure takes the scaler's configuration into facts, and the parsers of triggers and policies.
func (c doctorCommand) configure(known *facts.Facts, engines []backlog.Engine) error {
	var catalog *trigger.Catalog
	var connections []backlog.Connection
	if c.Config != "" {
		loaded, err := readConnections(c.Config, engines)
		if err != nil {
			return err
		}
		if catalog, err = app.NewCatalog(loaded, engines); err != nil {
			return err
		}
		connections, known.Connections = loaded.Connections, []string{}
		for i := range connections {
			known.Connections = append(known.Connections, connections[i].Name)
		}
		for i := range loaded.Watches {
			known.Watched = append(known.Watched, loaded.Watches[i].Trigger["connection"])
		}
	}
	known.Triggers = triggers.New(engines, catalog, connections)
	var err error
	known.Policies, err = policycheck.New(engines, catalog, cmp.Or(c.Namespace, "default"))
	return err
}

// readConnections reads a configuration, and none of the files and variables that it names: they may be
// secrets, and are not there where manifests are checked. So what the engines check of settings is not
// checked; scaler check does.
func readConnections(path string, engines []backlog.Engine) (*config.Config, error) {
	data, err := os.ReadFile(path) //nolint:gosec // the user names it
	if err != nil {
		return nil, fmt.Errorf("read the configuration: %w", err)
	}
	unchecked := slices.Clone(engines)
	for i := range unchecked {
		unchecked[i].Check = nil
	}
	const unread = "not read"
	loaded, err := config.Parse(data, unchecked,
		func(string) ([]byte, error) { return []byte(unread), nil }, func(string) (string, bool) { return unread, true })
	if err != nil {
		return nil, fmt.Errorf("the configuration %s is not valid:\n%w", path, err)
	}
	return loaded, nil
}

// gather reads manifests, or a cluster and a running scaler.
func (c doctorCommand) gather(ctx context.Context, known *facts.Facts) (err error) {
	if len(c.Offline) > 0 {
		known.NoScaler = "needs a running scaler, and manifests were given"
		known.Objects, err = manifests.Read(c.Offline, os.Stdin, cmp.Or(c.Namespace, "default"))
		if err == nil && len(known.Objects) == 0 {
			return errors.New("no manifest of a kind that is checked was found")
		}
		return err
	}
	access, err := kube.Access(os.Getenv("KUBECONFIG"))
	if err != nil {
		return err
	}
	client, err := api.New(access, "backlog-scaler-doctor", time.Now)
	if err != nil {
		return err
	}
	defer client.Close()
	if err := cluster.Gather(ctx, client, c.Namespace, known); err != nil {
		return err
	}
	ask, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	known.Scaler, err = running.Ask(ask, cmp.Or(c.Address, defaultAdmin), c.Namespace)
	switch {
	case err != nil && c.Address != "":
		return advise(err)
	case err != nil:
		known.NoScaler = fmt.Sprintf("no scaler answers at %s: kubectl port-forward reaches one, and --address names another", defaultAdmin)
	}
	return nil
}
