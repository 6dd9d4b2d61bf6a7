// Package broker gives the demo a Redis: a redis-server of its own if one is installed, else a
// server inside the process.
package broker

import (
	"context"
	"errors"
	"os/exec"

	"github.com/redis/go-redis/v9"
)

// A Broker is a Redis that only the demo uses.
type Broker struct {
	// Addr is its "host:port" on the loopback interface.
	Addr string
	// Name is its name and version, such as "redis-server 7.2.4".
	Name string
	// Missing is why it is not a redis-server; empty if it is.
	Missing string

	stop func()
	// ended is closed when the server has ended.
	ended <-chan struct{}
}

// Options select the Redis.
type Options struct {
	// Program is a redis-server; empty for the one on the PATH.
	Program string
	// InProcess selects the server inside the process.
	InProcess bool
	// Dir is where the server keeps its files.
	Dir string
}

// errInProcess is why there is no redis-server if InProcess is set.
var errInProcess = errors.New("none was wanted")

// Start starts a Redis and waits until it answers. A redis-server that is missing or does not
// start is an error only if it was named. Otherwise Missing has the reason.
func Start(ctx context.Context, options Options) (*Broker, error) {
	program, err := findProgram(options)
	if err == nil {
		var b *Broker
		if b, err = startProcess(ctx, program, options.Dir); err == nil {
			return b, nil
		}
	}
	if options.Program != "" || ctx.Err() != nil {
		return nil, err
	}
	b, startErr := startInProcess(err)
	if startErr != nil {
		return nil, errors.Join(err, startErr)
	}
	return b, nil
}

// findProgram returns the path of the redis-server.
func findProgram(options Options) (string, error) {
	switch {
	case options.InProcess:
		return "", errInProcess
	case options.Program != "":
		return options.Program, nil
	}
	for _, name := range []string{"redis-server", "valkey-server"} {
		if path, err := exec.LookPath(name); err == nil {
			return path, nil
		}
	}
	return "", errors.New("none is installed")
}

// Client returns a client with connections for so many blocking callers.
func (b *Broker) Client(connections int) *redis.Client {
	return redis.NewClient(&redis.Options{
		Addr: b.Addr, Protocol: 2, DisableIdentity: true, PoolSize: connections, ContextTimeoutEnabled: true,
	})
}

// Ended is closed when the server has ended, by Close or by itself. It is nil for a server
// inside the process.
func (b *Broker) Ended() <-chan struct{} { return b.ended }

// Close ends the server and waits for it.
func (b *Broker) Close() { b.stop() }
