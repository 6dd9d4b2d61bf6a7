package kube

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/backlog-scaler/backlog-scaler/api/v1alpha1"
	"github.com/backlog-scaler/backlog-scaler/internal/policies"
	"github.com/backlog-scaler/backlog-scaler/internal/policy"
)

// maxMessage is the length of a message in bytes. The API server takes 32768.
const maxMessage = 1024

// conditionsOf returns the conditions of a policy: those of before with what has changed.
func conditionsOf(before []metav1.Condition, s *subject, outcome *policies.Outcome, done *deeds) []metav1.Condition {
	after := make([]metav1.Condition, len(before))
	copy(after, before)
	set := func(kind string, status metav1.ConditionStatus, reason, message string) {
		meta.SetStatusCondition(&after, metav1.Condition{
			Type: kind, Status: status, Reason: reason, Message: truncate(message, maxMessage),
			ObservedGeneration: s.object.Generation, LastTransitionTime: metav1.NewTime(s.now.Truncate(time.Second)),
		})
	}
	reason, message := readyReason(s, outcome)
	set(v1alpha1.ConditionReady, statusOf(reason == v1alpha1.ReasonAccepted), reason, message)
	if reason, message = ownerConflict(s); reason == "" {
		reason, message = otherConflict(outcome, done)
	}
	set(v1alpha1.ConditionConflicted, statusOf(reason != v1alpha1.ReasonNoConflict), reason, message)
	if len(outcome.Problems) > 0 || s.err != nil {
		return after
	}
	reason, message = signalsReason(outcome)
	set(v1alpha1.ConditionSignalsKnown, statusOf(reason == v1alpha1.ReasonKnown), reason, message)
	if outcome.Decided() {
		reason, message = limitedReason(s, outcome)
		set(v1alpha1.ConditionLimited, statusOf(reason != v1alpha1.ReasonNotLimited), reason, message)
	}
	return after
}

func statusOf(holds bool) metav1.ConditionStatus {
	if holds {
		return metav1.ConditionTrue
	}
	return metav1.ConditionFalse
}

// readyReason reports whether a policy is valid and has what it needs.
func readyReason(s *subject, outcome *policies.Outcome) (reason, message string) {
	if len(outcome.Problems) > 0 {
		texts := make([]string, 0, len(outcome.Problems))
		for _, problem := range outcome.Problems {
			texts = append(texts, problem.Err.Error())
		}
		return problemReason(outcome.Problems[0].Kind), strings.Join(texts, "; ")
	}
	if s.err != nil {
		return v1alpha1.ReasonTargetNotFound, s.err.Error()
	}
	if _, found := s.owners.driver(s.policy.Name); s.policy.Via == policies.ViaKEDA && s.owners.known && !found {
		return v1alpha1.ReasonNoTrigger, fmt.Sprintf("no ScaledObject of %s %q has a trigger with policy: %s", s.policy.Ref.Kind, s.policy.Ref.Name, s.policy.Name)
	}
	return v1alpha1.ReasonAccepted, "the policy decides"
}

func problemReason(kind policies.Kind) string {
	switch kind {
	case policies.InFormula:
		return v1alpha1.ReasonInvalidFormula
	case policies.InSchedule:
		return v1alpha1.ReasonInvalidSchedule
	case policies.InSignal:
		return v1alpha1.ReasonInvalidSignal
	case policies.InConnection:
		return v1alpha1.ReasonConnectionDenied
	default:
		return v1alpha1.ReasonInvalidPolicy
	}
}

// ownerConflict returns why the leader must not write the replicas; empty if it may.
func ownerConflict(s *subject) (reason, message string) {
	o := &s.owners
	driver, driven := o.driver(s.policy.Name)
	switch {
	case o.hpa != "":
		return v1alpha1.ReasonHPAOwnsTarget, fmt.Sprintf("the HorizontalPodAutoscaler %q scales the workload", o.hpa)
	case s.policy.Via == policies.ViaScale && len(o.scaledObjects) > 0:
		return v1alpha1.ReasonScaledObjectOwnsTarget, fmt.Sprintf("the ScaledObject %q scales the workload; want via: KEDA", o.scaledObjects[0].name)
	case s.policy.Via == policies.ViaKEDA && !driven && o.elsewhere != "":
		return v1alpha1.ReasonTargetDiffers, fmt.Sprintf("the ScaledObject %q has a trigger with this policy, and another workload", o.elsewhere)
	case s.policy.Via == policies.ViaKEDA && driven && len(o.scaledObjects) > 1:
		return v1alpha1.ReasonScaledObjectOwnsTarget, fmt.Sprintf("more ScaledObjects than %q scale the workload", driver.name)
	case o.older != "":
		return v1alpha1.ReasonOlderPolicy, fmt.Sprintf("the older policy %q has the same workload", o.older)
	}
	return "", ""
}

