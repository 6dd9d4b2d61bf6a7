package inspector

import (
	"math"
	"slices"
	"time"

	pb "github.com/backlog-scaler/backlog-scaler/gen/backlogscaler/v1"
	"github.com/backlog-scaler/backlog-scaler/internal/policies"
	"github.com/backlog-scaler/backlog-scaler/internal/policy"
	"github.com/backlog-scaler/backlog-scaler/internal/server"
)

// policyDecision returns the decision on a trigger that names a policy. Its value is a number of
// replicas.
func policyDecision(t server.TriggerStatus) *pb.Decision {
	d := &t.Outcome.Decision
	message := &pb.Decision{
		Value: t.Decision.Value, Target: t.Decision.Target, Active: t.Decision.Active, ValidUntil: moment(d.Until),
		WantedReplicas: int64(t.Outcome.Replicas),
	}
	for _, step := range d.Steps {
		message.Steps = append(message.Steps, &pb.Step{
			Reason: string(step.Reason), Before: float64(step.Before), After: float64(step.After), Description: meaning(step.Reason),
		})
	}
	return message
}

// meaning returns the meaning of a reason; empty for one that is not listed.
func meaning(reason policy.Reason) string {
	for _, listed := range policy.Reasons() {
		if listed.Reason == reason {
			return listed.Doc
		}
	}
	return ""
}

// explainPolicy returns what is known of a policy; nil if there is none.
func (i *Inspector) explainPolicy(key policies.Key, now time.Time) *pb.PolicyExplanation {
	if i.policies == nil {
		return nil
	}
	x, found := i.policies.Explain(key)
	if !found {
		return nil
	}
	message := &pb.PolicyExplanation{Policy: policyMessage(&x, now)}
	for n := range x.Signals {
		message.Signals = append(message.Signals, i.explainSignal(key.Namespace, &x.Signals[n], now))
	}
	return message
}

// explainSignal returns how a signal is read: as a trigger that KEDA does not call.
func (i *Inspector) explainSignal(namespace string, s *policies.SignalStatus, now time.Time) *pb.Explanation {
	e := i.explain(server.TriggerStatus{
		Namespace: namespace, Trigger: s.Trigger, Observation: s.Observation, Decision: s.Decision, Err: s.Err,
	}, now)
	e.CallHistory = nil
	if e.GetDecision() != nil {
		// The target of a policy may be another one than that of the trigger.
		e.Decision.Target, e.Decision.WantedReplicas = 0, 0
	}
	return e
}

func policyMessage(x *policies.Explanation, now time.Time) *pb.Policy {
	p, o := &x.Policy, &x.Outcome
	d := &o.Decision
	message := &pb.Policy{
		Namespace: p.Namespace, Name: p.Name, Generation: p.Generation, Mode: string(p.Mode), Via: string(p.Via), Jump: string(p.Jump),
		Workload: workload(x), DecidedAt: moment(o.At), ValidUntil: moment(d.Until), Signals: signalMessages(x),
	}
	for _, problem := range o.Problems {
		message.Mistakes = append(message.Mistakes, problem.Err.Error())
	}
	if o.Err != nil {
		message.Error = o.Err.Error()
	}
	if !x.Read() {
		return message
	}
	message.Bounds, message.Limiters = bounds(d), limiterMessages(x)
	message.Next = nextMove(x, now)
	message.BusyPods = busyPods(x)
	if now.Before(x.Target.HeldUntil) {
		message.HeldUntil = moment(x.Target.HeldUntil)
	}
	if !o.Decided() {
		return message
	}
	message.ReportedReplicas, message.WantedReplicas = &o.Replicas, &d.Wanted
	message.Active = o.Replicas > 0 || d.Active
	message.Demand, message.Steps = demand(x), replicaSteps(d.Steps)
	message.Gate, message.Hold = gate(x), hold(x)
	return message
}

func workload(x *policies.Explanation) *pb.Workload {
	t := &x.Target
	message := &pb.Workload{Kind: x.Policy.Ref.Kind, Name: x.Policy.Ref.Name}
	switch {
	case !x.TargetKnown:
	case t.Err != nil:
		message.Error = t.Err.Error()
	default:
		message.Replicas, message.Available, message.LastScale, message.Paused = &t.Replicas, &t.Available, moment(t.LastScale), t.Paused
	}
	return message
}

func demand(x *policies.Explanation) *pb.Demand {
	d := x.Outcome.Decision.Demand
	if d.Reason == "" {
		return nil
	}
	return &pb.Demand{Reason: string(d.Reason), Formula: x.Policy.Spec.Formula, Signal: d.Signal, Replicas: d.Replicas}
}

func replicaSteps(steps []policy.Step) []*pb.ReplicaStep {
	messages := make([]*pb.ReplicaStep, 0, len(steps))
	for _, step := range steps {
		messages = append(messages, &pb.ReplicaStep{
			Reason: string(step.Reason), Name: step.Name, Before: step.Before, After: step.After, Description: meaning(step.Reason),
		})
	}
	return messages
}

