// Package hpa computes what Kubernetes and KEDA do with the values of a scaler: the replica
// count that a HorizontalPodAutoscaler sets from external metrics, and KEDA's own steps
// between zero and one. It is pure: the caller passes the time and the state of the
// workload.
//
// Line numbers are those of Kubernetes v1.35.0, pkg/controller/podautoscaler, and of KEDA
// v2.21.0. The arithmetic is the same in Kubernetes v1.36: tests compare the package with
// its recorded behaviour, testdata/kubernetes.json.
package hpa

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"time"
)

// Defaults of the controller.
const (
	// SyncPeriod is the time between two syncs of a HorizontalPodAutoscaler.
	SyncPeriod = 15 * time.Second
	// DefaultTolerance is the part of the target by which a metric may differ without a
	// change of the replicas.
	DefaultTolerance = 0.1
	// DownscaleStabilization is how long the highest recommendation counts.
	DownscaleStabilization = 5 * time.Minute
)

// A Spec is the configuration of a HorizontalPodAutoscaler.
type Spec struct {
	// Min is at least 1, Max at least Min.
	Min, Max int32
	// Behavior is nil if the HorizontalPodAutoscaler has none. That differs from the defaults
	// of a Behavior: without one, each sync may double the replicas, whatever happened
	// before it.
	Behavior *Behavior
}

// A Scale is the state of the workload at a sync.
type Scale struct {
	// Spec is the number of requested replicas, Status of existing ones, and Ready of ready
	// ones.
	Spec, Status, Ready int32
}

// Steady returns the Scale of a workload whose requested replicas all are ready.
func Steady(replicas int32) Scale { return Scale{Spec: replicas, Status: replicas, Ready: replicas} }

// A Recommendation is the outcome of one sync.
type Recommendation struct {
	// Replicas is what the workload is scaled to; the current number if nothing changes.
	Replicas int32
	// Wanted is what the metrics ask for, before windows and limits.
	Wanted int32
	// Metric is the name of the metric with the highest count; empty if none was used.
	Metric string
	// Reason is why Replicas is what it is.
	Reason Reason
	// Err has the missing metrics; nil if none was. Scaling up goes on without them, scaling
	// down does not.
	Err error
}

// A Reason is why a Recommendation is what it is.
type Reason uint8

// The reasons of a recommendation.
const (
	// AsWanted is what the metrics ask for.
	AsWanted Reason = iota
	// Disabled is a workload at zero replicas, which no HorizontalPodAutoscaler touches.
	Disabled
	// MetricMissing is a sync that could not be done.
	MetricMissing
	// AboveMax and BelowMin are workloads that another client scaled out of bounds.
	AboveMax
	BelowMin
	// TooMany and TooFew are counts beyond Max and Min.
	TooMany
	TooFew
	// Stabilized is a change that waits for its stabilization window.
	Stabilized
	// UpLimit and DownLimit are changes faster than allowed.
	UpLimit
	DownLimit
)

func (r Reason) String() string {
	return [...]string{
		"as the metrics want", "disabled at zero replicas", "a metric is missing",
		"above the maximum", "below the minimum", "no more than the maximum", "no fewer than the minimum",
		"stabilized", "limited scale-up rate", "limited scale-down rate",
	}[r]
}

// An Autoscaler is one HorizontalPodAutoscaler with the state of its controller. It is not safe
// for concurrent use.
type Autoscaler struct {
	spec Spec
	// recommended are the counts of the metrics at earlier syncs.
	recommended []timedCount
	// up and down are the changes so far; empty without a Behavior.
	up, down []change
}

// A timedCount is a recommended number of replicas.
type timedCount struct {
	at       time.Time
	replicas int32
}

// New returns an Autoscaler without earlier syncs.
func New(spec Spec) *Autoscaler { return &Autoscaler{spec: spec} }

