// Command worker takes jobs from a Redis list, as an example of a worker that can be scaled at
// any moment without losing one.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"

	"github.com/backlog-scaler/backlog-scaler/worker"
)

func main() {
	os.Exit(run(os.Args[1:], os.Stderr))
}

// run is the program: arguments in, exit code out.
func run(args []string, stderr io.Writer) int {
	s, err := parse(args, stderr)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return 0
	case err != nil:
		_, _ = fmt.Fprintln(stderr, "worker:", err)
		return 2
	}
	if err := s.work(slog.New(slog.NewTextHandler(stderr, nil))); err != nil {
		_, _ = fmt.Fprintln(stderr, "worker:", err)
		return 1
	}
	return 0
}

// settings are those of the command line.
type settings struct {
	redis, username, passwordFile string
	list, name, address           string
	duration, lease, grace        time.Duration
}

// minLease keeps the renewal of leases, three in the time of one, from becoming most of the
// work of Redis.
const minLease = time.Second

func parse(args []string, stderr io.Writer) (settings, error) {
	var s settings
	host, err := os.Hostname()
	if err != nil {
		return s, fmt.Errorf("find the name of this host: %w", err)
	}
	flags := flag.NewFlagSet("worker", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.StringVar(&s.redis, "redis", "127.0.0.1:6379", "`HOST:PORT` of Redis 6.2 or later.")
	flags.StringVar(&s.username, "username", "", "ACL user; empty is the default user.")
	flags.StringVar(&s.passwordFile, "password-file", "", "File with the password.")
	flags.StringVar(&s.list, "list", "images", "Key of the list of jobs.")
	flags.StringVar(&s.name, "name", host, "Name of this worker, which it keeps when it is started again. No two workers share one.")
	flags.StringVar(&s.address, "address", ":8080", "`HOST:PORT` of the probes and metrics.")
	flags.DurationVar(&s.duration, "work", 2*time.Second, "Time that a job takes in this example.")
	flags.DurationVar(&s.lease, "lease", 30*time.Second, "Time after which a job of a silent worker is handed back.")
	flags.DurationVar(&s.grace, "grace", worker.DefaultGrace, "Time to finish the job in hand after SIGTERM.")
	if err := flags.Parse(args); err != nil {
		return s, err
	}
	switch {
	case flags.NArg() > 0:
		return s, fmt.Errorf("argument %q is not known, want flags only", flags.Arg(0))
	case s.list == "" || s.name == "":
		return s, errors.New("-list or -name is empty")
	case s.lease < minLease:
		return s, fmt.Errorf("-lease is %s, want at least %s", s.lease, minLease)
	case s.duration < 0:
		return s, fmt.Errorf("-work is %s, want zero or more", s.duration)
	}
	return s, nil
}

// work takes jobs until SIGTERM, and finishes the one in hand.
func (s settings) work(logger *slog.Logger) error {
	options := &redis.Options{
		Addr: s.redis, Username: s.username, ContextTimeoutEnabled: true,
		// The queue decides what may be sent twice.
		MaxRetries: -1,
	}
	if s.passwordFile != "" {
		password, err := os.ReadFile(s.passwordFile)
		if err != nil {
			return fmt.Errorf("read the password: %w", err)
		}
		options.Password = strings.TrimSpace(string(password))
	}
	client := redis.NewClient(options)
	defer func() { _ = client.Close() }() // nothing is left to send
	registry := prometheus.NewRegistry()
	w, err := worker.New(worker.Options{
		Address: s.address, Grace: s.grace, Logger: logger, Registerer: registry, Gatherer: registry,
	})
	if err != nil {
		return err
	}
	c := consumer{
		worker: w, queue: newQueue(client, s.list, s.name, s.lease), logger: logger,
		handle: func(ctx context.Context, _ string) error { return pause(ctx, s.duration) },
	}
	return w.Run(context.Background(), c.consume)
}
