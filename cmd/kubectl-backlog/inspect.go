package main

import (
	"context"
	"errors"
	"io"
	"strings"
	"time"

	pb "github.com/backlog-scaler/backlog-scaler/gen/backlogscaler/v1"
	"github.com/backlog-scaler/backlog-scaler/internal/cli"
	"github.com/backlog-scaler/backlog-scaler/internal/cli/command"
)

// printed has the flag of the output.
type printed struct {
	Output string `short:"o" enum:"text,json,yaml" default:"text" help:"Output format: ${enum}."`
}

// explainCommand explains the decisions for a ScaledObject.
type explainCommand struct {
	ScaledObject string `arg:"" name:"name" help:"The ScaledObject, or a static watch of the configuration; NAMESPACE/NAME for one of another namespace."`
	Trigger      string `placeholder:"NAME" help:"Name of the metric of the only trigger to explain."`
	printed
	reach
	Timeout time.Duration `default:"15s" help:"Timeout of finding and asking the scaler."`
}

// Run asks the scaler and prints its response.
func (c *explainCommand) Run(ctx context.Context, stdout io.Writer, stderr notes) error {
	namespace, name, err := c.qualify(c.ScaledObject)
	if err != nil {
		return err
	}
	return c.ask(ctx, c.Timeout, stderr, func(ctx context.Context, s *scaler) error {
		return command.Explain(ctx, s, &pb.ExplainRequest{Namespace: namespace, ScaledObject: name, Trigger: c.Trigger}, c.Output, stdout)
	})
}

// qualify returns the namespace and the name of an object.
func (a *access) qualify(text string) (namespace, name string, err error) {
	if namespace, name, found := strings.Cut(text, "/"); found {
		return namespace, name, nil
	}
	namespace, err = a.in()
	return namespace, text, err
}

// ask calls a function with the scaler, within a time; 0 is none.
func (r *reach) ask(ctx context.Context, timeout time.Duration, stderr notes, do func(context.Context, *scaler) error) (err error) {
	if timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, timeout)
		defer cancel()
	}
	s, err := r.open(ctx, stderr.noting())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	return do(ctx, s)
}

// watchCommand shows all triggers.
type watchCommand struct {
	All bool `short:"A" name:"all-namespaces" help:"Show the triggers of all namespaces."`
	printed
	reach
}

// Run shows the triggers until ctx ends.
func (c *watchCommand) Run(ctx context.Context, stdout io.Writer, stderr notes) (err error) {
	namespace, err := c.scope(c.All)
	if err != nil {
		return err
	}
	view := command.NewView(c.Output, stdout, cli.TerminalSize(stdout), stderr.noting())
	defer view.Close()
	s, err := c.open(ctx, view.Note)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	return command.Watch(ctx, s, namespace, view)
}

// scope is the namespace that a command is about; empty for all.
func (a *access) scope(all bool) (string, error) {
	if all {
		return "", nil
	}
	return a.in()
}

// policyCommand has the commands for AutoscalerPolicies.
type policyCommand struct {
	Explain policyExplainCommand `cmd:"" help:"Explain what an AutoscalerPolicy decides, also one that no trigger names."`
	Check   policyCheckCommand   `cmd:"" help:"Check AutoscalerPolicies in files, offline, and print what they will do."`
}

// policyExplainCommand explains the decision of a policy.
type policyExplainCommand struct {
	Policy string `arg:"" name:"name" help:"The AutoscalerPolicy; NAMESPACE/NAME for one of another namespace."`
	printed
	reach
	Timeout time.Duration `default:"15s" help:"Timeout of finding and asking the scaler."`
}

// Run asks the scaler and prints its response.
func (c *policyExplainCommand) Run(ctx context.Context, stdout io.Writer, stderr notes) error {
	namespace, name, err := c.qualify(c.Policy)
	if err != nil {
		return err
	}
	return c.ask(ctx, c.Timeout, stderr, func(ctx context.Context, s *scaler) error {
		return command.ExplainPolicy(ctx, s, &pb.ExplainPolicyRequest{Namespace: namespace, Name: name}, c.Output, stdout)
	})
}
