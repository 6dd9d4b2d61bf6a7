package candidate

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/backlog-scaler/backlog-scaler/internal/policies"
	"github.com/backlog-scaler/backlog-scaler/internal/policy"
)

// PolicySettings change what an AutoscalerPolicy has and a trigger has not. What is zero or nil stays as
// it is.
type PolicySettings struct {
	// Up and Down are the steps.
	Up, Down *Step
	Jump     policies.Jump
	// Floors are those of schedules, by their name.
	Floors []Floor
	// Follow has the HorizontalPodAutoscaler follow the policy at once: no tolerance, no window, and
	// rates that limit nothing.
	Follow bool
}

// A Step is how replicas change: by Percent of them, each Period. Zero percent is at once.
type Step struct {
	Percent int32
	Period  time.Duration
	// First is the step from zero, and Ready the percentage of the replicas that have to be available
	// before the next step; of steps upward alone. A First of zero is a step as any other.
	First, Ready int32
}

// A Floor is the floor of a schedule.
type Floor struct {
	Schedule string
	Replicas int32
}

// changes returns how many settings are changed.
func (p *PolicySettings) changes() int {
	n := len(p.Floors)
	for _, changed := range []bool{p.Up != nil, p.Down != nil, p.Jump != "", p.Follow} {
		if changed {
			n++
		}
	}
	return n
}

// words returns the settings, one text each.
func (p *PolicySettings) words() []string {
	var words []string
	if p.Up != nil {
		words = append(words, "steps up "+p.Up.String())
	}
	if p.Down != nil {
		words = append(words, "steps down "+p.Down.String())
	}
	if p.Jump != "" {
		words = append(words, "jump "+string(p.Jump))
	}
	for _, f := range p.Floors {
		words = append(words, fmt.Sprintf("floor %d in %s", f.Replicas, f.Schedule))
	}
	if p.Follow {
		words = append(words, "HPA at once")
	}
	return words
}

// String returns the step in words.
func (s *Step) String() string {
	if s.Percent == 0 {
		return "at once"
	}
	text := fmt.Sprintf("%d %% each %s", s.Percent, s.Period)
	if s.First > 0 {
		text += fmt.Sprintf(" from %d", s.First)
	}
	if s.Ready > 0 {
		text += fmt.Sprintf(" when %d %% are available", s.Ready)
	}
	return text
}

// Sized returns the name of the only signal of the policy that has a need, whose size can be changed;
// empty if there are several, or if a formula may use another number.
func (c *Candidate) Sized() string {
	if c.Policy == nil {
		return ""
	}
	name := ""
	for i := range c.Policy.Spec.Signals {
		s := &c.Policy.Spec.Signals[i]
		if s.Target == 0 && !c.ownTarget(i) {
			continue
		}
		if name != "" {
			return ""
		}
		name = s.Name
	}
	return name
}

// ownTarget reports whether the trigger of a signal has a target.
func (c *Candidate) ownTarget(i int) bool {
	keys := c.Policy.Signals[i].Trigger
	return keys["target"] != "" || keys["drainTime"] != ""
}

// Bounds returns the smallest and the largest number of replicas. Floors of schedules are apart.
func (c *Candidate) Bounds() (least, most int32) {
	least, most = c.Object.Min, c.Object.Max
	if c.Policy != nil {
		least, most = max(least, c.Policy.Spec.MinReplicas), min(most, c.Policy.Spec.MaxReplicas)
	}
	return least, most
}

// Follows reports whether the HorizontalPodAutoscaler follows the policy at once.
func (c *Candidate) Follows() bool {
	b := c.Object.Behavior
	return b != nil && b.Up.Tolerance == 0 && b.Down.Tolerance == 0 && b.Up.Stabilization == 0 && b.Down.Stabilization == 0
}

// withPolicy changes a ScaledObject and the policy that it names, and checks the policy.
func (r *Reader) withPolicy(c *Candidate, s *Settings, document *yaml.Node, into *objects) error {
	changed, err := copied(c.PolicyDocument)
	if err != nil {
		return err
	}
	if err := s.applyPolicy(c, child(changed, "spec")); err != nil {
		return err
	}
	s.applyObject(c, child(document, "spec"))
	data, err := yaml.Marshal(changed)
	if err != nil {
		return fmt.Errorf("write the AutoscalerPolicy: %w", err)
	}
	found, err := r.checker.Check(data)
	if err != nil {
		return err
	}
	into.found, into.policies = found.Policies, []*yaml.Node{changed}
	return nil
}

