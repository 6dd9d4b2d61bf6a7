// Package scaler runs the scaler's own binary against the servers of a run.
package scaler

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"sigs.k8s.io/yaml"

	"github.com/backlog-scaler/backlog-scaler/internal/childprocess"
)

// A Connection is one entry of the configuration file.
type Connection struct {
	Engine     string   `json:"engine"`
	Namespaces []string `json:"namespaces"`
	// Addresses are those of a Redis, a Kafka, a RabbitMQ or a PostgreSQL, and Address is that of a MySQL.
	Addresses []string `json:"addresses,omitempty"`
	Address   string   `json:"address,omitempty"`
	// Database is the name of one in PostgreSQL or MySQL, where AllowQueries lets triggers have SQL of their own.
	Database     string `json:"database,omitempty"`
	AllowQueries bool   `json:"allowQueries,omitempty"`
	// Username logs in, where the server wants a login.
	Username string  `json:"username,omitempty"`
	Password *Secret `json:"password,omitempty"`
	// ManagementURL is that of RabbitMQ's management API.
	ManagementURL string `json:"managementURL,omitempty"`
	// These are of a connection to SQS.
	Region          string  `json:"region,omitempty"`
	Endpoint        string  `json:"endpoint,omitempty"`
	AccessKeyID     string  `json:"accessKeyID,omitempty"`
	SecretAccessKey *Secret `json:"secretAccessKey,omitempty"`
	CallsPerMinute  int     `json:"callsPerMinute,omitempty"`
	ActivePoll      string  `json:"activePoll,omitempty"`
	IdlePoll        string  `json:"idlePoll,omitempty"`
	EmptyFor        string  `json:"emptyFor,omitempty"`
	// URL is that of an HTTP API, and Server what answers there if the engine is logs.
	URL    string `json:"url,omitempty"`
	Server string `json:"server,omitempty"`
}

// A Secret is a setting that stands in the environment of the scaler.
type Secret struct {
	Env string `json:"env"`
}

// Options say how to run a scaler.
type Options struct {
	Name   string // of the process and its log
	Binary string
	Dir    string // where the configuration file goes
	Host   string // a loopback address; empty is 127.0.0.1
	// GRPCPort and HTTPPort are chosen when zero.
	GRPCPort, HTTPPort int
	Connections        map[string]Connection
	// Text is the configuration file itself, in place of Connections.
	Text string
	// Args are further flags of "scaler serve", and Env is added to its environment.
	Args, Env []string
}

// A Scaler is a running scaler, which can be stopped and started again at the same address.
type Scaler struct {
	supervisor *childprocess.Supervisor
	client     *http.Client
	options    Options
	config     string
	process    *childprocess.Process
}

// Start starts a scaler and waits until it is ready.
func Start(ctx context.Context, supervisor *childprocess.Supervisor, options Options) (*Scaler, error) {
	if options.Host == "" {
		options.Host = "127.0.0.1"
	}
	ports, err := childprocess.FreePorts(options.Host, 2)
	if err != nil {
		return nil, err
	}
	if options.GRPCPort == 0 {
		options.GRPCPort = ports[0]
	}
	if options.HTTPPort == 0 {
		options.HTTPPort = ports[1]
	}
	s := &Scaler{
		supervisor: supervisor, client: &http.Client{Timeout: 5 * time.Second}, options: options,
		config: filepath.Join(options.Dir, options.Name+".yaml"),
	}
	if err := s.Configure(options.Connections); err != nil {
		return nil, err
	}
	if err := s.Restart(ctx); err != nil {
		return nil, err
	}
	return s, nil
}

// Configure replaces the connections in the configuration file, which a running scaler notices.
func (s *Scaler) Configure(connections map[string]Connection) error {
	b, err := yaml.Marshal(map[string]any{"connections": connections})
	if err != nil {
		return fmt.Errorf("encode the configuration of %s: %w", s.options.Name, err)
	}
	if s.options.Text != "" {
		b = []byte(s.options.Text)
	}
	next := s.config + ".next"
	if err := os.WriteFile(next, b, 0o600); err != nil {
		return fmt.Errorf("write the configuration of %s: %w", s.options.Name, err)
	}
	if err := os.Rename(next, s.config); err != nil { // never half a file
		return fmt.Errorf("replace the configuration of %s: %w", s.options.Name, err)
	}
	return nil
}

