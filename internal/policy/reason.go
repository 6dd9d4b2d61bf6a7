package policy

// A Reason is one of a closed set of words for a step of a decision. Where a key of the policy
// causes it, the reason is the name of that key.
type Reason string

// The reasons, in the order in which Decide comes to them.
const (
	// ReasonPaused: replicas are not to change.
	ReasonPaused Reason = "paused"
	// ReasonIgnored: an unknown signal is left out.
	ReasonIgnored Reason = "ignored"
	// ReasonValue: the value of the policy stands for an unknown signal.
	ReasonValue Reason = "value"
	// ReasonStale: a signal cannot be read now; its last good value is used.
	ReasonStale Reason = "stale"
	// ReasonFormula: what the formula gives.
	ReasonFormula Reason = "formula"
	// ReasonNeed: what the signal with the largest need gives.
	ReasonNeed Reason = "need"
	// ReasonCurrent: no signal is left, so the current replicas are wanted.
	ReasonCurrent Reason = "current"
	// ReasonHold: a larger wanted number within the hold still counts.
	ReasonHold Reason = "hold"
	// ReasonFloor and ReasonCeiling: a window of a schedule.
	ReasonFloor   Reason = "floor"
	ReasonCeiling Reason = "ceiling"
	// ReasonMinReplicas and ReasonMaxReplicas: the bounds of the policy.
	ReasonMinReplicas Reason = "minReplicas"
	ReasonMaxReplicas Reason = "maxReplicas"
	// ReasonLimiter: the condition of a limiter holds.
	ReasonLimiter Reason = "limiter"
	// ReasonLimiterUnknown: the condition of a limiter cannot be evaluated, so it stays as it
	// is.
	ReasonLimiterUnknown Reason = "limiterUnknown"
	// ReasonPeriod: the last change is less than the period of a step ago.
	ReasonPeriod Reason = "period"
	// ReasonNotReady: growth waits for the replicas of the last step.
	ReasonNotReady Reason = "notReady"
	// ReasonStuck: growth has waited longer than stuckAfter.
	ReasonStuck Reason = "stuck"
	// ReasonStepUp and ReasonStepDown: the size of a step.
	ReasonStepUp   Reason = "stepUp"
	ReasonStepDown Reason = "stepDown"
	// ReasonBusy: busy pods are spared.
	ReasonBusy Reason = "busy"
	// ReasonBusyGivenUp: busy pods have delayed a fall for longer than is allowed.
	ReasonBusyGivenUp Reason = "busyGivenUp"
)

// A ReasonDoc is a Reason with its meaning.
type ReasonDoc struct {
	Reason Reason
	// Doc is the meaning, in one or two sentences.
	Doc string
}

// Reasons lists every reason, in the order in which Decide comes to them.
func Reasons() []ReasonDoc {
	return []ReasonDoc{
		{ReasonPaused, "Replicas are not to change, because the ScaledObject is paused."},
		{ReasonIgnored, "A signal is unknown and left out (`whenUnknown: Ignore`). A formula that uses it is left out too."},
		{ReasonValue, "A signal is unknown, and `value` stands for it (`whenUnknown: Value`)."},
		{ReasonStale, "A signal cannot be read now. Its last good value is used, for `maxStaleness`."},
		{ReasonFormula, "The `formula` gives this number of replicas."},
		{ReasonNeed, "The signal with the largest need gives this number of replicas: its value by its `target`."},
		{ReasonCurrent, "All signals are unknown and left out, so the current replicas are wanted."},
		{ReasonHold, "A larger number was wanted within the last `steps.down.hold`."},
		{ReasonFloor, "The window of a schedule is open, or its `ramp` has begun: not fewer than its `floor`."},
		{ReasonCeiling, "The window of a schedule is open: not more than its `ceiling`."},
		{ReasonMinReplicas, "Not fewer than `minReplicas`."},
		{ReasonMaxReplicas, "Not more than `maxReplicas`."},
		{ReasonLimiter, "The condition of a limiter holds: no growth, or not more than its `ceiling`."},
		{ReasonLimiterUnknown, "A limiter stays as it is, because its condition cannot be evaluated."},
		{ReasonPeriod, "The replicas changed less than the `period` of a step ago."},
		{ReasonNotReady, "Growth waits until `readyPercent` of the replicas are available."},
		{ReasonStuck, "Growth has waited for available replicas for longer than `stuckAfter`."},
		{ReasonStepUp, "One step of `steps.up` from the current replicas."},
		{ReasonStepDown, "One step of `steps.down` from the current replicas."},
		{ReasonBusy, "Busy pods would be deleted (`busyPods`)."},
		{ReasonBusyGivenUp, "Busy pods have delayed a fall for as long as they may, so replicas fall."},
	}
}
