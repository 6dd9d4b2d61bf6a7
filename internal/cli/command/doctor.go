package command

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
	"github.com/backlog-scaler/backlog-scaler/internal/doctor/triggers"
	"github.com/backlog-scaler/backlog-scaler/internal/kube/api"
	"github.com/backlog-scaler/backlog-scaler/internal/policycheck"
	"github.com/backlog-scaler/backlog-scaler/internal/trigger"
)

// Doctor looks for traps.
type Doctor struct {
	Offline []string      `placeholder:"FILE" help:"Manifests to check in place of a cluster: a file, a folder, or - for the standard input; may be repeated."`
	Config  string        `type:"path" placeholder:"FILE" help:"Configuration file of the scaler; connections are checked against it. The secrets that it names are not read."`
	FailOn  string        `enum:"warning,error" default:"warning" help:"Least severity of a finding that gives the exit code 1: ${enum}."`
	Output  string        `short:"o" enum:"text,short,json,sarif" default:"text" help:"Output format: ${enum}."`
	Timeout time.Duration `default:"2m" help:"Timeout of everything that is read."`
}

// A Patient is what is examined.
type Patient struct {
	// Namespace is the only one whose objects are read; empty for all. It is that of manifests that
	// name none, too.
	Namespace string
	// Client returns the client of the API server. It is closed in the end.
	Client func() (*api.Client, error)
	// Ask returns what the running scaler knows, or why none was asked, as the checks that need it say.
	Ask func(ctx context.Context) (_ *facts.Scaler, none string, _ error)
	// Now is when it is examined, and Version is that of the program.
	Now     time.Time
	Version string
}

// exitUnseen is the exit code of a doctor that could not look.
const exitUnseen = 3

// Unseen gives an error the exit code of a doctor that could not look.
func Unseen(err error) error { return exitError{err, exitUnseen} }

// DoctorCodes is the end of the help of the command.
const DoctorCodes = "Exit codes: 0 no finding, 1 findings of the severity of --fail-on or above, 2 wrong usage, 3 could not look at everything."

// Examine looks for traps and prints a report.
func (c *Doctor) Examine(ctx context.Context, engines []backlog.Engine, p Patient, stdout io.Writer) error {
	ctx, cancel := context.WithTimeout(ctx, c.Timeout)
	defer cancel()
	known := facts.Facts{Now: p.Now}
	if err := c.configure(&known, engines, p.Namespace); err != nil {
		return Unseen(err)
	}
	if err := c.gather(ctx, &known, p); err != nil {
		return Unseen(err)
	}
	found := doctor.Examine(&known)
	if err := output.Write(stdout, c.Output, found, p.Version); err != nil {
		return Unseen(err)
	}
	threshold, err := doctor.ParseSeverity(c.FailOn)
	if err != nil {
		return exitError{err, 2}
	}
	switch err := found.Verdict(threshold); {
	case errors.Is(err, doctor.ErrIncomplete):
		return Unseen(err)
	default:
		return err
	}
}

// configure takes the scaler's configuration into facts, and the parsers of triggers and policies.
func (c *Doctor) configure(known *facts.Facts, engines []backlog.Engine, namespace string) error {
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
	known.Policies, err = policycheck.New(engines, catalog, cmp.Or(namespace, "default"))
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
func (c *Doctor) gather(ctx context.Context, known *facts.Facts, p Patient) (err error) {
	if len(c.Offline) > 0 {
		known.NoScaler = "needs a running scaler, and manifests were given"
		known.Objects, err = manifests.Read(c.Offline, os.Stdin, cmp.Or(p.Namespace, "default"))
		if err == nil && len(known.Objects) == 0 {
			return errors.New("no manifest of a kind that is checked was found")
		}
		return err
	}
	client, err := p.Client()
	if err != nil {
		return err
	}
	defer client.Close()
	if err := cluster.Gather(ctx, client, p.Namespace, known); err != nil {
		return err
	}
	known.Scaler, known.NoScaler, err = p.Ask(ctx)
	return err
}
