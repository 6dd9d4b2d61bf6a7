// Package conversion turns AutoscalerPolicies, as the API server stores them, into plain policies.
// It is pure.
//
// The API server checks what its validation rules can express. The rest is found here and where
// the policy is compiled, and becomes a condition of the policy.
package conversion

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/backlog-scaler/backlog-scaler/api/v1alpha1"
	"github.com/backlog-scaler/backlog-scaler/internal/policies"
	"github.com/backlog-scaler/backlog-scaler/internal/policy"
	"github.com/backlog-scaler/backlog-scaler/internal/schedule"
)

// The defaults of the custom resource definition. They apply again here because a file that was
// never stored by an API server has none.
const (
	defaultInterval     = 15 * time.Second
	defaultMaxStaleness = 2 * time.Minute
	defaultUpPeriod     = 30 * time.Second
	defaultStuckAfter   = 10 * time.Minute
	defaultDownPeriod   = time.Minute
	defaultDownHold     = 5 * time.Minute
	defaultGiveUpAfter  = 10 * time.Minute
)

// maxLength bounds every length of time of a policy. A longer one is a slip of units.
const maxLength = 31 * 24 * time.Hour

// Policy returns the plain policy. Its problems name the field as the author wrote it, with its
// value and what is allowed.
func Policy(object *v1alpha1.AutoscalerPolicy) policies.Policy {
	c := converter{}
	spec := &object.Spec
	p := policies.Policy{
		Key:        policies.Key{Namespace: object.Namespace, Name: object.Name},
		Generation: object.Generation,
		Mode:       c.mode(spec.Mode),
		Via:        c.via(spec.Via),
		Jump:       c.jump(spec.Jump),
		Ref:        c.ref(spec.ScaleTargetRef),
		Spec: policy.Spec{
			MinReplicas: spec.MinReplicas, MaxReplicas: spec.MaxReplicas, Formula: spec.Formula,
			Limiters: c.limiters(spec.Limiters),
			Busy:     c.busyPods(spec.BusyPods),
		},
	}
	if p.Via == policies.ViaScale && p.Jump != policies.JumpNever {
		c.fault(policies.InSpec, "jump %q: want Never with via: Scale, where every change is at once", spec.Jump)
	}
	if busy := spec.BusyPods; busy != nil && busy.From == v1alpha1.BusyFromQueue {
		p.Workers = &policies.Workers{Signal: busy.Signal}
	}
	p.Signals, p.Spec.Signals = c.signals(spec.Signals)
	p.Spec.Schedules = c.schedules(spec.Schedules)
	if spec.Steps != nil {
		p.Spec.Up, p.Spec.Down = c.stepUp(spec.Steps.Up), c.stepDown(spec.Steps.Down)
	}
	p.Problems = c.problems
	return p
}

// A converter collects problems.
type converter struct {
	problems []policies.Problem
}

func (c *converter) fault(kind policies.Kind, format string, args ...any) {
	c.problems = append(c.problems, policies.Problem{Kind: kind, Err: fmt.Errorf(format, args...)})
}

func (c *converter) mode(mode v1alpha1.Mode) policies.Mode {
	switch mode {
	case v1alpha1.Enforce, "":
		return policies.Enforce
	case v1alpha1.Observe:
		return policies.Observe
	default:
		c.fault(policies.InSpec, "mode %q: want Enforce or Observe", mode)
		return policies.Observe
	}
}

func (c *converter) via(via v1alpha1.Via) policies.Via {
	switch via {
	case v1alpha1.ViaKEDA:
		return policies.ViaKEDA
	case v1alpha1.ViaScale:
		return policies.ViaScale
	default:
		c.fault(policies.InSpec, "via %q: want KEDA or Scale", via)
		return policies.ViaKEDA
	}
}

func (c *converter) jump(jump v1alpha1.Jump) policies.Jump {
	switch jump {
	case v1alpha1.JumpNever, "":
		return policies.JumpNever
	case v1alpha1.JumpFromZero:
		return policies.JumpFromZero
	case v1alpha1.JumpFloor:
		return policies.JumpFloor
	case v1alpha1.JumpAlways:
		return policies.JumpAlways
	default:
		c.fault(policies.InSpec, "jump %q: want Never, FromZero, Floor or Always", jump)
		return policies.JumpNever
	}
}

