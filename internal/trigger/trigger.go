// Package trigger turns the string map that KEDA sends into a typed, validated
// Trigger. It is pure.
package trigger

import (
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/policy"
)

// DefaultTarget is the number of messages per replica where a trigger names none.
// It is the default of KEDA's own redis trigger.
const DefaultTarget = 5

// A Trigger is one entry of ScaledObject.spec.triggers.
type Trigger struct {
	// Connection is the name of the connection.
	Connection string
	// Query is what to read there.
	Query backlog.Query
	// Policy is how a reading becomes a decision. Its MaxStaleness is zero where the
	// trigger leaves it to the server.
	Policy policy.Spec
	// MetricName names the trigger in the HPA and in metrics: lower-case letters,
	// digits and dashes, at most 63 characters with KEDA's prefix, the same for the same queue.
	MetricName string
}

// Common are the parameters that every trigger understands whatever its layout.
func Common() []backlog.Parameter {
	return append([]backlog.Parameter{{
		Name: keyConnection, Kind: backlog.KindText, Required: true,
		Doc: "Name of the connection in the scaler's configuration.",
	}}, policyParameters()...)
}

// policyParameters are the common parameters that say how to decide.
func policyParameters() []backlog.Parameter {
	return []backlog.Parameter{
		{
			Name: keyTarget, Kind: backlog.KindNumber, Default: "5",
			Doc: "Messages per replica: the HPA wants the backlog divided by this, rounded up. Greater than zero.",
		},
		{
			Name: keyActivation, Kind: backlog.KindNumber, Default: "0",
			Doc: "The backlog must exceed this for the first replica to start.",
		},
		{
			Name: keyCount, Kind: backlog.KindList, Default: "ready,due,inFlight",
			Doc: "Which parts of the backlog count: any of ready, due, inFlight.",
		},
		{
			Name: keyHold, Kind: backlog.KindDuration, Default: "0s",
			Doc: "The largest backlog of this last while counts. At most 1h.",
		},
		{
			Name: keyMissing, Kind: backlog.KindChoice, Allowed: []string{missingZero, missingError},
			Doc: "What a queue that does not exist is: zero messages, or an error. The default is the layout's.",
		},
		{
			Name: keyMaxStaleness, Kind: backlog.KindDuration, Default: "30s",
			Doc: "For how long the last good reading stands in while the queue cannot be read; then KEDA gets an error and holds the replicas. From 1s to 1h.",
		},
	}
}

// The names of the common keys and the bounds of their values.
const (
	keyConnection   = "connection"
	keyTarget       = "target"
	keyActivation   = "activation"
	keyCount        = "count"
	keyHold         = "hold"
	keyMissing      = "missing"
	keyMaxStaleness = "maxStaleness"

	missingZero  = "zero"
	missingError = "error"

	maxHold      = time.Hour
	minStaleness = time.Second
	maxStaleness = time.Hour
)