// signalMessages returns what counts of the signals; none if the policy has mistakes.
func signalMessages(x *policies.Explanation) []*pb.Signal {
	var messages []*pb.Signal
	for n := range x.Signals {
		s := &x.Signals[n]
		spec := &x.Policy.Spec.Signals[n]
		message := &pb.Signal{Name: s.Name, WhenUnknown: whenUnknown(spec.WhenUnknown), Learned: learned(s.Learned)}
		if s.Target > 0 {
			message.Target = &s.Target
		}
		states := x.Outcome.Decision.Signals
		if place := slices.IndexFunc(states, func(state policy.SignalState) bool { return state.Name == s.Name }); place >= 0 {
			count := &states[place]
			message.State = string(count.State)
			if count.State != policy.Holding && count.State != policy.Ignored {
				message.Value = &count.Value
				if s.Target > 0 {
					message.Need = &count.Need
				}
			}
		}
		if s.Observation.Known() && s.Observation.Err != nil {
			message.ValueUsedUntil = moment(s.Observation.Latest.At.Add(spec.MaxStaleness))
		}
		messages = append(messages, message)
	}
	return messages
}

// whenUnknown returns what an unknown signal counts as, in the words of the API.
func whenUnknown(w policy.WhenUnknown) string {
	switch w {
	case policy.Ignore:
		return "Ignore"
	case policy.UseValue:
		return "Value"
	default:
		return "Hold"
	}
}

func learned(l *policies.LearnedThroughput) *pb.LearnedThroughput {
	if l == nil {
		return nil
	}
	message := &pb.LearnedThroughput{
		Used: l.Used, Known: l.Known, Confidence: l.Confidence, Floor: l.Bounds.Floor, Ceiling: l.Bounds.Ceiling,
	}
	if l.Measured > 0 {
		message.Measured = &l.Measured
	}
	return message
}

func bounds(d *policy.Decision) *pb.Bounds {
	s := &d.Schedule
	message := &pb.Bounds{
		Floor: d.Floor, FloorWindow: s.Floor.Window, Ramping: s.Floor.Ramping, Ceiling: d.Ceiling, Conflict: s.Conflict, OpenWindows: s.Open,
		NextWindow: s.Next.Window, NextAt: moment(s.Next.At), NextOpens: s.Next.Opens,
	}
	if s.Ceiling.Set() && s.Ceiling.Replicas == d.Ceiling {
		message.CeilingWindow = s.Ceiling.Window
	}
	if s.Floor.Set() && s.Floor.Replicas != d.Floor {
		message.FloorWindow, message.Ramping = "", false
	}
	return message
}

func limiterMessages(x *policies.Explanation) []*pb.Limiter {
	var messages []*pb.Limiter
	for _, l := range x.Policy.Spec.Limiters {
		message := &pb.Limiter{Name: l.Name, Action: "Freeze", When: l.When, Until: l.Until}
		active, is := x.Outcome.Decision.State.Limiters[l.Name]
		if is {
			message.ActiveSince = moment(active.Since)
		}
		if l.Action == policy.Lower {
			message.Action = "Ceiling"
			if is {
				message.Ceiling = &active.Ceiling
			}
		}
		messages = append(messages, message)
	}
	return messages
}

func gate(x *policies.Explanation) *pb.StepGate {
	p := &x.Pending
	message := &pb.StepGate{PeriodEnds: moment(p.Period)}
	begun := p.Step.To > x.Target.Replicas
	if begun {
		message.StepFrom, message.StepTo = &p.Step.From, &p.Step.To
	}
	if p.Required > 0 {
		message.Required, message.WaitingSince, message.StuckAt = &p.Required, moment(p.Waiting), moment(p.StuckAt)
		message.Stuck = slices.ContainsFunc(x.Outcome.Decision.Steps, func(s policy.Step) bool { return s.Reason == policy.ReasonStuck })
	}
	if !begun && p.Period.IsZero() && p.Required == 0 {
		return nil
	}
	return message
}

func hold(x *policies.Explanation) *pb.Hold {
	p := &x.Pending
	if p.HeldUntil.IsZero() {
		return nil
	}
	return &pb.Hold{Replicas: p.Held.Replicas, At: moment(p.Held.At), Until: moment(p.HeldUntil)}
}

func busyPods(x *policies.Explanation) *pb.BusyPods {
	busy, pods := x.Policy.Spec.Busy, &x.Target.Pods
	if busy == nil {
		return nil
	}
	message := &pb.BusyPods{Keep: "Prefer", Known: pods.Known, SparingSince: moment(x.Pending.Sparing), GiveUpAt: moment(x.Pending.GiveUpAt)}
	if busy.Keep == policy.Strict {
		message.Keep = "Strict"
	}
	if pods.Known {
		message.Pods, message.Busy, message.Spare = number(len(pods.All)), number(pods.Busy()), number(pods.Spare())
	}
	return message
}

// number returns a number of pods.
func number(n int) int32 { return int32(min(n, math.MaxInt32)) } //nolint:gosec // bounded
