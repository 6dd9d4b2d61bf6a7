package kube

import (
	"context"
	"log/slog"
	"sync/atomic"
	"time"
)

// The times of the search for kinds.
const (
	// sourceInterval is the time between two tries to watch a kind that the API server does not
	// know, or that may not be read.
	sourceInterval = time.Minute
	// sourceTimeout bounds one try.
	sourceTimeout = 10 * time.Second
)

// A watched kind is one whose objects a cache has while it runs.
type watched interface {
	// Probe reports by its error that the kind does not exist, or may not be read.
	Probe(ctx context.Context) error
	// Run watches until the context ends. It is called once.
	Run(ctx context.Context)
	// Wait waits until every object is known.
	Wait(ctx context.Context) error
}

// probe is Probe in bounded time.
func probe(ctx context.Context, kind watched) error {
	ctx, cancel := context.WithTimeout(ctx, sourceTimeout)
	defer cancel()
	return kind.Probe(ctx)
}

// A source is a kind that is watched where it exists and where the rights allow it.
type source struct {
	name string
	kind watched
	// wanted reports that the kind is needed.
	wanted atomic.Bool
	// state has one writer, try; its readers are the workers.
	state atomic.Int32
	// started belongs to try: the kind is watched once it was found.
	started bool
}

// The states of a source.
const (
	sourceUnknown int32 = iota
	sourceAbsent
	sourceForbidden
	sourceReadable
)

// readable reports whether the cache has the kind.
func (s *source) readable() bool { return s.state.Load() == sourceReadable }

// known reports whether the objects of the kind are known: all of them, or that there are none.
func (s *source) known() bool {
	state := s.state.Load()
	return state == sourceReadable || state == sourceAbsent
}

// sources are the kinds that matter only next to a policy. One goroutine at a time tries to watch
// them.
type sources struct {
	logger *slog.Logger
	// hpas and scaledObjects may scale a workload next to a policy. pods are watched once a
	// policy spares busy ones.
	hpas, scaledObjects, pods *source
	// again asks for a try.
	again chan struct{}
}

func newSources(c *caches, logger *slog.Logger) *sources {
	s := &sources{
		logger: logger, again: make(chan struct{}, 1),
		hpas:          &source{name: "HorizontalPodAutoscaler", kind: c.hpas},
		scaledObjects: &source{name: scaledObjectKind().Kind, kind: c.scaledObjects},
		pods:          &source{name: "Pod", kind: c.pods},
	}
	s.hpas.wanted.Store(true)
	s.scaledObjects.wanted.Store(true)
	return s
}

// known reports whether all that may scale a workload is known.
func (s *sources) known() bool { return s.hpas.known() && s.scaledObjects.known() }

// needPods has pods watched. It reports whether they are.
func (s *sources) needPods() bool {
	if s.pods.wanted.CompareAndSwap(false, true) {
		select {
		case s.again <- struct{}{}:
		default:
		}
	}
	return s.pods.readable()
}

// run tries again until the context ends. It has kinds started, and calls changed when one has become
// known or unknown.
func (s *sources) run(ctx context.Context, start func(watched), changed func()) {
	ticker := time.NewTicker(sourceInterval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		case <-s.again:
		}
		if s.try(ctx, start) {
			changed()
		}
	}
}

// try watches what is wanted and is not watched yet. It reports whether that changed anything.
func (s *sources) try(ctx context.Context, start func(watched)) bool {
	changed := false
	for _, source := range []*source{s.hpas, s.scaledObjects, s.pods} {
		if !source.wanted.Load() || source.readable() {
			continue
		}
		before := source.state.Load()
		state, err := source.try(ctx, start)
		source.state.Store(state)
		if state == sourceForbidden && before != state && ctx.Err() == nil {
			s.logger.Warn("cannot watch a kind", slog.String("kind", source.name), slog.Any("error", err))
		}
		changed = changed || before != state
	}
	return changed
}

// try begins to watch the kind, and returns its state.
func (s *source) try(ctx context.Context, start func(watched)) (int32, error) {
	ctx, cancel := context.WithTimeout(ctx, sourceTimeout)
	defer cancel()
	switch err := s.kind.Probe(ctx); {
	case isAbsent(err):
		return sourceAbsent, nil
	case err != nil:
		return sourceForbidden, err
	}
	if !s.started {
		start(s.kind)
		s.started = true
	}
	if err := s.kind.Wait(ctx); err != nil {
		return sourceForbidden, err
	}
	return sourceReadable, nil
}