// Restart starts the scaler again with the same addresses and configuration, and waits until it is ready.
func (s *Scaler) Restart(ctx context.Context) error {
	args := append([]string{
		"serve",
		"--config=" + s.config,
		"--grpc-address=" + s.Address(),
		"--http-address=" + s.httpAddress(),
		"--admin-address=127.0.0.1:0", // several run at the same time
		"--log-format=text",
	}, s.options.Args...)
	var err error
	s.process, err = s.supervisor.Start(childprocess.Command{
		Name: s.options.Name, Path: s.options.Binary, Args: args, Env: s.options.Env,
		// The drain delay and the shutdown timeout are the scaler's own; this is above both.
		Grace: 40 * time.Second,
	})
	if err != nil {
		return err
	}
	return childprocess.Poll(ctx, s.options.Name, 20*time.Second, 20*time.Millisecond, func(ctx context.Context) error {
		_, err := s.get(ctx, "/readyz")
		return err
	})
}

// Address is where it serves gRPC.
func (s *Scaler) Address() string {
	return net.JoinHostPort(s.options.Host, strconv.Itoa(s.options.GRPCPort))
}

// Host is the address without the port.
func (s *Scaler) Host() string { return s.options.Host }

// GRPCPort is the port of the address.
func (s *Scaler) GRPCPort() int { return s.options.GRPCPort }

// Process is the running process.
func (s *Scaler) Process() *childprocess.Process { return s.process }

// Settled is the memory that the scaler occupies, in bytes, once it has collected its garbage. It needs its profiles.
func (s *Scaler) Settled(ctx context.Context) (float64, error) {
	if _, err := s.get(ctx, "/debug/pprof/heap?gc=1"); err != nil {
		return 0, err
	}
	return s.process.Resident()
}

// Config is the configuration file.
func (s *Scaler) Config() string { return s.config }

// MetricsURL is where it serves its metrics.
func (s *Scaler) MetricsURL() string { return "http://" + s.httpAddress() + "/metrics" }

// Metric adds up the series of one metric that carry all the labels. It fails when there is none.
func (s *Scaler) Metric(ctx context.Context, name string, labels map[string]string) (float64, error) {
	body, err := s.get(ctx, "/metrics")
	if err != nil {
		return 0, err
	}
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(strings.NewReader(body))
	if err != nil {
		return 0, fmt.Errorf("parse the metrics of %s: %w", s.options.Name, err)
	}
	sum, found := 0.0, false
	for _, m := range families[name].GetMetric() {
		if matches(m, labels) {
			found = true
			sum += m.GetGauge().GetValue() + m.GetCounter().GetValue() + m.GetUntyped().GetValue()
		}
	}
	if !found {
		return 0, fmt.Errorf("find metric %s%v of %s: no such series", name, labels, s.options.Name)
	}
	return sum, nil
}

func matches(m *dto.Metric, labels map[string]string) bool {
	found := 0
	for _, pair := range m.GetLabel() {
		if want, ok := labels[pair.GetName()]; ok && want == pair.GetValue() {
			found++
		}
	}
	return found == len(labels)
}

func (s *Scaler) httpAddress() string {
	return net.JoinHostPort(s.options.Host, strconv.Itoa(s.options.HTTPPort))
}

// get returns the body of a 200 answer.
func (s *Scaler) get(ctx context.Context, path string) (string, error) {
	url := "http://" + s.httpAddress() + path
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return "", fmt.Errorf("make request: %w", err)
	}
	response, err := s.client.Do(request)
	if err != nil {
		return "", fmt.Errorf("ask %s: %w", url, err)
	}
	defer response.Body.Close() //nolint:errcheck // read only
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return "", fmt.Errorf("read %s: %w", url, err)
	}
	if response.StatusCode != http.StatusOK {
		return "", fmt.Errorf("ask %s: %s: %s", url, response.Status, body)
	}
	return string(body), nil
}
