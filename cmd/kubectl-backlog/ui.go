package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os/exec"
	"runtime"
	"strconv"

	"github.com/backlog-scaler/backlog-scaler/internal/kube/kubectl"
	"github.com/backlog-scaler/backlog-scaler/internal/kube/releases"
	"github.com/backlog-scaler/backlog-scaler/internal/kube/tunnel"
)

// uiCommand reaches the web page.
type uiCommand struct {
	Port int  `default:"0" placeholder:"PORT" help:"Port of 127.0.0.1 to listen at; a free one without it."`
	Open bool `help:"Open the page in a browser."`
	reach
}

// Validate reports flags that do not go together; kong calls it.
func (c *uiCommand) Validate() error {
	if c.Port < 0 || c.Port > 65535 {
		return fmt.Errorf("--port=%d: want a port from 1 to 65535, or 0 for a free one", c.Port)
	}
	return nil
}

// Run forwards a port of this machine until ctx ends. The address of the page is the only line of the output.
func (c *uiCommand) Run(ctx context.Context, stdout io.Writer, stderr notes) (err error) {
	note := stderr.noting()
	if c.Address != "" {
		return c.show(ctx, stdout, note, c.Address)
	}
	a, err := c.find()
	if err != nil {
		return err
	}
	f := newForwarder(
		func(ctx context.Context) ([]releases.Pod, error) { return c.pods(ctx, a) },
		func(pod releases.Pod) (*tunnel.Tunnel, error) { return tunnelTo(a, pod) }, note)
	defer func() { err = errors.Join(err, f.Close()) }()
	// That the scaler cannot be reached is an error of the command, and not of a browser.
	first, err := f.try(ctx)
	if err != nil {
		return c.allow(err, c.ScalerNamespace)
	}
	if err := first.Close(); err != nil {
		return err
	}
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(c.Port)))
	if err != nil {
		return fmt.Errorf("listen for a browser: %w; --port names another one, and without it a free one is used", err)
	}
	if err := c.show(ctx, stdout, note, listener.Addr().String()); err != nil {
		return errors.Join(err, listener.Close())
	}
	return f.serve(ctx, listener)
}

// tunnelTo returns the tunnel to the admin address of a pod.
func tunnelTo(a kubectl.Access, pod releases.Pod) (*tunnel.Tunnel, error) {
	return tunnel.New(a.Config, pod.Namespace, pod.Name, pod.Port)
}

// show prints the address of the page, and opens a browser if that is wanted.
func (c *uiCommand) show(ctx context.Context, stdout io.Writer, note func(string), address string) error {
	url := "http://" + address + "/"
	if _, err := fmt.Fprintln(stdout, url); err != nil {
		return err
	}
	if !c.Open {
		return nil
	}
	program, args := browser(runtime.GOOS)
	if err := exec.CommandContext(ctx, program, append(args, url)...).Run(); err != nil { //nolint:gosec // the program is a constant, and the URL is ours
		note(fmt.Sprintf("No browser was opened by %s: %v", program, err))
	}
	return nil
}

// browser is the program of a system that opens a URL.
func browser(system string) (program string, args []string) {
	switch system {
	case "darwin":
		return "open", nil
	case "windows":
		return "rundll32", []string{"url.dll,FileProtocolHandler"}
	default:
		return "xdg-open", nil
	}
}
