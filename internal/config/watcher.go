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
	// asked has room for one wish to look at once.
	asked chan struct{}

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
		updates: make(chan *Config), asked: make(chan struct{}, 1), seen: config.read,
	}
}

// Reload makes Run look at once, believe what it sees at the first look, and deliver it
// although it may be what it was.
func (w *Watcher) Reload() {
	select {
	case w.asked <- struct{}{}:
	default:
		// It is going to look anyway.
	}
}

// Updates delivers each new valid Config. Run closes it.
func (w *Watcher) Updates() <-chan *Config { return w.updates }

// Run follows the files until ctx ends. It is called once.
func (w *Watcher) Run(ctx context.Context) {
	defer close(w.updates)
	ticker := time.NewTicker(w.interval)
	defer ticker.Stop()
	asked := false
	for {
		if config := w.look(asked); config != nil {
			select {
			case w.updates <- config:
			case <-ctx.Done():
				return
			}
		}
		asked = false
		select {
		case <-ticker.C:
		case <-w.asked:
			asked = true
		case <-ctx.Done():
			return
		}
	}
}

// look returns the Config if a new valid one has settled, or was asked for, else nil.
func (w *Watcher) look(asked bool) *Config {
	if !asked && w.settling == nil && w.seen.current() {
		return nil
	}
	config, read, err := load(w.path, w.engines)
	same := maps.Equal(read, w.seen)
	switch {
	case asked:
		// What was said about it before is said again.
		w.fault = ""
	case same:
		w.settling = nil
		return nil
	case w.settling == nil || !maps.Equal(read, w.settling):
		w.settling = read
		return nil
	}
	w.seen, w.settling = read, nil
	w.observer.Reloaded(err)
	if err != nil {
		if w.fault != err.Error() {
			w.fault = err.Error()
			for _, problem := range Problems(err) {
				w.logger.Error("configuration is not valid, the old one stays", "file", w.path, "error", problem)
			}
		}
		return nil
	}
	w.fault = ""
	config.read = read
	return config
}
