package candidate

import (
	"fmt"
	"math"
	"strings"

	"github.com/backlog-scaler/backlog-scaler/internal/policies"
	"github.com/backlog-scaler/backlog-scaler/internal/policy"
	"github.com/backlog-scaler/backlog-scaler/internal/policycheck"
	"github.com/backlog-scaler/backlog-scaler/internal/simulation"
)

// policy returns the policy that a trigger names, from those of the file.
func (r *Reader) policy(key policies.Key, found []policycheck.Policy) (*simulation.Policy, error) {
	for i := range found {
		if p := &found[i]; p.Key == key {
			return r.compiled(p)
		}
	}
	return nil, fmt.Errorf("policy %s: want the AutoscalerPolicy in the same file", key)
}

func (r *Reader) compiled(found *policycheck.Policy) (*simulation.Policy, error) {
	compiled, plain := found.Compiled()
	if compiled == nil {
		texts := make([]string, 0, len(found.Mistakes))
		for _, mistake := range found.Mistakes {
			texts = append(texts, mistake.Text)
		}
		return nil, fmt.Errorf("policy %s: %s", found.Key, strings.Join(texts, "; "))
	}
	if plain.Via == policies.ViaScale {
		return nil, fmt.Errorf("policy %s: via Scale is not simulated, want KEDA", found.Key)
	}
	p := &simulation.Policy{Policy: compiled, Jump: plain.Jump, Max: plain.Spec.MaxReplicas, SparesBusy: plain.Spec.Busy != nil}
	catalog := r.Catalog
	if catalog == nil {
		catalog, _ = policycheck.Assume(r.Engines, plain.Signals)
	}
	for i := range plain.Signals {
		s := &plain.Signals[i]
		parsed, err := catalog.ParseSignal(found.Namespace, s.Connection, s.Trigger)
		if err != nil {
			return nil, fmt.Errorf("policy %s: signals[%s].%w", found.Key, s.Name, err)
		}
		parsed.Policy.MaxStaleness = plain.Spec.Signals[i].MaxStaleness
		queue, err := r.queue(catalog, &parsed.Trigger)
		if err != nil {
			return nil, fmt.Errorf("policy %s: signals[%s]: %w", found.Key, s.Name, err)
		}
		// How long an old value counts is decided by the policy.
		queue.Spec.MaxStaleness = math.MaxInt64
		signal := simulation.Signal{Name: s.Name, Queue: *queue}
		if l := parsed.Learned; l != nil {
			learned, err := policy.NewThroughput(l.Floor, l.Ceiling)
			if err != nil {
				return nil, fmt.Errorf("policy %s: signals[%s].trigger.%w", found.Key, s.Name, err)
			}
			signal.Learned = &learned
		}
		p.Signals = append(p.Signals, signal)
	}
	return p, nil
}
