package server

import (
	"errors"
	"fmt"

	pb "github.com/kedacore/keda/v2/pkg/scalers/externalscaler"
)

// A StaticWatch is a trigger of the configuration. It is read and reported although KEDA
// does not ask about it, for workloads that scale by the metrics alone.
type StaticWatch struct {
	// Namespace and Name stand for those of a ScaledObject.
	Namespace, Name string
	Metadata        map[string]string
}

// A pinnedTrigger is the trigger of a StaticWatch in force.
type pinnedTrigger struct {
	live *liveTrigger
	sub  Subscription
}

// SetStaticWatches replaces the static watches. It must be called again after SetCatalog,
// and by one goroutine at a time. The error joins those of the watches that are no valid
// triggers; all others are in force.
func (s *Server) SetStaticWatches(watches []StaticWatch) error {
	before := s.pinned
	s.pinned = nil
	var faults []error
	for _, w := range watches {
		if err := s.pin(w); err != nil {
			faults = append(faults, fmt.Errorf("watch %q: %w", w.Name, err))
		}
	}
	for _, p := range before {
		p.live.pinned.Add(-1)
		p.sub.Close()
	}
	return errors.Join(faults...)
}

// pin subscribes to the trigger of a watch.
func (s *Server) pin(w StaticWatch) error {
	live, err := s.resolve(&pb.ScaledObjectRef{Namespace: w.Namespace, Name: w.Name, ScalerMetadata: w.Metadata}, methodNone)
	if err != nil {
		return err
	}
	sub, err := s.observer.Subscribe(live.interest())
	if err != nil {
		return err
	}
	sub.SetWaiting(false)
	live.pinned.Add(1)
	s.pinned = append(s.pinned, pinnedTrigger{live: live, sub: sub})
	return nil
}
