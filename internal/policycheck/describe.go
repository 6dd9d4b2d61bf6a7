package policycheck

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/policies"
	"github.com/backlog-scaler/backlog-scaler/internal/policy"
	"github.com/backlog-scaler/backlog-scaler/internal/schedule"
)

// describe says in sentences what a policy does.
func (p *Policy) describe() []string {
	spec := &p.plain.Spec
	sentences := []string{p.describeWriter()}
	if p.plain.Mode == policies.Observe {
		sentences = append(sentences, "Mode Observe: all of this is computed and reported, and nothing is written.")
	}
	for i := range p.plain.Signals {
		sentences = append(sentences, describeSignal(&p.plain.Signals[i], &spec.Signals[i]))
	}
	if wanted := describeWanted(spec); wanted != "" {
		sentences = append(sentences, wanted)
	}
	for i := range spec.Schedules {
		sentences = append(sentences, describeSchedule(&spec.Schedules[i]))
	}
	for i := range spec.Limiters {
		sentences = append(sentences, describeLimiter(&spec.Limiters[i]))
	}
	if spec.Up != nil {
		sentences = append(sentences, describeUp(spec.Up))
	}
	if spec.Down != nil {
		sentences = append(sentences, describeDown(spec.Down))
	}
	if jump := describeJump(p.plain.Jump); jump != "" {
		sentences = append(sentences, jump)
	}
	if spec.Busy != nil {
		sentences = append(sentences, describeBusy(spec.Busy))
	}
	return sentences
}

func (p *Policy) describeWriter() string {
	spec, ref := &p.plain.Spec, p.plain.Ref
	replicas := fmt.Sprintf("%d to %d replicas", spec.MinReplicas, spec.MaxReplicas)
	if spec.MinReplicas == spec.MaxReplicas {
		replicas = count(spec.MaxReplicas, "replica")
	}
	if p.plain.Via == policies.ViaScale {
		return fmt.Sprintf("%s %s has %s. The leader of the scaler writes them: nothing else may scale it.", ref.Kind, ref.Name, replicas)
	}
	return fmt.Sprintf("%s %s has %s. KEDA and the HPA write them: its ScaledObject needs a trigger with policy: %s.", ref.Kind, ref.Name, replicas, p.Name)
}

func describeSignal(s *policies.Signal, spec *policy.Signal) string {
	var trigger []string
	for _, key := range slices.Sorted(maps.Keys(s.Trigger)) {
		trigger = append(trigger, key+": "+strconv.Quote(s.Trigger[key]))
	}
	text := fmt.Sprintf("Signal %s is read over the connection %s by %s, at least every %s", s.Name, s.Connection, strings.Join(trigger, ", "), length(s.Interval))
	if spec.Target > 0 {
		text += fmt.Sprintf("; one replica for %v", spec.Target)
	}
	text += ". While it cannot be read, its last value counts for " + length(spec.MaxStaleness)
	switch spec.WhenUnknown {
	case policy.Ignore:
		return text + ", then it is left out (Ignore)."
	case policy.UseValue:
		return text + fmt.Sprintf(", then it counts as %v (Value).", spec.Value)
	default:
		return text + ", then the replicas stay as they are (Hold)."
	}
}

func describeWanted(spec *policy.Spec) string {
	switch {
	case spec.Formula != "":
		return "Wanted is " + spec.Formula + ", rounded up."
	case len(spec.Signals) > 1:
		return "Wanted is the largest need of the signals with a target, rounded up."
	case len(spec.Signals) == 0:
		return "Nothing is measured: the schedules alone decide."
	default:
		return ""
	}
}

func describeSchedule(s *schedule.Spec) string {
	var bounds string
	switch {
	case s.Exact != nil:
		bounds = "exactly " + count(*s.Exact, "replica")
	case s.Floor != nil && s.Ceiling != nil:
		bounds = fmt.Sprintf("%d to %s", *s.Floor, count(*s.Ceiling, "replica"))
	case s.Floor != nil:
		bounds = "at least " + count(*s.Floor, "replica")
	case s.Ceiling != nil:
		bounds = "at most " + count(*s.Ceiling, "replica")
	}
	text := fmt.Sprintf("Schedule %s: %s", s.Name, bounds)
	switch {
	case s.Start == "":
		text += fmt.Sprintf(", once, from %s until %s", s.From.Format(time.RFC3339), s.Until.Format(time.RFC3339))
	case s.End != "":
		text += fmt.Sprintf(", from each %q to the next %q in %s", s.Start, s.End, s.TimeZone)
	default:
		text += fmt.Sprintf(", for %s from each %q in %s", length(s.Duration), s.Start, s.TimeZone)
	}
	if s.Ramp > 0 {
		text += fmt.Sprintf("; the floor rises evenly in the %s before", length(s.Ramp))
	}
	if s.Priority != 0 {
		text += fmt.Sprintf("; priority %d", s.Priority)
	}
	return text + "."
}

func describeLimiter(l *policy.Limiter) string {
	action := "no growth"
	if l.Action == policy.Lower {
		action = "not more than " + l.Ceiling + ", computed when it begins"
	}
	until := ""
	if l.Until != "" {
		until = ", and then until " + l.Until
	}
	return fmt.Sprintf("Limiter %s: while %s%s: %s.", l.Name, l.When, until, action)
}

func describeUp(s *policy.StepUp) string {
	text := fmt.Sprintf("Growth: steps of %s, at most one in %s", step(s.Pods, s.Percent), length(s.Period))
	if s.First > 0 {
		text += fmt.Sprintf(", the first of %d", s.First)
	}
	if s.ReadyPercent > 0 {
		text += fmt.Sprintf("; each waits until %d %% of the replicas are available", s.ReadyPercent)
		if s.StuckAfter > 0 {
			text += ", and is reported as stuck after " + length(s.StuckAfter)
		}
	}
	return text + "."
}

func describeDown(s *policy.StepDown) string {
	text := fmt.Sprintf("Fall: steps of %s, at most one in %s", step(s.Pods, s.Percent), length(s.Period))
	if s.Hold > 0 {
		text += fmt.Sprintf("; the largest wanted number of the last %s counts", length(s.Hold))
	}
	return text + "."
}

func step(pods, percent int32) string {
	switch {
	case pods > 0 && percent > 0:
		return fmt.Sprintf("%s or %d %% of the replicas, the larger of the two", count(pods, "pod"), percent)
	case pods > 0:
		return count(pods, "pod")
	default:
		return fmt.Sprintf("%d %% of the replicas", percent)
	}
}

func describeJump(jump policies.Jump) string {
	switch jump {
	case policies.JumpFromZero:
		return "Jump: a workload that starts gets all its replicas at once."
	case policies.JumpFloor:
		return "Jump: a workload that starts, or is below the floor of a schedule, gets the replicas at once."
	case policies.JumpAlways:
		return "Jump: replicas rise at once."
	default:
		return ""
	}
}

func describeBusy(b *policy.BusyPods) string {
	text := "Busy pods: idle ones go first."
	if b.Keep == policy.Strict {
		text = "Busy pods: replicas fall only by idle ones"
		if b.GiveUpAfter > 0 {
			text += ", for up to " + length(b.GiveUpAfter)
		}
		text += "."
	}
	return text
}

// count returns a number with its noun.
func count(n int32, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// length returns a length of time without parts that are zero, such as 1h30m.
func length(d time.Duration) string {
	text := d.String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}
