package main

import (
	"context"
	"errors"
	"io"
	"os"
	"strings"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/cli/command"
	"github.com/backlog-scaler/backlog-scaler/internal/doctor/facts"
	"github.com/backlog-scaler/backlog-scaler/internal/doctor/running"
	"github.com/backlog-scaler/backlog-scaler/internal/telemetry"
)

// policyCheckCommand checks policies in files.
type policyCheckCommand struct {
	command.PolicyCheck

	Namespace string `short:"n" default:"default" help:"Namespace of policies that name none."`
}

// Run checks the files and prints a report. The error is nil if there is a policy and no mistake.
func (c *policyCheckCommand) Run(engines []backlog.Engine, stdout io.Writer) error {
	return c.Check(engines, c.Namespace, time.Now(), stdout)
}

// doctorCommand looks for traps.
type doctorCommand struct {
	command.Doctor

	All bool `short:"A" name:"all-namespaces" help:"Examine all namespaces."`
	reach
}

// Help is the end of the help of the command; kong shows it.
func (*doctorCommand) Help() string { return command.DoctorCodes }

// Validate reports flags that do not go together; kong calls it.
func (c *doctorCommand) Validate() error {
	if len(c.Offline) > 0 && c.Address != "" && os.Getenv("SCALER_INSPECT_ADDRESS") != c.Address {
		return errors.New("--address and --offline: want one of the two")
	}
	return nil
}

// askTimeout bounds finding and asking a scaler that may not be there.
const askTimeout = 30 * time.Second

// Run looks for traps and prints a report.
func (c *doctorCommand) Run(ctx context.Context, engines []backlog.Engine, stdout io.Writer, stderr notes, build telemetry.Build) error {
	namespace := c.Namespace
	if len(c.Offline) == 0 {
		var err error
		if namespace, err = c.scope(c.All); err != nil {
			return command.Unseen(err)
		}
	}
	return c.Examine(ctx, engines, command.Patient{
		Namespace: namespace, Client: c.client, Now: time.Now(), Version: build.Version,
		Ask: func(ctx context.Context) (found *facts.Scaler, none string, err error) {
			err = c.ask(ctx, askTimeout, stderr, func(ctx context.Context, s *scaler) error {
				found, err = running.Ask(ctx, s, s.name, namespace)
				return err
			})
			// The other checks need no scaler.
			if err != nil && c.Address == "" {
				why, _, _ := strings.Cut(err.Error(), "\n") // without the Role that helps
				return nil, "no scaler was asked: " + backlog.Line(why), nil
			}
			return found, "", err
		},
	}, stdout)
}
