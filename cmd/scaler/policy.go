package main

import (
	"io"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/cli/command"
)

// policyCommand has the commands for AutoscalerPolicies.
type policyCommand struct {
	Check policyCheckCommand `cmd:"" help:"Check AutoscalerPolicies in files, offline, and print what they will do."`
}

// policyCheckCommand checks policies in files.
type policyCheckCommand struct {
	command.PolicyCheck

	Namespace string `short:"n" default:"default" help:"Namespace of policies that name none."`
}

// Run checks the files and prints a report. The error is nil if there is a policy and no mistake.
func (c policyCheckCommand) Run(engines []backlog.Engine, stdout io.Writer) error {
	return c.Check(engines, c.Namespace, time.Now(), stdout)
}
