package server

import (
	"errors"
	"fmt"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/decision"
	"github.com/backlog-scaler/backlog-scaler/internal/policies"
)

// Policies decides on AutoscalerPolicies, which triggers may name.
type Policies interface {
	// Answer returns what is to be answered to KEDA about a policy. The error says why there is
	// no answer.
	Answer(key policies.Key) (policies.Outcome, error)
	// Follow notifies of changes of what is answered.
	Follow(key policies.Key) PolicySubscription
}

// A PolicySubscription notifies of changes of what is answered about a policy.
type PolicySubscription interface {
	// Changed delivers after the answer changed.
	Changed() <-chan struct{}
	Close()
}

// errNoReplicas is a policy that has no number of replicas now. KEDA then holds the replicas.
var errNoReplicas = errors.New("no number of replicas")

// policyKey returns the policy that the trigger names.
func (t *liveTrigger) policyKey() policies.Key {
	return policies.Key{Namespace: t.ref.GetNamespace(), Name: t.trigger.PolicyName}
}

// answer returns the decision on a trigger that names a policy: the number of replicas, with
// target 1.
func (s *Server) answer(t *liveTrigger) (decision.Decision, error) {
	d, _, err := s.outcome(t)
	return d, err
}

// outcome returns the same with what it follows from, which is zero if the policy answers no
// trigger.
func (s *Server) outcome(t *liveTrigger) (decision.Decision, policies.Outcome, error) {
	outcome, err := s.policies.Answer(t.policyKey())
	switch {
	case err != nil:
		return decision.Decision{}, policies.Outcome{}, err
	case len(outcome.Problems) > 0:
		return decision.Decision{}, outcome, fmt.Errorf("%w: %w", policies.ErrInvalid, outcome.Problems[0].Err)
	case outcome.Err != nil:
		return decision.Decision{}, outcome, fmt.Errorf("%w: %w", errNoReplicas, outcome.Err)
	}
	return decision.Decision{
		Value: float64(outcome.Replicas), Target: t.trigger.Policy.Target, Active: outcome.Decision.Active,
	}, outcome, nil
}

// A policyFeed follows the policy that a trigger names. A policy that is gone may come back, so
// the feed is never over.
type policyFeed struct {
	PolicySubscription

	server *Server
	live   *liveTrigger
}

func (f *policyFeed) decide(time.Time) (decision.Decision, error) { return f.server.answer(f.live) }

// Gone returns false.
func (*policyFeed) Gone() bool { return false }
