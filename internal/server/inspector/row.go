package inspector

import (
	"errors"
	"math"
	"strings"
	"time"

	pb "github.com/backlog-scaler/backlog-scaler/gen/backlogscaler/v1"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/decision"
	"github.com/backlog-scaler/backlog-scaler/internal/server"
)

// A State is that of a trigger, in a word. The order is that of urgency.
type State uint8

// The states.
const (
	// Failing is a trigger about which KEDA gets an error.
	Failing State = iota
	// Rejected is a trigger that the scaler does not accept.
	Rejected
	// Bridged is a trigger whose queue cannot be read now, so that the last reading is used.
	Bridged
	// WarmingUp is a trigger whose value may only grow, because the values before the start are
	// unknown.
	WarmingUp
	// Active and Inactive are triggers without a problem.
	Active
	Inactive

	// NumberOfStates is how many states there are.
	NumberOfStates
)

// String returns the state in the words of "scaler explain".
func (s State) String() string {
	return [...]string{"error", "rejected", "bridged", "warming up", "active", "inactive"}[s]
}

// A Row is what a list shows of one trigger.
type Row struct {
	// Key identifies the trigger while the scaler runs.
	Key uint64
	// Namespace and ScaledObject are as the client sent them. All other texts are fit to be shown.
	Namespace, ScaledObject            string
	Trigger, Connection, Layout, Queue string
	// Policy is the AutoscalerPolicy that decides; empty for a trigger that names a queue.
	Policy string
	State  State
	// Why has the reasons of the decision, or the problem.
	Why string
	// Reason is the stable word of the problem; empty without one.
	Reason string

	// Decided reports whether there is a decision, which Value, Target and Wants are of.
	Decided       bool
	Value, Target float64
	Wants         int64
	// Floor and Ceiling are the bounds of a policy.
	Floor, Ceiling int32
	// Known reports whether the queue was ever read. Ready, Due, InFlight and Measured are those
	// of the last reading.
	Known      bool
	Ready, Due int64
	InFlight   backlog.Count
	Measured   backlog.Measurement
	// MaxUseful is the number of workers beyond which more do not help; 0 is no limit.
	MaxUseful int64

	// UsedUntil is until when the last reading is used while reads fail; zero if they do not, or
	// if there is none.
	UsedUntil time.Time
	// ReadAt is when the reading was current, CalledAt when KEDA last called, and OldestSince
	// since when the oldest message waits; zero if that is unknown.
	ReadAt, CalledAt, OldestSince time.Time
}

// rowOf returns the row of a trigger.
func rowOf(key uint64, t *server.TriggerStatus) Row {
	q := &t.Trigger.Query
	r := Row{
		Key: key, Namespace: t.Namespace, ScaledObject: t.ScaledObject, Trigger: line(t.Trigger.MetricName),
		Connection: t.Trigger.Connection, Layout: q.Layout, Queue: line(q.ShownQueue()), Policy: t.Trigger.PolicyName,
		State: rowState(t),
	}
	if seen := &t.Observation.Latest; t.Observation.Known() {
		r.Known, r.Ready, r.Due, r.InFlight, r.Measured = true, seen.Ready, seen.Due, seen.InFlight, seen.Measured
		r.MaxUseful = seen.MaxUseful
	}
	var words []string
	if t.Err == nil {
		r.Decided, r.Value, r.Target = true, t.Decision.Value, t.Decision.Target
		r.Wants = int64(math.Ceil(min(r.Value/r.Target, math.MaxInt32)))
		for _, step := range t.Decision.Steps {
			words = append(words, string(step.Reason))
		}
		if r.Policy != "" {
			r.Wants, r.Floor, r.Ceiling = int64(t.Outcome.Replicas), t.Outcome.Decision.Floor, t.Outcome.Decision.Ceiling
			for _, step := range t.Outcome.Decision.Steps {
				words = append(words, string(step.Reason))
			}
		}
	}
	r.Why = strings.Join(words, ", ")
	if t.Observation.Err != nil && t.Observation.Known() {
		r.UsedUntil = t.Observation.Latest.At.Add(t.Trigger.Policy.MaxStaleness)
	}
	if t.Err != nil || t.Observation.Err != nil {
		p := problem(*t)
		r.Reason = p.GetReason()
		text := r.Reason + ": " + line(p.GetMessage())
		if r.Why != "" {
			text = r.Why + "; " + text
		}
		r.Why = text
	}
	return r
}

// line returns a text of a tenant on one line, as messages have it.
func line(text string) string { return backlog.Line(text) }

func rowState(t *server.TriggerStatus) State {
	switch {
	case t.Rejected:
		return Rejected
	case errors.Is(t.Err, decision.ErrWarmingUp):
		return WarmingUp
	case t.Err != nil:
		return Failing
	case t.Observation.Err != nil:
		return Bridged
	case t.Decision.Active:
		return Active
	default:
		return Inactive
	}
}

// age updates what is no change of the trigger.
func (r *Row) age(t *server.TriggerStatus) {
	r.CalledAt, r.ReadAt, r.OldestSince = t.LastCall, time.Time{}, time.Time{}
	if t.Observation.Known() {
		r.ReadAt = t.Observation.Latest.At
	}
	if oldest := t.Observation.Latest.Oldest; oldest.Kind != backlog.AgeUnknown {
		r.OldestSince = oldest.Since
	}
}

// trigger returns the trigger of a row without its metadata.
func (r *Row) trigger() *pb.Trigger {
	return &pb.Trigger{
		Id: server.ID(r.Key), Namespace: line(r.Namespace), ScaledObject: line(r.ScaledObject), Name: r.Trigger,
		Connection: r.Connection, Layout: r.Layout, Queue: r.Queue, Policy: r.Policy,
	}
}
