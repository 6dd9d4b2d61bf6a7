package config

import (
	"context"
	"log/slog"
	"maps"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
)

// An Observer is notified of every attempt to reload the configuration.
type Observer interface {
	// Reloaded reports that the files changed, and why they could not be used; nil if they
	// were.
	Reloaded(err error)
}

// A Watcher follows the file of a Config, and every file that it names, and delivers each new
// valid Config. It reads the files periodically instead of subscribing to events of the file
// system. So it notices the swap of a Kubernetes volume, a network mount and an editor alike,
// and a change from before it started.
type Watcher struct {
	path     string
	engines  []backlog.Engine
	interval time.Duration
	observer Observer
	logger   *slog.Logger
	updates  chan *Config
	// reloads has room for one request to reload at once.
	reloads chan struct{}

	// All below belong to Run.

	// The fields below belong to Run.
	//
	// judged is the content of the files when they were last loaded.
	judged snapshot
	// candidate is a change that was seen once; nil if there is none. It is loaded when it is
	// seen twice, because a file may be in the middle of being written.
	candidate snapshot
	// fault is the last fault that was logged; empty if the files are valid.
	fault string
}

// NewWatcher returns a Watcher of the file at path, from which config was loaded. It checks the
// files every interval. A change is loaded when two checks in a row agree on it.
func NewWatcher(
	path string, engines []backlog.Engine, config *Config, interval time.Duration,
	observer Observer, logger *slog.Logger,
) *Watcher {
	return &Watcher{
		path: path, engines: engines, interval: interval, observer: observer, logger: logger,
		updates: make(chan *Config), reloads: make(chan struct{}, 1), judged: config.read,
	}
}

// Reload makes Run check the files at once, load what it finds, and deliver it even if it is
// unchanged.
func (w *Watcher) Reload() {
	select {
	case w.reloads <- struct{}{}:
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
	requested := false
	for {
		if config := w.check(requested); config != nil {
			select {
			case w.updates <- config:
			case <-ctx.Done():
				return
			}
		}
		requested = false
		select {
		case <-ticker.C:
		case <-w.reloads:
			requested = true
		case <-ctx.Done():
			return
		}
	}
}

// check returns a new valid Config if a change was seen twice, or a reload was requested; else
// nil.
func (w *Watcher) check(requested bool) *Config {
	if !requested && w.candidate == nil && w.judged.current() {
		return nil
	}
	config, read, err := load(w.path, w.engines)
	same := maps.Equal(read, w.judged)
	switch {
	case requested:
		// What was said about it before is said again.
		w.fault = ""
	case same:
		w.candidate = nil
		return nil
	case w.candidate == nil || !maps.Equal(read, w.candidate):
		w.candidate = read
		return nil
	}
	w.judged, w.candidate = read, nil
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
