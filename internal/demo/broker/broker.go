// Package broker gives the demo a Redis: a redis-server of its own where there is
// one, and else a server inside the process.
package broker

import (
	"context"
	"errors"
	"os/exec"

	"github.com/redis/go-redis/v9"
)

// A Broker is a Redis that nobody else uses.
type Broker struct {
	// Addr is its "host:port" on the loopback interface.
	Addr string
	// Name says what it is, such as "redis-server 7.2.4".
	Name string
	// Missing says why it is not a redis-server; empty if it is.
	Missing string

	stop func()
	// ended is closed when the server is gone.
	ended <-chan struct{}
}

// Options say what Redis is wanted.
type Options struct {
	// Program is a redis-server; empty for that of the PATH.
	Program string
	// InProcess wants the server inside the process even so.
	InProcess bool
	// Dir is where the server keeps its files.
	Dir string
}

// errInProcess is why there is no redis-server if none was wanted.
var errInProcess = errors.New("none was wanted")

// Start starts a Redis and waits until it answers. A redis-server that is not
// there or does not start is no error, unless it was named: Missing tells then.
func Start(ctx context.Context, options Options) (*Broker, error) {
	program, err := find(options)
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

// find returns the path of the redis-server that is wanted.
func find(options Options) (string, error) {
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

// Ended is closed when the server is gone, by Close or by itself. It is nil for a
// server inside the process.
func (b *Broker) Ended() <-chan struct{} { return b.ended }

// Close ends the server and waits for it.
func (b *Broker) Close() { b.stop() }
