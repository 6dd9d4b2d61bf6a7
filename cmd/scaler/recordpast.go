package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/cli/command"
	"github.com/backlog-scaler/backlog-scaler/internal/config"
	"github.com/backlog-scaler/backlog-scaler/internal/simulation/record"
)

// pastFlags are the flags of a Prometheus that has the past. The names of its settings are those of a
// connection.
type pastFlags struct {
	Prometheus            string         `placeholder:"URL" help:"Address of Prometheus to take the past from, in place of a scaler."`
	Config                string         `type:"path" placeholder:"FILE" help:"Configuration file with the --connection."`
	Connection            string         `placeholder:"NAME" help:"Connection of --config whose Prometheus has the past, with its login and its certificates, in place of --prometheus."`
	Query                 string         `placeholder:"PROMQL" help:"With Prometheus: arrivals in messages per second, as one series, such as 'sum(rate(orders_total[1m]))'."`
	Step                  time.Duration  `default:"1m" help:"With Prometheus: time between two values."`
	To                    command.Moment `placeholder:"TIME" help:"With Prometheus: end of the time, such as 2026-11-26 or 2026-11-26T12:00:00Z; now without it."`
	Username              string         `help:"With --prometheus: user of HTTP basic authentication."`
	PasswordFile          string         `type:"path" placeholder:"FILE" help:"With --prometheus: file with the password of the user."`
	TokenFile             string         `type:"path" placeholder:"FILE" help:"With --prometheus: file with a bearer token, in place of a user."`
	Tenant                string         `help:"With --prometheus: tenant of Mimir and Cortex."`
	TLSCAFile             string         `name:"tls-ca-file" type:"path" placeholder:"FILE" help:"With --prometheus: certificates (PEM) of the authorities to trust, in place of the system's."`
	TLSCertFile           string         `name:"tls-cert-file" type:"path" placeholder:"FILE" help:"With --prometheus: client certificate (PEM)."`
	TLSKeyFile            string         `name:"tls-key-file" type:"path" placeholder:"FILE" help:"With --prometheus: private key (PEM) of the client certificate."`
	TLSServerName         string         `name:"tls-server-name" placeholder:"NAME" help:"With --prometheus: name that its certificate must have, where it is not the host of the address."`
	TLSInsecureSkipVerify bool           `name:"tls-insecure-skip-verify" help:"With --prometheus: accept any certificate. For experiments only."`
}

// named reports whether a Prometheus is named.
func (f *pastFlags) named() bool { return f.Prometheus != "" || f.Connection != "" }

// checkPast reports flags that do not go together.
func (f *pastFlags) checkPast() error {
	switch {
	case f.Prometheus != "" && f.Connection != "":
		return errors.New("--prometheus and --connection: want one of them")
	case (f.Connection == "") != (f.Config == ""):
		return errors.New("--config and --connection: want both or none")
	case !f.named() && f.Query != "":
		return errors.New("--query: want --prometheus, or --connection with --config, too")
	case f.named() && f.Query == "":
		return errors.New("--query: missing, want a rate in messages per second, such as 'sum(rate(orders_total[1m]))'")
	case f.Prometheus == "" && len(f.settings()) > 0:
		return errors.New("--username, --password-file, --token-file, --tenant and --tls-...: want --prometheus, too")
	case f.Step < time.Second || f.Step > time.Hour:
		return fmt.Errorf("--step=%s: want 1s to 1h", f.Step)
	}
	return nil
}

// settings returns the settings of a connection that flags have, but the address.
func (f *pastFlags) settings() map[string]any {
	settings := make(map[string]any)
	for name, value := range map[string]string{
		"username": f.Username, "tenant": f.Tenant, "tlsCAFile": f.TLSCAFile, "tlsCertFile": f.TLSCertFile, "tlsKeyFile": f.TLSKeyFile, "tlsServerName": f.TLSServerName,
	} {
		if value != "" {
			settings[name] = value
		}
	}
	for name, file := range map[string]string{"password": f.PasswordFile, "token": f.TokenFile} {
		if file != "" {
			settings[name] = map[string]string{"file": file}
		}
	}
	if f.TLSInsecureSkipVerify {
		settings["tlsInsecureSkipVerify"] = true
	}
	return settings
}

// connection returns the connection that is named: one of the configuration, or that which the flags are.
func (f *pastFlags) connection(engines []backlog.Engine) (backlog.Connection, error) {
	if f.Connection == "" {
		return f.flagged(engines)
	}
	loaded, err := config.Load(f.Config, engines)
	if err != nil {
		return backlog.Connection{}, err
	}
	for _, c := range loaded.Connections {
		if c.Name == f.Connection {
			return c, nil
		}
	}
	return backlog.Connection{}, fmt.Errorf("--connection: %s has no connection %q", f.Config, f.Connection)
}

// maxSettingFile bounds a file with a secret or with certificates, as in a configuration.
const maxSettingFile = 1 << 20

// flagged has the parser of configurations check the flags, and read their files.
func (f *pastFlags) flagged(engines []backlog.Engine) (backlog.Connection, error) {
	const name = "prometheus"
	settings := f.settings()
	settings["engine"], settings["namespaces"], settings["url"] = name, []string{"*"}, f.Prometheus
	data, err := json.Marshal(map[string]any{"connections": map[string]any{name: settings}}) // JSON is YAML
	if err != nil {
		return backlog.Connection{}, fmt.Errorf("--prometheus: %w", err)
	}
	read := func(file string) ([]byte, error) {
		return command.ReadFile("a file of Prometheus", file, maxSettingFile)
	}
	parsed, err := config.Parse(data, engines, read, os.LookupEnv)
	if err != nil {
		return backlog.Connection{}, fmt.Errorf("--prometheus: %w", withoutPlaces(err, "connections."+name+"."))
	}
	return parsed.Connections[0], nil
}

// withoutPlaces returns the faults of a configuration that has no lines, one in each.
func withoutPlaces(err error, prefix string) error {
	faults, ok := errors.AsType[config.Faults](err)
	if !ok {
		return err
	}
	all := make([]error, 0, len(faults))
	for _, f := range faults {
		all = append(all, fmt.Errorf("%s: %s", strings.TrimPrefix(f.Key, prefix), f.Problem))
	}
	return errors.Join(all...)
}

// recordPast writes what Prometheus has stored.
func (f *pastFlags) recordPast(ctx context.Context, engines []backlog.Engine, length time.Duration, out io.Writer) (summary record.Summary, err error) {
	connection, err := f.connection(engines)
	if err != nil {
		return record.Summary{}, err
	}
	source, err := open(ctx, engines, connection)
	if err != nil {
		return record.Summary{}, err
	}
	defer func() { err = errors.Join(err, source.Close()) }()
	ranger, ok := source.(backlog.Ranger)
	if !ok {
		return record.Summary{}, fmt.Errorf("--connection: %q has the engine %q, which keeps no past; want one with the engine prometheus", connection.Name, connection.Engine)
	}
	to := time.Time(f.To)
	if to.IsZero() {
		to = time.Now()
	}
	to = to.Truncate(time.Second)
	return record.Prometheus(ctx, ranger, out, record.RangeQuery{Query: f.Query, From: to.Add(-length), To: to, Step: f.Step})
}