// Sync does what the controller does every SyncPeriod. The caller sets the
// workload's replicas to the recommendation.
func (a *Autoscaler) Sync(now time.Time, scale Scale, metrics []Metric) Recommendation {
	current := scale.Spec
	if len(a.recommended) == 0 {
		// A controller that just started does not scale down at once
		// (horizontal.go, recordInitialRecommendation).
		a.recommended = []timedCount{{at: now, replicas: current}}
	}
	switch {
	case current == 0:
		return Recommendation{Reason: Disabled}
	case current > a.spec.Max:
		return a.apply(now, current, Recommendation{Replicas: a.spec.Max, Wanted: a.spec.Max, Reason: AboveMax})
	case current < a.spec.Min:
		return a.apply(now, current, Recommendation{Replicas: a.spec.Min, Wanted: a.spec.Min, Reason: BelowMin})
	}
	wanted, name, err := a.wanted(scale, metrics)
	if err != nil && (name == "" || wanted < current) {
		return Recommendation{Replicas: current, Wanted: current, Reason: MetricMissing, Err: err}
	}
	result := Recommendation{Wanted: wanted, Metric: name, Err: err}
	if a.spec.Behavior == nil {
		result.Replicas, result.Reason = a.limit(now, current, wanted)
	} else {
		result.Replicas, result.Reason = a.behave(now, current, wanted)
	}
	return a.apply(now, current, result)
}

// wanted returns the highest count that a metric asks for, with its name; the name
// is empty if every metric is missing (horizontal.go, computeReplicasForMetrics).
func (a *Autoscaler) wanted(scale Scale, metrics []Metric) (replicas int32, name string, err error) {
	var errs []error
	tolerance := a.tolerance()
	for _, m := range metrics {
		count, err := m.replicas(scale, tolerance)
		if err != nil {
			errs = append(errs, fmt.Errorf("metric %q: %w", m.Name, err))
			continue
		}
		if name == "" || count > replicas {
			replicas, name = count, m.Name
		}
	}
	if len(metrics) == 0 {
		errs = append(errs, errors.New("no metrics"))
	}
	return replicas, name, errors.Join(errs...)
}

func (a *Autoscaler) tolerance() tolerance {
	if b := a.spec.Behavior; b != nil {
		return tolerance{up: b.Up.Tolerance, down: b.Down.Tolerance}
	}
	return tolerance{up: DefaultTolerance, down: DefaultTolerance}
}

// limit bounds a recommendation without a Behavior (horizontal.go:977-1020 and 1265-1303). The
// count may fall only to the highest recommendation of five minutes, and may rise in one
// sync only to twice the current count, or to 4.
//
// With 3 replicas and a recommendation of 40, one sync gives max(2*3, 4) = 6, and the ones
// after it 12, 24 and 40.
func (a *Autoscaler) limit(now time.Time, current, wanted int32) (int32, Reason) {
	oldest := now.Add(-DownscaleStabilization)
	stable, reason := wanted, AsWanted
	for _, r := range a.recommended {
		if !r.at.Before(oldest) && r.replicas > stable {
			stable, reason = r.replicas, Stabilized
		}
	}
	a.remember(now, wanted, oldest)
	highest, over := a.spec.Max, TooMany
	if limit := max(2*int64(current), 4); int64(highest) > limit {
		highest, over = int32(limit), UpLimit //nolint:gosec // limit < highest, an int32
	}
	switch {
	case stable < a.spec.Min:
		return a.spec.Min, TooFew
	case stable > highest:
		return highest, over
	default:
		return stable, reason
	}
}

// remember adds a recommendation and drops those from before oldest.
func (a *Autoscaler) remember(now time.Time, wanted int32, oldest time.Time) {
	a.recommended = slices.DeleteFunc(a.recommended, func(r timedCount) bool { return r.at.Before(oldest) })
	a.recommended = append(a.recommended, timedCount{at: now, replicas: wanted})
}

// apply records the change of a result, for the rates of a Behavior.
func (a *Autoscaler) apply(now time.Time, current int32, result Recommendation) Recommendation {
	if b := a.spec.Behavior; b != nil {
		switch cmp.Compare(result.Replicas, current) {
		case 1:
			a.up = b.Up.note(a.up, change{at: now, replicas: result.Replicas - current})
		case -1:
			a.down = b.Down.note(a.down, change{at: now, replicas: current - result.Replicas})
		}
	}
	return result
}
