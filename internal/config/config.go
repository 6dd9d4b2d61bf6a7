// Package config reads the configuration file: once, whole and strictly. It reports every fault
// with its place, and reloads the file and the secrets that it names when they change.
package config

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
)

// maxFileSize bounds the configuration file and every file that it names. A
// Kubernetes ConfigMap or Secret cannot be larger than 1 MiB either.
const maxFileSize = 1 << 20

// A Config is a valid configuration. It is immutable.
type Config struct {
	// Connections are sorted by name.
	Connections []backlog.Connection
	// Watches are sorted by name.
	Watches []Watch

	// read is the content of the files, for the Watcher to compare with.
	read snapshot
}

// A Watch is a static watch: a queue that is read and reported although no ScaledObject names
// it. Trigger is not validated here.
type Watch struct {
	// Name and Namespace stand for those of a ScaledObject.
	Name, Namespace string
	// Trigger are the keys that a ScaledObject's trigger would have.
	Trigger map[string]string
	// Place is its place in the file, such as "scaler.yaml:12:3".
	Place string
}

// Load reads the file at path and every file and variable that it names. Relative paths are
// relative to its folder. The error wraps Faults if the file could be read, else it says why
// not.
func Load(path string, engines []backlog.Engine) (*Config, error) {
	config, read, err := load(path, engines)
	if err != nil {
		return nil, err
	}
	config.read = read
	return config, nil
}

// load is Load. It also returns what was read if the configuration is not valid.
func load(path string, engines []backlog.Engine) (*Config, snapshot, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, nil, fmt.Errorf("find the configuration: %w", err)
	}
	read := make(snapshot)
	data, err := read.file(path)
	if err != nil {
		return nil, read, fmt.Errorf("read the configuration: %w", err)
	}
	p := parser{document: document{file: path}, engines: engines, read: read.file, env: os.LookupEnv}
	config, err := p.parse(data)
	if err != nil {
		return nil, read, fmt.Errorf(invalid+"\n%w", err)
	}
	return config, read, nil
}

// Parse returns the configuration in data. It reads files and variables only through read and
// env, and leaves relative paths unchanged. The error is Faults.
func Parse(
	data []byte,
	engines []backlog.Engine,
	read func(name string) ([]byte, error),
	env func(name string) (string, bool),
) (*Config, error) {
	p := parser{engines: engines, read: read, env: env}
	return p.parse(data)
}
