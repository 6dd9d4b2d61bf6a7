package v1alpha1

// The types of conditions of a policy.
const (
	// ConditionReady reports whether the policy is valid and its workload was found.
	ConditionReady = "Ready"
	// ConditionSignalsKnown reports whether all signals are known.
	ConditionSignalsKnown = "SignalsKnown"
	// ConditionLimited reports whether fewer or more replicas are decided than signals want.
	ConditionLimited = "Limited"
	// ConditionConflicted reports whether something else scales the workload.
	ConditionConflicted = "Conflicted"
)

// The reasons of ConditionReady.
const (
	ReasonAccepted         = "Accepted"
	ReasonInvalidFormula   = "InvalidFormula"
	ReasonInvalidSchedule  = "InvalidSchedule"
	ReasonInvalidSignal    = "InvalidSignal"
	ReasonInvalidPolicy    = "InvalidPolicy"
	ReasonConnectionDenied = "ConnectionDenied"
	ReasonTargetNotFound   = "TargetNotFound"
	ReasonNoTrigger        = "NoTrigger"
)

// The reasons of ConditionSignalsKnown.
const (
	ReasonKnown   = "Known"
	ReasonHolding = "Holding"
	ReasonIgnored = "Ignored"
)

// The reasons of ConditionLimited.
const (
	ReasonNotLimited    = "NotLimited"
	ReasonFloor         = "Floor"
	ReasonCeiling       = "Ceiling"
	ReasonMax           = "Max"
	ReasonStep          = "Step"
	ReasonStepStuck     = "StepStuck"
	ReasonLimiter       = "Limiter"
	ReasonBusy          = "Busy"
	ReasonOtherTriggers = "OtherTriggers"
)

// The reasons of ConditionConflicted.
const (
	ReasonNoConflict             = "NoConflict"
	ReasonHPAOwnsTarget          = "HPAOwnsTarget"
	ReasonScaledObjectOwnsTarget = "ScaledObjectOwnsTarget"
	ReasonOlderPolicy            = "OlderPolicy"
	ReasonForeignWriter          = "ForeignWriter"
	ReasonFloorAboveCeiling      = "FloorAboveCeiling"
	ReasonTargetDiffers          = "TargetDiffers"
)
