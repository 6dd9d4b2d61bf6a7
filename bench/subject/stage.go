package subject

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	pb "github.com/kedacore/keda/v2/pkg/scalers/externalscaler"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/backlog-scaler/backlog-scaler/bench/distance"
	"github.com/backlog-scaler/backlog-scaler/bench/program"
	"github.com/backlog-scaler/backlog-scaler/bench/redisserver"
	"github.com/backlog-scaler/backlog-scaler/internal/demo/broker"
)

// Programs are the programs that a subject starts.
type Programs struct {
	// Scaler is the path of the scaler.
	Scaler string
	// Baseline is the path and the arguments of the server that the scaler is compared with.
	Baseline []string
	// Attack is the path and the first arguments of an attacking tenant. The name of an attack and the addresses of
	// the scaler and of Redis follow.
	Attack []string
	// Attacks are those that are made, by name; nil for all.
	Attacks *regexp.Regexp
	// Dir is a folder for temporary files.
	Dir string
}

// A stage owns the programs and the clients of one subject. Its close ends all of them.
type stage struct {
	programs Programs
	// memoryLimit is that of the scaler's pod, in bytes; zero for none.
	memoryLimit int64
	endings     []func() error
}

// close ends everything, last first.
func (s *stage) close() (err error) {
	for _, end := range slices.Backward(s.endings) {
		err = errors.Join(err, end())
	}
	return err
}

// redis starts a redis-server. It has to be a real one.
func (s *stage) redis(ctx context.Context) (*redisserver.Server, error) {
	path, err := exec.LookPath("redis-server")
	if err != nil {
		return nil, fmt.Errorf("find redis-server: %w; install it with hack/install-servers.sh", err)
	}
	b, err := broker.Start(ctx, broker.Options{Program: path, Dir: s.programs.Dir})
	if err != nil {
		return nil, err
	}
	r := &redisserver.Server{Address: b.Addr, Name: b.Name, Client: b.Client(4)}
	s.endings = append(s.endings, func() error {
		err := r.Client.Close()
		b.Close()
		return err
	})
	return r, nil
}

// distance returns a distance to a server that the caller names.
func (s *stage) distance() (*distance.Distance, error) {
	d, err := distance.Listen()
	if err == nil {
		s.endings = append(s.endings, d.Close)
	}
	return d, err
}

// A side is one of the two servers that are compared, and a client of it.
type side struct {
	pb.ExternalScalerClient

	process *program.Server
	// calls is how many were made by burst.
	calls int
}

// configuration writes that of a scaler with one connection, to r.
func (s *stage) configuration(r *redisserver.Server) (file string, err error) {
	return s.configure("redis", r.Address, fmt.Sprintf("addresses: [%q]", r.Address))
}

// configure writes the configuration of a scaler with one connection, "shared". address is that of the server, and
// settings are lines of YAML.
func (s *stage) configure(engine, address string, settings ...string) (file string, err error) {
	file = filepath.Join(s.programs.Dir, strings.ReplaceAll(address, ":", "-")+".yaml")
	lines := append([]string{"connections:\n  shared:", "engine: " + engine, `namespaces: ["*"]`}, settings...)
	if err := os.WriteFile(file, []byte(strings.Join(lines, "\n    ")+"\n"), 0o600); err != nil {
		return "", fmt.Errorf("configure the scaler: %w", err)
	}
	return file, nil
}

// ours starts the scaler. Its times are the defaults unless flags say otherwise.
func (s *stage) ours(ctx context.Context, r *redisserver.Server, flags ...string) (*side, error) {
	file, err := s.configuration(r)
	if err != nil {
		return nil, err
	}
	return s.scaler(ctx, file, flags...)
}

// scaler starts the scaler with a configuration.
func (s *stage) scaler(ctx context.Context, file string, flags ...string) (*side, error) {
	serve := []string{"serve", "--config", file, "--grpc-address", "127.0.0.1:0", "--http-address", "127.0.0.1:0", "--admin-address", "127.0.0.1:0", "--pprof"}
	var environment []string
	if s.memoryLimit > 0 {
		// As the Helm chart has it.
		environment = append(environment, fmt.Sprintf("GOMEMLIMIT=%d", s.memoryLimit*9/10))
	}
	return s.side(ctx, environment, s.programs.Scaler, append(serve, flags...)...)
}

// baseline starts the server that the scaler is compared with.
func (s *stage) baseline(ctx context.Context) (*side, error) {
	return s.side(ctx, nil, s.programs.Baseline[0], s.programs.Baseline[1:]...)
}

func (s *stage) side(ctx context.Context, environment []string, path string, arguments ...string) (*side, error) {
	p, err := program.StartServer(ctx, environment, path, arguments...)
	if err != nil {
		return nil, err
	}
	// One connection, as KEDA has it.
	conn, err := grpc.NewClient(p.GRPC, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		p.Kill()
		return nil, fmt.Errorf("connect to %s: %w", path, err)
	}
	s.endings = append(s.endings, func() error {
		err := conn.Close()
		p.Kill()
		return err
	})
	return &side{ExternalScalerClient: pb.NewExternalScalerClient(conn), process: p}, nil
}
