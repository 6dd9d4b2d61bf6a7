package candidate

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/simulation"
	"github.com/backlog-scaler/backlog-scaler/internal/spelling"
)

// A scaler is one of KEDA's own triggers that count messages of a queue.
type scaler struct {
	// targets are the keys of the target; the first that is set counts, with what it counts.
	targets []target
	// activation is the key of the activation.
	activation string
}

// A target is a key of the target.
type target struct {
	key string
	// or is the default; zero if the key is required.
	or float64
	// waiting and inFlight say what counts.
	waiting, inFlight bool
}

// builtins are KEDA's own triggers, by type:
// https://github.com/kedacore/keda/tree/v2.21.0/pkg/scalers
func builtins() map[string]scaler {
	redis := scaler{[]target{{"listLength", 5, true, false}}, "activationListLength"}
	streams := scaler{[]target{{"lagCount", 0, true, false}, {"streamLength", 0, true, true}, {"pendingEntriesCount", 5, false, true}}, "activationLagCount"}
	query := scaler{[]target{{"targetQueryValue", 0, true, false}, {"queryValue", 0, true, false}}, "activationTargetQueryValue"}
	return map[string]scaler{
		"redis": redis, "redis-cluster": redis, "redis-sentinel": redis,
		"redis-streams": streams, "redis-cluster-streams": streams, "redis-sentinel-streams": streams,
		// messages has those that consumers hold, too.
		"rabbitmq":       {[]target{{"value", 20, true, true}}, "activationValue"},
		"kafka":          {[]target{{"lagThreshold", 10, true, true}}, "activationLagThreshold"},
		"apache-kafka":   {[]target{{"lagThreshold", 10, true, true}}, "activationLagThreshold"},
		"nats-jetstream": {[]target{{"lagThreshold", 0, true, true}}, "activationLagThreshold"},
		"aws-sqs-queue":  {[]target{{"queueLength", 5, true, true}}, "activationQueueLength"},
		"postgresql":     query, "mysql": query,
		"prometheus": {[]target{{"threshold", 0, true, false}}, "activationThreshold"},
	}
}

// builtIn reads one of KEDA's own triggers.
func builtIn(t *triggerSpec) (*simulation.BuiltIn, error) {
	known := builtins()
	of, ok := known[t.Type]
	names := slices.Sorted(maps.Keys(known))
	if !ok {
		near := spelling.Nearest(t.Type, append(names, "external", "external-push"))
		if near != "" {
			near = fmt.Sprintf(", did you mean %q?", near)
		}
		return nil, fmt.Errorf("type %q is not simulated, want external-push, external, %s%s", backlog.Line(t.Type), strings.Join(names, ", "), near)
	}
	metadata := t.metadata()
	b := &simulation.BuiltIn{}
	for _, key := range of.targets {
		value, err := positive(metadata, key.key, key.or)
		if err != nil {
			return nil, err
		}
		if value == 0 {
			continue
		}
		b.Target, b.Waiting, b.InFlight = value, key.waiting, key.inFlight
		break
	}
	if b.Target == 0 {
		return nil, fmt.Errorf("metadata.%s: missing, want the messages for one replica", of.targets[0].key)
	}
	// These two decide what counts in their triggers.
	if metadata["excludeUnacknowledged"] == "true" || metadata["scaleOnInFlight"] == "false" {
		b.InFlight = false
	}
	var err error
	b.Activation, err = positive(metadata, of.activation, 0)
	return b, err
}

// positive reads a number that is not negative.
func positive(metadata map[string]string, key string, or float64) (float64, error) {
	text, set := metadata[key]
	if !set {
		return or, nil
	}
	value, err := strconv.ParseFloat(strings.TrimSpace(text), 64)
	if err != nil || !(value >= 0) || math.IsInf(value, 1) {
		return 0, fmt.Errorf("metadata.%s %q: want a number, 0 or more", key, backlog.Line(text))
	}
	return value, nil
}

// BuiltIn returns a candidate with KEDA's own trigger of the same target, in place of the scaler's; nil
// if the candidate has no trigger of a queue, and no policy with one signal that has a target.
func BuiltIn(c *Candidate) *simulation.Candidate {
	for i := range c.Triggers {
		target, activation := c.size(&c.Triggers[i])
		if target == 0 {
			continue
		}
		like := c.Candidate
		like.Name = "KEDA's own trigger"
		like.Object.Min, like.Object.Max = c.Bounds()
		like.Triggers = []simulation.Trigger{{Type: c.Triggers[i].Type, BuiltIn: &simulation.BuiltIn{Target: target, Activation: activation, Waiting: true}}}
		return &like
	}
	return nil
}

// size returns the target and the activation of a trigger; zero if it has no target of its own.
func (c *Candidate) size(t *simulation.Trigger) (target, activation float64) {
	switch name := c.Sized(); {
	case t.Queue != nil:
		return t.Queue.Spec.Target, t.Queue.Spec.Activation
	case t.Policy != nil && name != "":
		for i := range t.Policy.Signals {
			if s := &t.Policy.Signals[i]; s.Name == name {
				return cmp.Or(c.Policy.Spec.Signals[i].Target, s.Spec.Target), 0
			}
		}
	}
	return 0, 0
}
