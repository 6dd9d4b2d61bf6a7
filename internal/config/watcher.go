package config

import (
	"context"
	"log/slog"
	"maps"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
)

// An Observer is told of every attempt to reload the configuration.
type Observer interface {
	// Reloaded says that the files changed, and why they could not be used; nil if
	// they were.
	Reloaded(err error)
}

// A Watcher follows the file of a Config, and every file that it names, and
// delivers each new valid Config. It reads the files instead of waiting for events
// of the file system: that sees a Kubernetes volume being swapped, a mount over the
// network and an editor alike, and what changed before the Watcher began.
type Watcher struct {
	path     string
	engines  []backlog.Engine
	interval time.Duration
	observer Observer
	logger   *slog.Logger
	updates  chan *Config

	// All below belong to Run.

	// seen is what the files contained when they were last judged.
	seen snapshot
	// settling is a change that was seen once; it counts when it is seen twice, for
	// a file may be in the middle of being written. Nil if there is none.
	settling snapshot
	// fault is the text of the last fault logged; empty if the files are valid.
	fault string
}

// NewWatcher returns a Watcher of the file at path, from which config was loaded.
// It looks every interval; a change counts when two looks in a row agree on it.
func NewWatcher(
	path string, engines []backlog.Engine, config *Config, interval time.Duration,
	observer Observer, logger *slog.Logger,
) *Watcher {
	return &Watcher{
		path: path, engines: engines, interval: interval, observer: observer, logger: logger,
		updates: make(chan *Config), seen: config.read,
	}
}

// Updates delivers each new valid Config. Run closes it.
func (w *Watcher) Updates() <-chan *Config { return w.updates }

// Run follows the files until ctx ends. It is called once.
func (w *Watcher) Run(ctx context.Context) {
	defer close(w.updates)
	ticker := time.NewTicker(w.interval)
	defer ticker.Stop()
	for {
		if config := w.look(); config != nil {
			select {
			case w.updates <- config:
			case <-ctx.Done():
				return
			}
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
	}
}

// look returns the Config if a new valid one has settled, else nil.
func (w *Watcher) look() *Config {
	if w.settling == nil && w.seen.current() {
		return nil
	}
	config, read, err := load(w.path, w.engines)
	if maps.Equal(read, w.seen) {
		w.settling = nil
		return nil
	}
	if w.settling == nil || !maps.Equal(read, w.settling) {
		w.settling = read
		return nil
	}
	w.seen, w.settling = read, nil
	w.observer.Reloaded(err)
	if err != nil {
		if w.fault != err.Error() {
			w.fault = err.Error()
			w.logger.Error("configuration is not valid, the old one stays", "file", w.path, "error", err)
		}
		return nil
	}
	w.fault = ""
	config.read = read
	w.logger.Info("configuration changed", "file", w.path, "connections", len(config.Connections))
	return config
}