// ref fills in the defaults. A workload is a kind of an API group and version.
func (c *converter) ref(target v1alpha1.TargetRef) policies.Ref {
	ref := policies.Ref{APIVersion: target.APIVersion, Kind: target.Kind, Name: target.Name}
	if ref.APIVersion == "" {
		ref.APIVersion = "apps/v1"
	}
	if ref.Kind == "" {
		ref.Kind = "Deployment"
	}
	if strings.Count(ref.APIVersion, "/") > 1 || strings.HasPrefix(ref.APIVersion, "/") || strings.HasSuffix(ref.APIVersion, "/") {
		c.fault(policies.InSpec, "scaleTargetRef.apiVersion %q: want a group and a version, such as apps/v1", target.APIVersion)
	}
	if ref.Name == "" {
		c.fault(policies.InSpec, "scaleTargetRef.name: missing, want the name of the workload")
	}
	return ref
}

// length returns a length of time; the fallback if there is none.
func (c *converter) length(kind policies.Kind, field string, text v1alpha1.Duration, fallback time.Duration) time.Duration {
	if text == "" {
		return fallback
	}
	length, err := time.ParseDuration(string(text))
	switch {
	case err != nil:
		c.fault(kind, "%s %q: want a length of time such as 30s, 5m or 1h30m", field, text)
		return fallback
	case length < 0 || length > maxLength:
		c.fault(kind, "%s %q: want 0s to %gh", field, text, maxLength.Hours())
		return fallback
	}
	return length
}

// number returns a number; zero if there is none.
func (c *converter) number(field, text, want string, allowed func(float64) bool) float64 {
	if text == "" {
		return 0
	}
	value, err := strconv.ParseFloat(text, 64)
	if err != nil || !allowed(value) {
		c.fault(policies.InSignal, "%s %q: want %s, such as 20 or 0.5", field, text, want)
		return 0
	}
	return value
}

func (c *converter) signals(signals []v1alpha1.Signal) ([]policies.Signal, []policy.Signal) {
	reads, specs := make([]policies.Signal, 0, len(signals)), make([]policy.Signal, 0, len(signals))
	for i := range signals {
		read, spec := c.signal(&signals[i])
		reads, specs = append(reads, read), append(specs, spec)
	}
	return reads, specs
}

func (c *converter) signal(s *v1alpha1.Signal) (policies.Signal, policy.Signal) {
	field := func(name string) string { return fmt.Sprintf("signals[%s].%s", s.Name, name) }
	read := policies.Signal{
		Name: s.Name, Connection: s.Connection, Trigger: make(map[string]string, len(s.Trigger)),
		Interval: c.length(policies.InSignal, field("interval"), s.Interval, defaultInterval),
	}
	for _, key := range slices.Sorted(maps.Keys(s.Trigger)) {
		if key == "connection" || key == "policy" {
			c.fault(policies.InSignal, "%s: not a key of the trigger of a signal; want connection next to trigger, and no policy", field("trigger."+key))
			continue
		}
		read.Trigger[key] = string(s.Trigger[key])
	}
	if read.Interval < time.Second {
		c.fault(policies.InSignal, "%s %q: want 1s or more", field("interval"), s.Interval)
	}
	spec := policy.Signal{
		Name:         s.Name,
		Target:       c.number(field("target"), s.Target, "more than 0", func(value float64) bool { return value > 0 }),
		Value:        c.number(field("value"), s.Value, "0 or more", func(value float64) bool { return value >= 0 }),
		MaxStaleness: c.length(policies.InSignal, field("maxStaleness"), s.MaxStaleness, defaultMaxStaleness),
	}
	switch s.WhenUnknown {
	case v1alpha1.Hold, "":
		spec.WhenUnknown = policy.Hold
	case v1alpha1.Ignore:
		spec.WhenUnknown = policy.Ignore
	case v1alpha1.Value:
		spec.WhenUnknown = policy.UseValue
	default:
		c.fault(policies.InSignal, "%s %q: want Hold, Ignore or Value", field("whenUnknown"), s.WhenUnknown)
	}
	if (spec.WhenUnknown == policy.UseValue) != (s.Value != "") {
		c.fault(policies.InSignal, "%s %q: want it with whenUnknown: Value, and only then", field("value"), s.Value)
	}
	return read, spec
}

