package candidate

import (
	"fmt"
	"math"
	"strings"

	"github.com/backlog-scaler/backlog-scaler/internal/policies"
	"github.com/backlog-scaler/backlog-scaler/internal/policy"
	"github.com/backlog-scaler/backlog-scaler/internal/policycheck"
	"github.com/backlog-scaler/backlog-scaler/internal/simulation"
	"github.com/backlog-scaler/backlog-scaler/internal/trigger"
)

// policy returns the policy that a trigger names, from those of the file.
func (r *Reader) policy(key policies.Key, found []policycheck.Policy, notes *[]string) (*simulation.Policy, error) {
	for i := range found {
		if p := &found[i]; p.Key == key {
			return r.compiled(p, notes)
		}
	}
	return nil, fmt.Errorf("policy %s: want the AutoscalerPolicy in the same file", key)
}

func (r *Reader) compiled(found *policycheck.Policy, notes *[]string) (*simulation.Policy, error) {
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
	if plain.Mode == policies.Observe {
		*notes = append(*notes, fmt.Sprintf("policy %s: mode Observe answers no trigger; it is simulated as Enforce", found.Key))
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
		whenUnknown := plain.Spec.Signals[i].WhenUnknown
		if layout, _ := catalog.Layout(&parsed.Trigger); layout.Measures && whenUnknown != policy.Hold {
			*notes = append(*notes, fmt.Sprintf("policy %s: signal %s measures a number that the trace does not have: %s", found.Key, s.Name, counts(&plain.Spec.Signals[i])))
			p.Signals = append(p.Signals, simulation.Signal{Name: s.Name, Unknown: true})
			continue
		}
		parsed.Policy.MaxStaleness = plain.Spec.Signals[i].MaxStaleness
		signal, err := r.signal(catalog, &parsed)
		if err != nil {
			return nil, fmt.Errorf("policy %s: signals[%s]: %w", found.Key, s.Name, err)
		}
		signal.Name = s.Name
		p.Signals = append(p.Signals, signal)
	}
	return p, nil
}

// counts says what counts in place of a signal that is unknown.
func counts(s *policy.Signal) string {
	if s.WhenUnknown == policy.UseValue {
		return fmt.Sprintf("its value for that counts, %g", s.Value)
	}
	return "it is ignored, as whenUnknown says"
}

// signal returns a signal that counts messages.
func (r *Reader) signal(catalog *trigger.Catalog, parsed *trigger.Signal) (simulation.Signal, error) {
	queue, err := r.queue(catalog, &parsed.Trigger)
	if err != nil {
		return simulation.Signal{}, err
	}
	// How long an old value counts is decided by the policy.
	queue.Spec.MaxStaleness = math.MaxInt64
	signal := simulation.Signal{Queue: *queue}
	if l := parsed.Learned; l != nil {
		learned, err := policy.NewThroughput(l.Floor, l.Ceiling)
		if err != nil {
			return simulation.Signal{}, fmt.Errorf("trigger.%w", err)
		}
		signal.Learned = &learned
	}
	return signal, nil
}
