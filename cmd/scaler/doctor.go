package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/cli/command"
	"github.com/backlog-scaler/backlog-scaler/internal/doctor/facts"
	"github.com/backlog-scaler/backlog-scaler/internal/doctor/running"
	"github.com/backlog-scaler/backlog-scaler/internal/kube"
	"github.com/backlog-scaler/backlog-scaler/internal/kube/api"
	"github.com/backlog-scaler/backlog-scaler/internal/server/inspector"
	"github.com/backlog-scaler/backlog-scaler/internal/telemetry"
)

// doctorCommand looks for traps.
type doctorCommand struct {
	command.Doctor

	Namespace string `short:"n" help:"Only namespace whose objects are read; all without it. With --offline, the namespace of objects that name none."`
	Address   string `placeholder:"HOST:PORT" help:"Admin API address of the scaler. Without it 127.0.0.1:9091 is tried, and its checks are skipped if no scaler answers." env:"SCALER_INSPECT_ADDRESS"`
}

// defaultAdmin is where a scaler answers by default.
const defaultAdmin = "127.0.0.1:9091"

// askTimeout bounds the call of a scaler that may not be there.
const askTimeout = 10 * time.Second

// Help is the end of the help of the command; kong shows it.
func (doctorCommand) Help() string { return command.DoctorCodes }

// Validate reports flags that do not go together; kong calls it.
func (c doctorCommand) Validate() error {
	if len(c.Offline) > 0 && c.Address != "" && os.Getenv("SCALER_INSPECT_ADDRESS") != c.Address {
		return errors.New("--address and --offline: want one of the two")
	}
	return nil
}

// Run looks for traps and prints a report.
func (c doctorCommand) Run(ctx context.Context, engines []backlog.Engine, stdout io.Writer, build telemetry.Build) error {
	return c.Examine(ctx, engines, command.Patient{
		Namespace: c.Namespace, Client: apiClient, Ask: c.ask, Now: time.Now(), Version: build.Version,
	}, stdout)
}

// apiClient returns the client of the API server of the environment.
func apiClient() (*api.Client, error) {
	access, err := kube.Access(os.Getenv("KUBECONFIG"))
	if err != nil {
		return nil, err
	}
	return api.New(access, "backlog-scaler-doctor", time.Now)
}

// ask asks the scaler that the flags name, or one that may be there.
func (c doctorCommand) ask(ctx context.Context) (found *facts.Scaler, none string, err error) {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	address := cmp.Or(c.Address, defaultAdmin)
	client, err := inspector.NewClient(address)
	if err != nil {
		return nil, "", err
	}
	defer func() { err = errors.Join(err, client.Close()) }()
	found, err = running.Ask(ctx, client, address, c.Namespace)
	switch {
	case err != nil && c.Address != "":
		return nil, "", advise(err)
	case err != nil:
		return nil, fmt.Sprintf("no scaler answers at %s: kubectl port-forward reaches one, and --address names another", defaultAdmin), nil
	}
	return found, "", nil
}