func (c *converter) schedules(schedules []v1alpha1.Schedule) []schedule.Spec {
	specs := make([]schedule.Spec, 0, len(schedules))
	for i := range schedules {
		s := &schedules[i]
		field := func(name string) string { return fmt.Sprintf("schedules[%s].%s", s.Name, name) }
		spec := schedule.Spec{
			Name: s.Name, TimeZone: s.TimeZone, Start: s.Start, End: s.End, Floor: s.Floor, Ceiling: s.Ceiling, Exact: s.Exact, Priority: s.Priority,
			Duration: c.length(policies.InSchedule, field("duration"), s.Duration, 0),
			Ramp:     c.length(policies.InSchedule, field("ramp"), s.Ramp, 0),
		}
		// A decoded time has the zone of this process.
		if s.From != nil {
			spec.From = s.From.UTC()
		}
		if s.Until != nil {
			spec.Until = s.Until.UTC()
		}
		specs = append(specs, spec)
	}
	return specs
}

func (c *converter) limiters(limiters []v1alpha1.Limiter) []policy.Limiter {
	specs := make([]policy.Limiter, 0, len(limiters))
	for i := range limiters {
		l := &limiters[i]
		spec := policy.Limiter{Name: l.Name, When: l.When, Until: l.Until, Ceiling: l.Ceiling}
		switch l.Action {
		case v1alpha1.Freeze, "":
			spec.Action = policy.Freeze
		case v1alpha1.LowerCeiling:
			spec.Action = policy.Lower
			if l.Ceiling == "" {
				c.fault(policies.InFormula, "limiters[%s].ceiling: missing, want a formula such as current * 0.8", l.Name)
			}
		default:
			c.fault(policies.InSpec, "limiters[%s].action %q: want Freeze or Ceiling", l.Name, l.Action)
		}
		specs = append(specs, spec)
	}
	return specs
}

func (c *converter) stepUp(s *v1alpha1.StepUp) *policy.StepUp {
	if s == nil {
		return nil
	}
	return &policy.StepUp{
		First: valueOf(s.First), Pods: valueOf(s.Pods), Percent: valueOf(s.Percent), ReadyPercent: s.ReadyPercent,
		Period:     c.length(policies.InSpec, "steps.up.period", s.Period, defaultUpPeriod),
		StuckAfter: c.length(policies.InSpec, "steps.up.stuckAfter", s.StuckAfter, defaultStuckAfter),
	}
}

func (c *converter) stepDown(s *v1alpha1.StepDown) *policy.StepDown {
	if s == nil {
		return nil
	}
	return &policy.StepDown{
		Pods: valueOf(s.Pods), Percent: valueOf(s.Percent),
		Period: c.length(policies.InSpec, "steps.down.period", s.Period, defaultDownPeriod),
		Hold:   c.length(policies.InSpec, "steps.down.hold", s.Hold, defaultDownHold),
	}
}

func (c *converter) busyPods(b *v1alpha1.BusyPods) *policy.BusyPods {
	if b == nil {
		return nil
	}
	spec := &policy.BusyPods{GiveUpAfter: c.length(policies.InSpec, "busyPods.giveUpAfter", b.GiveUpAfter, defaultGiveUpAfter)}
	switch b.Keep {
	case v1alpha1.Prefer, "":
		spec.Keep = policy.Prefer
	case v1alpha1.Strict:
		spec.Keep = policy.Strict
	default:
		c.fault(policies.InSpec, "busyPods.keep %q: want Prefer or Strict", b.Keep)
	}
	c.checkBusySource(b)
	return spec
}

// checkBusySource checks the fields that say how busy pods are known.
func (c *converter) checkBusySource(b *v1alpha1.BusyPods) {
	if b.Signal != "" && b.From != v1alpha1.BusyFromQueue {
		c.fault(policies.InSpec, "busyPods.signal %q: want it with from: Queue, and only then", b.Signal)
	}
	switch b.From {
	case v1alpha1.BusyFromQueue:
	case v1alpha1.BusyFromAnnotation:
		if b.Annotation == "" {
			c.fault(policies.InSpec, "busyPods.annotation: missing, want the name of an annotation with from: Annotation")
		}
	case v1alpha1.BusyFromHTTP:
		if b.HTTP == nil || b.HTTP.Port < 1 || b.HTTP.Port > 65535 || !strings.HasPrefix(b.HTTP.Path, "/") {
			c.fault(policies.InSpec, "busyPods.http: want a port and a path such as /busy with from: HTTP")
		}
	default:
		c.fault(policies.InSpec, "busyPods.from %q: want Queue, Annotation or HTTP", b.From)
	}
}

func valueOf(pointer *int32) int32 {
	if pointer == nil {
		return 0
	}
	return *pointer
}
