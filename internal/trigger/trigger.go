// Package trigger parses the metadata that KEDA sends into a typed, validated Trigger. It is
// pure.
package trigger

import (
	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/decision"
)

// DefaultTarget is the number of messages per replica where a trigger names none.
// It is the default of KEDA's own redis trigger.
const DefaultTarget = 5

// A Trigger is one entry of ScaledObject.spec.triggers.
type Trigger struct {
	// PolicyName is the name of the AutoscalerPolicy that decides, in the namespace of the
	// ScaledObject; empty for a trigger that names a queue. Connection is empty next to it, and
	// Query only names the policy.
	PolicyName string
	// Connection is the name of the connection.
	Connection string
	// Exclusive reports whether the connection is for the ScaledObject's namespace alone, so
	// that its author may know what else it holds.
	Exclusive bool
	// Query is the query of the trigger.
	Query backlog.Query
	// Policy is how a reading becomes a decision. Its MaxStaleness is zero where the
	// trigger leaves it to the server.
	Policy decision.Spec
	// MetricName names the trigger in the HPA and in metrics: lower-case letters,
	// digits and dashes, at most 63 characters with KEDA's prefix, the same for the same queue.
	MetricName string
}

// Common returns the parameters of every trigger, whatever its layout.
func Common() []backlog.Parameter {
	return append([]backlog.Parameter{{
		Name: keyConnection, Kind: backlog.KindText, Required: true,
		Doc: "Name of the connection in the scaler's configuration.",
	}}, policyParameters()...)
}

// The names of the common keys.
const (
	keyPolicy       = "policy"
	keyConnection   = "connection"
	keyTarget       = "target"
	keyDrainTime    = "drainTime"
	keyThroughput   = "throughput"
	keyRateWindow   = "rateWindow"
	keyMaxAge       = "maxAge"
	keyActivation   = "activation"
	keyCount        = "count"
	keyCombine      = "combine"
	keyWeights      = "weights"
	keyHold         = "hold"
	keyHoldActive   = "holdActive"
	keyMinReplicas  = "minReplicas"
	keyMaxReplicas  = "maxReplicas"
	keyMissing      = "missing"
	keyMaxStaleness = "maxStaleness"
	keyScaledJob    = "scaledJob"
)

// The choices of the common keys.
const (
	combineSum   = "sum"
	combineMax   = "max"
	missingZero  = "zero"
	missingError = "error"
)

// policyParameters are the common parameters that control the decision.
func policyParameters() []backlog.Parameter {
	return []backlog.Parameter{
		{
			Name: keyTarget, Kind: backlog.KindNumber, Default: "5",
			Doc: "Messages per replica: the HPA wants the backlog divided by this, rounded up. Greater than zero; Kubernetes knows thousandths.",
		},
		{
			Name: keyDrainTime, Kind: backlog.KindDuration,
			Doc: "In place of `target`: as many replicas as get the backlog done within this time, with what arrives meanwhile. Needs `throughput`. From 1s to 24h.",
		},
		{
			Name: keyThroughput, Kind: backlog.KindNumber,
			Doc: "Messages that one replica finishes in a second, for `drainTime`. Greater than zero.",
		},
		{
			Name: keyRateWindow, Kind: backlog.KindDuration,
			Doc: "With `drainTime`: over which time arrivals are measured, 1m where nothing is said. From 10s to 1h.",
		},
		{
			Name: keyMaxAge, Kind: backlog.KindDuration,
			Doc: "When the oldest message waits for longer than this, what waits counts age / maxAge times, at most 4 times. From 1s to 24h.",
		},
		{
			Name: keyActivation, Kind: backlog.KindNumber, Default: "0",
			Doc: "The value must exceed this for the first replica to start.",
		},
		{
			Name: keyCount, Kind: backlog.KindList, Default: "ready,due,inFlight",
			Doc: "Which parts of the backlog count: any of ready, due, inFlight. Work in flight keeps the trigger active even if it does not count.",
		},
		{
			Name: keyCombine, Kind: backlog.KindChoice, Allowed: []string{combineSum, combineMax}, Default: combineSum,
			Doc: "Of several queues: their sum counts, or the largest alone.",
		},
		{
			Name: keyWeights, Kind: backlog.KindText,
			Doc: "Of several queues: what a message counts, such as `critical=3,low=0.5`. Names or patterns, as in the key that names the queues; the first that matches counts, and 1 if none does. At most 100 weights, each at most 1000.",
		},
		{
			Name: keyHold, Kind: backlog.KindDuration, Default: "0s",
			Doc: "The largest backlog of this last while counts. At most 1h.",
		},
		{
			Name: keyHoldActive, Kind: backlog.KindDuration,
			Doc: "For how long the trigger stays active after there was work, or a counter of the engine shows some that no read found. As `hold` where nothing is said. At most 1h.",
		},
		{
			Name: keyMinReplicas, Kind: backlog.KindInteger, Default: "0", Min: 0, Max: maxReplicas,
			Doc: "While it is active, the trigger asks for no fewer replicas than this.",
		},
		{
			Name: keyMaxReplicas, Kind: backlog.KindInteger, Min: 1, Max: maxReplicas,
			Doc: "The trigger asks for no more replicas than this. No bound where nothing is said.",
		},
		{
			Name: keyMissing, Kind: backlog.KindChoice, Allowed: []string{missingZero, missingError},
			Doc: "What a queue that does not exist is: zero messages, or an error. The default is the layout's.",
		},
		{
			Name: keyMaxStaleness, Kind: backlog.KindDuration, Default: "30s",
			Doc: "For how long the last good reading stands in while the queue cannot be read; then KEDA gets an error and holds the replicas. From 1s to 1h.",
		},
		{
			Name: keyScaledJob, Kind: backlog.KindChoice, Allowed: decision.JobStrategies(),
			Doc: "For a trigger of a ScaledJob: its `scalingStrategy.strategy`. It decides what counts where `count` is not given, and each value that KEDA gets is [read after it asked](scaledjobs.md).",
		},
	}
}