// otherConflict returns the conflicts next to which replicas are written.
func otherConflict(outcome *policies.Outcome, done *deeds) (reason, message string) {
	if done.contested != "" {
		return v1alpha1.ReasonForeignWriter, fmt.Sprintf(
			"%q changed the replicas %d times within %s of being written; they are written once a minute", done.contested, contestAfter, contestWithin)
	}
	if state := &outcome.Decision.Schedule; state.Conflict {
		return v1alpha1.ReasonFloorAboveCeiling, fmt.Sprintf("the floor %d of %q is above the ceiling %d of %q, which counts",
			state.Floor.Replicas, state.Floor.Window, state.Ceiling.Replicas, state.Ceiling.Window)
	}
	return v1alpha1.ReasonNoConflict, "nothing else scales the workload"
}

func signalsReason(outcome *policies.Outcome) (reason, message string) {
	holding := named(outcome, policy.Holding)
	left := append(named(outcome, policy.Ignored), named(outcome, policy.Replaced)...)
	switch {
	case errors.Is(outcome.Err, policy.ErrFormula):
		return v1alpha1.ReasonHolding, outcome.Err.Error()
	case len(holding) > 0:
		return v1alpha1.ReasonHolding, "unknown, so replicas do not change: " + strings.Join(holding, ", ")
	case len(left) > 0:
		return v1alpha1.ReasonIgnored, "unknown, and left out or replaced: " + strings.Join(left, ", ")
	default:
		return v1alpha1.ReasonKnown, "all signals are known"
	}
}

// named returns the names of the signals of a state.
func named(outcome *policies.Outcome, state policy.Knowledge) []string {
	var names []string
	for i := range outcome.Decision.Signals {
		if s := &outcome.Decision.Signals[i]; s.State == state {
			names = append(names, s.Name)
		}
	}
	return names
}

// limitedReason returns the last step of the decision that makes fewer or more replicas than
// signals want.
func limitedReason(s *subject, outcome *policies.Outcome) (reason, message string) {
	d := &outcome.Decision
	for i := len(d.Steps) - 1; i >= 0; i-- {
		step := &d.Steps[i]
		reason := limitReason(step.Reason)
		if reason == "" {
			continue
		}
		if step.Name != "" {
			return reason, fmt.Sprintf("%s %q: %d instead of %d", step.Reason, step.Name, step.After, step.Before)
		}
		message := fmt.Sprintf("%s: %d instead of %d", step.Reason, step.After, max(step.Before, d.Wanted))
		if doubt := s.workers.doubt(); step.Reason == policy.ReasonBusy && doubt != "" {
			message += "; " + doubt
		}
		return reason, message
	}
	if driver, found := s.owners.driver(s.policy.Name); found && driver.others+len(driver.policies) > 1 {
		return v1alpha1.ReasonOtherTriggers, fmt.Sprintf("the ScaledObject %q has more triggers; the largest number counts", driver.name)
	}
	return v1alpha1.ReasonNotLimited, "replicas are those that signals want"
}

// limitReason returns the reason of the condition for that of a step; empty if the step limits
// nothing.
func limitReason(reason policy.Reason) string {
	switch reason {
	case policy.ReasonFloor, policy.ReasonMinReplicas:
		return v1alpha1.ReasonFloor
	case policy.ReasonCeiling:
		return v1alpha1.ReasonCeiling
	case policy.ReasonMaxReplicas:
		return v1alpha1.ReasonMax
	case policy.ReasonLimiter:
		return v1alpha1.ReasonLimiter
	case policy.ReasonPeriod, policy.ReasonNotReady, policy.ReasonStepUp, policy.ReasonStepDown:
		return v1alpha1.ReasonStep
	case policy.ReasonStuck:
		return v1alpha1.ReasonStepStuck
	case policy.ReasonBusy:
		return v1alpha1.ReasonBusy
	default:
		return ""
	}
}
