package server

import (
	"errors"
	"fmt"

	pb "github.com/kedacore/keda/v2/pkg/scalers/externalscaler"
)

// A Watch is a trigger that is read and reported although KEDA does not ask for
// it, for those who scale by the metrics alone.
type Watch struct {
	// Namespace and Name stand for those of a ScaledObject.
	Namespace, Name string
	Metadata        map[string]string
}

// A keptTrigger is a Watch in force.
type keptTrigger struct {
	live *liveTrigger
	sub  Subscription
}

// Keep makes watches the ones that are reported, until it is called again. It
// must be called again after SetCatalog, and by one goroutine at a time. The
// error joins those of the watches that are no triggers; all others are kept.
func (s *Server) Keep(watches []Watch) error {
	before := s.kept
	s.kept = nil
	var faults []error
	for _, w := range watches {
		if err := s.keep(w); err != nil {
			faults = append(faults, fmt.Errorf("watch %q: %w", w.Name, err))
		}
	}
	for _, k := range before {
		k.live.kept.Add(-1)
		k.sub.Close()
	}
	return errors.Join(faults...)
}

func (s *Server) keep(w Watch) error {
	live, err := s.resolve(&pb.ScaledObjectRef{Namespace: w.Namespace, Name: w.Name, ScalerMetadata: w.Metadata}, methodNone)
	if err != nil {
		return err
	}
	sub, err := s.observer.Subscribe(live.interest())
	if err != nil {
		return err
	}
	sub.SetWaiting(false)
	live.kept.Add(1)
	s.kept = append(s.kept, keptTrigger{live: live, sub: sub})
	return nil
}
