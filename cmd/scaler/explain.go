package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	pb "github.com/backlog-scaler/backlog-scaler/gen/backlogscaler/v1"
	"github.com/backlog-scaler/backlog-scaler/internal/cli"
	"github.com/backlog-scaler/backlog-scaler/internal/cli/command"
	"github.com/backlog-scaler/backlog-scaler/internal/server/inspector"
)

// inspected are the flags of the commands that call a running scaler.
type inspected struct {
	Address string `default:"127.0.0.1:9091" help:"Admin API address of the scaler: its --admin-address." env:"SCALER_INSPECT_ADDRESS"`
	Output  string `short:"o" enum:"text,json,yaml" default:"text" help:"Output format: ${enum}."`
}

// advise adds the remedy to an error.
func advise(err error) error {
	if advice := inspector.Advice(err); advice != "" {
		return fmt.Errorf("%w\n%s", err, advice)
	}
	return err
}

// explainCommand explains the decisions for a ScaledObject, or those of a policy.
type explainCommand struct {
	ScaledObject string `arg:"" optional:"" name:"namespace/name" help:"The ScaledObject, or a static watch of the configuration."`
	Policy       string `placeholder:"NAMESPACE/NAME" help:"AutoscalerPolicy to explain in place of a ScaledObject, also one that no trigger names."`
	Trigger      string `placeholder:"NAME" help:"Name of the metric of the only trigger to explain."`
	inspected
	Timeout time.Duration `default:"5s" help:"Timeout of the call."`
}

// Validate reports names without a namespace, and flags that do not go together; kong calls it.
func (c explainCommand) Validate() error {
	switch {
	case c.Policy != "" && c.ScaledObject != "":
		return fmt.Errorf("%q and --policy: want one of the two", c.ScaledObject)
	case c.Policy != "" && c.Trigger != "":
		return errors.New("--trigger and --policy: want one of the two")
	case c.Policy != "" && !command.Qualified(c.Policy):
		return fmt.Errorf("--policy %q: want the namespace and the name of an AutoscalerPolicy, such as shop/billing", c.Policy)
	case c.Policy == "" && !command.Qualified(c.ScaledObject):
		return fmt.Errorf("%q: want the namespace and the name of a ScaledObject, such as shop/billing, or --policy", c.ScaledObject)
	}
	return nil
}

// Run calls the scaler and prints its response.
func (c explainCommand) Run(ctx context.Context, stdout io.Writer) (err error) {
	client, err := inspector.NewClient(c.Address)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, client.Close()) }()
	ctx, cancel := context.WithTimeout(ctx, c.Timeout)
	defer cancel()
	if c.Policy != "" {
		namespace, name, _ := strings.Cut(c.Policy, "/")
		return advise(command.ExplainPolicy(ctx, client, &pb.ExplainPolicyRequest{Namespace: namespace, Name: name}, c.Output, stdout))
	}
	namespace, name, _ := strings.Cut(c.ScaledObject, "/")
	return advise(command.Explain(ctx, client, &pb.ExplainRequest{Namespace: namespace, ScaledObject: name, Trigger: c.Trigger}, c.Output, stdout))
}

// watchCommand shows all triggers.
type watchCommand struct {
	Namespace string `short:"n" help:"Namespace of the triggers to show; all by default."`
	inspected
}

// Run shows the triggers until ctx ends: as a table if stdout is a terminal, else a
// line for each change.
func (c watchCommand) Run(ctx context.Context, stdout io.Writer) (err error) {
	client, err := inspector.NewClient(c.Address)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, client.Close()) }()
	view := command.NewView(c.Output, stdout, cli.TerminalSize(stdout), func(string) {})
	defer view.Close()
	return advise(command.Watch(ctx, client, c.Namespace, view))
}
