package inspector

import (
	"fmt"
	"maps"
	"math"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	pb "github.com/backlog-scaler/backlog-scaler/gen/backlogscaler/v1"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/decision"
	"github.com/backlog-scaler/backlog-scaler/internal/server"
)

// explain returns the status of a trigger as a message.
func (i *Inspector) explain(t server.TriggerStatus, now time.Time) *pb.Explanation {
	e := &pb.Explanation{Trigger: triggerMessage(&t), Problem: problem(t), CallHistory: callHistory(t)}
	if t.Rejected {
		return e
	}
	if t.Trigger.PolicyName != "" {
		if t.Err == nil {
			e.Decision = policyDecision(t)
		}
		return e
	}
	if t.Err == nil {
		e.Decision = decisionMessage(t)
	}
	if t.Observation.Known() {
		e.Reading = reading(t, now)
	}
	e.ReadStatus = i.readStatus(t)
	return e
}

func triggerMessage(t *server.TriggerStatus) *pb.Trigger {
	return &pb.Trigger{
		Id: t.ID, Namespace: t.Namespace, ScaledObject: t.ScaledObject, Name: t.Trigger.MetricName,
		Connection: t.Trigger.Connection, Layout: t.Trigger.Query.Layout, Queue: t.Trigger.Query.ShownQueue(), Policy: t.Trigger.PolicyName,
		// The status shares the metadata, and present changes what is sent.
		Metadata: maps.Clone(t.Metadata),
	}
}

func decisionMessage(t server.TriggerStatus) *pb.Decision {
	d, spec := t.Decision, t.Trigger.Policy
	message := &pb.Decision{
		Value: d.Value, Target: d.Target, Active: d.Active, ValidUntil: moment(d.Until),
		Activation: spec.Activation, JobStrategy: string(spec.Jobs), Counted: strings.Split(spec.Count.String(), ","),
		WantedReplicas: int64(math.Ceil(min(d.Value/d.Target, math.MaxInt32))),
	}
	for _, step := range d.Steps {
		message.Steps = append(message.Steps, &pb.Step{
			Reason: string(step.Reason), Before: step.Before, After: step.After, Description: describe(step.Reason),
		})
	}
	if drain := d.Drain; drain != (decision.Drain{}) {
		message.Drain = &pb.Drain{
			DrainSeconds: drain.Time.Seconds(), Throughput: drain.Throughput, WindowSeconds: drain.Window.Seconds(),
			Arrivals: drain.Arrivals, Slow: drain.Slow, Fast: drain.Fast, LowerBound: drain.LowerBound,
		}
	}
	return message
}

// describe returns the meaning of a reason; empty for one that is not listed.
func describe(reason decision.Reason) string {
	for _, listed := range decision.Reasons() {
		if listed.Reason == reason {
			return listed.Doc
		}
	}
	return ""
}

func reading(t server.TriggerStatus, now time.Time) *pb.Reading {
	r := t.Observation.Latest
	message := &pb.Reading{
		At: moment(r.At), AgeSeconds: seconds(now.Sub(r.At)),
		Backlog: r.Backlog(), Ready: r.Ready, Due: r.Due,
		InFlight: count(r.InFlight), Consumers: count(r.Consumers), Enqueued: count(r.Enqueued), Dequeued: count(r.Dequeued),
		NextDue: moment(r.NextDue), Missing: r.Missing, Paused: r.Paused, MaxUsefulWorkers: r.MaxUseful,
		Quality: r.Quality.String(), Epoch: r.Epoch, Warning: r.Warning, Hint: r.Hint,
		Orphaned: r.Orphaned, IgnoredOrphaned: r.Ignored,
	}
	if r.Oldest.Kind != backlog.AgeUnknown {
		message.OldestAgeSeconds = new(seconds(now.Sub(r.Oldest.Since)))
		message.OldestKind = r.Oldest.Kind.String()
	}
	if r.Measured.Known {
		message.Measured = new(r.Measured.Float())
	}
	for i, part := range r.Parts {
		shown := partMessage(part, t)
		if t.Trigger.Query.QueueFromEnv() {
			shown.Queue = fmt.Sprintf("%d of %s", i+1, t.Trigger.Query.ShownQueue())
		}
		message.Parts = append(message.Parts, shown)
	}
	return message
}

// partMessage returns one queue of several, with its value if there is a decision.
func partMessage(part backlog.Part, t server.TriggerStatus) *pb.Part {
	message := &pb.Part{
		Queue: part.Queue, Ready: part.Reading.Ready, Due: part.Reading.Due, InFlight: count(part.Reading.InFlight),
		Missing: part.Reading.Missing, Paused: part.Reading.Paused,
	}
	if t.Err != nil {
		return message
	}
	for _, decided := range t.Decision.Parts {
		if decided.Queue != part.Queue {
			continue
		}
		message.Value, message.WorkerLimited = &decided.Value, decided.WorkerLimited
		if len(t.Trigger.Policy.Weights) > 0 {
			message.Weight = &decided.Weight
		}
		if t.Trigger.Policy.DrainTime > 0 {
			message.Arrivals = &decided.Arrivals
		}
	}
	return message
}

// readStatus returns how the queue of a trigger is read.
func (i *Inspector) readStatus(t server.TriggerStatus) *pb.ReadStatus {
	message := &pb.ReadStatus{
		Armed: t.Observation.Armed, LastAttempt: attempt(t.Observation.Last), BecameNonempty: attempt(t.Observation.BecameNonempty),
		LastChangeAt: moment(t.Observation.LastChange), MissesPassingWork: t.Trigger.Policy.Traceless,
	}
	if connection, ok := i.connections.Status(t.Trigger.Connection); ok {
		message.Server, message.WakeUpMode, message.FallbackReason = connection.Server, connection.WakeUp, connection.WakeUpReason
	}
	return message
}

// attempt is absent if there never was one.
func attempt(l backlog.ReadAttempt) *pb.ReadAttempt {
	if l.At.IsZero() {
		return nil
	}
	return &pb.ReadAttempt{At: moment(l.At), Cause: string(l.Cause)}
}

func callHistory(t server.TriggerStatus) *pb.CallHistory {
	message := &pb.CallHistory{
		LastCallAt: moment(t.LastCall), LastMethod: t.LastMethod,
		OpenStreams: int32(min(t.OpenStreams, math.MaxInt32)), //nolint:gosec // bounded
	}
	for _, r := range t.LastResponses {
		message.LastResponses = append(message.LastResponses, &pb.LastResponse{
			Method: r.Method, At: moment(r.At), UnchangedSince: moment(r.UnchangedSince),
			Value: r.Value, Target: r.Target, Active: r.Active, Code: r.Code, Error: r.Error,
		})
	}
	return message
}

// moment is absent for the zero time.
func moment(t time.Time) *timestamppb.Timestamp {
	if t.IsZero() {
		return nil
	}
	return timestamppb.New(t)
}

// count is absent for an unknown number.
func count(c backlog.Count) *int64 {
	if !c.Known {
		return nil
	}
	return &c.N
}

// seconds returns an age, at least 0 because the clock of an engine may be ahead.
func seconds(d time.Duration) float64 { return max(0, d.Seconds()) }
