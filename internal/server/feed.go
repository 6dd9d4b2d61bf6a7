package server

import (
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/decision"
)

// A feed is what a stream follows: the decision on a trigger, and when it may have changed.
type feed interface {
	// Changed delivers after the decision may have changed.
	Changed() <-chan struct{}
	// Gone reports whether nothing is decided any more.
	Gone() bool
	// decide returns the decision.
	decide(now time.Time) (decision.Decision, error)
	Close()
}

// follow returns the feed of a trigger.
func (s *Server) follow(live *liveTrigger) (feed, error) {
	if live.trigger.PolicyName != "" {
		return &policyFeed{s.policies.Follow(live.policyKey()), s, live}, nil
	}
	sub, err := s.observer.Subscribe(live.interest())
	if err != nil {
		return nil, err
	}
	return &queueFeed{sub, live}, nil
}

// A queueFeed follows the queue of a trigger.
type queueFeed struct {
	Subscription

	live *liveTrigger
}

func (f *queueFeed) decide(now time.Time) (decision.Decision, error) {
	seen := f.Observation()
	d, err := f.live.decide(&seen, now)
	f.SetWaiting(!d.Active)
	return d, err
}