// applyPolicy changes the spec of a policy.
func (s *Settings) applyPolicy(c *Candidate, spec *yaml.Node) error {
	if s.Target > 0 || s.DrainTime > 0 {
		signal := named(find(spec, "signals"), c.Sized())
		if signal == nil {
			return errors.New("signals: want one with a target or a drainTime")
		}
		metadata := child(signal, "trigger")
		if own := find(signal, "target"); own != nil && s.Target > 0 && find(metadata, "target") == nil && find(metadata, "drainTime") == nil {
			set(signal, "target", quoted(plainNumber(s.Target)))
		} else {
			remove(signal, "target")
			remove(metadata, "throughputFloor", "throughputCeiling")
			s.applySize(metadata)
		}
	}
	if s.Min != nil {
		set(spec, "minReplicas", integer(int64(*s.Min)))
	}
	if s.Max != nil {
		set(spec, "maxReplicas", integer(int64(*s.Max)))
	}
	if s.Jump != "" {
		set(spec, "jump", text(string(s.Jump)))
	}
	for _, f := range s.Floors {
		schedule := named(find(spec, "schedules"), f.Schedule)
		if schedule == nil {
			return fmt.Errorf("schedules: no %q", f.Schedule)
		}
		set(schedule, "floor", integer(int64(f.Replicas)))
	}
	s.applySteps(c.Policy.Spec.Down, spec)
	return nil
}

// applySteps changes the steps of a policy. Of a policy without steps downward the hold is none, and not
// that which the API server completes.
func (s *Settings) applySteps(down *policy.StepDown, spec *yaml.Node) {
	if s.Up != nil {
		if s.Up.Percent == 0 {
			remove(child(spec, "steps"), "up")
		} else {
			up := child(child(spec, "steps"), "up")
			remove(up, "pods", "first")
			set(up, "percent", integer(int64(s.Up.Percent)))
			set(up, "period", text(s.Up.Period.String()))
			set(up, "readyPercent", integer(int64(s.Up.Ready)))
			if s.Up.First > 0 {
				set(up, "first", integer(int64(s.Up.First)))
			}
		}
	}
	if s.Down != nil || s.Hold != nil {
		fall := child(child(spec, "steps"), "down")
		step := s.Down
		if step == nil && down == nil {
			step = &Step{}
		}
		if step != nil {
			if step.Percent == 0 { // a step of everything
				step = &Step{Percent: 100, Period: 15 * time.Second}
			}
			remove(fall, "pods")
			set(fall, "percent", integer(int64(step.Percent)))
			set(fall, "period", text(step.Period.String()))
		}
		switch {
		case s.Hold != nil:
			set(fall, "hold", text(s.Hold.String()))
		case down == nil:
			set(fall, "hold", text("0s"))
		}
	}
	if steps := find(spec, "steps"); steps != nil && len(steps.Content) == 0 {
		remove(spec, "steps")
	}
}

// applyObject changes the ScaledObject of a policy, so that it neither keeps the policy from its bounds nor
// smooths what the policy has smoothed.
func (s *Settings) applyObject(c *Candidate, spec *yaml.Node) {
	if s.Min != nil && c.Object.Min > *s.Min {
		set(spec, "minReplicaCount", integer(int64(*s.Min)))
	}
	if s.Max != nil && c.Object.Max < *s.Max {
		set(spec, "maxReplicaCount", integer(int64(*s.Max)))
	}
	if !s.Follow {
		return
	}
	behavior := child(child(child(spec, "advanced"), "horizontalPodAutoscalerConfig"), "behavior")
	for _, direction := range []struct {
		name    string
		percent int64
	}{{"scaleUp", 900}, {"scaleDown", 100}} {
		rules := child(behavior, direction.name)
		set(rules, "tolerance", quoted("0"))
		set(rules, "stabilizationWindowSeconds", integer(0))
		set(rules, "policies", &yaml.Node{Kind: yaml.SequenceNode, Content: []*yaml.Node{rate("Percent", direction.percent)}})
	}
}

// named returns the mapping of a list with a name; nil if there is none.
func named(list *yaml.Node, name string) *yaml.Node {
	if list == nil || name == "" {
		return nil
	}
	i := slices.IndexFunc(list.Content, func(item *yaml.Node) bool {
		value := find(item, "name")
		return value != nil && value.Value == name
	})
	if i < 0 {
		return nil
	}
	return list.Content[i]
}

func text(value string) *yaml.Node { return &yaml.Node{Kind: yaml.ScalarNode, Value: value} }
