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
	"github.com/backlog-scaler/backlog-scaler/internal/policy"
	"github.com/backlog-scaler/backlog-scaler/internal/server"
)

// explain is an account as a message.
func (i *Inspector) explain(a server.Account, now time.Time) *pb.Explanation {
	e := &pb.Explanation{Trigger: triggerMessage(a), Problem: problem(a), Conversation: conversation(a)}
	if a.Refused {
		return e
	}
	if a.Err == nil {
		e.Decision = decision(a)
	}
	if a.Seen.Known() {
		e.Reading = reading(a, now)
	}
	e.Watching = i.watching(a)
	return e
}

func triggerMessage(a server.Account) *pb.Trigger {
	return &pb.Trigger{
		Id: a.ID, Namespace: a.Namespace, ScaledObject: a.ScaledObject, Name: a.Trigger.MetricName,
		Connection: a.Trigger.Connection, Layout: a.Trigger.Query.Layout, Queue: a.Trigger.Query.ShownQueue(),
		// The account shares it with others, and what is sent is changed.
		Metadata: maps.Clone(a.Metadata),
	}
}

func decision(a server.Account) *pb.Decision {
	d, spec := a.Decision, a.Trigger.Policy
	message := &pb.Decision{
		Value: d.Value, Target: d.Target, Active: d.Active, Until: moment(d.Until),
		Activation: spec.Activation, Counted: strings.Split(spec.Count.String(), ","),
		WantedReplicas: int64(math.Ceil(min(d.Value/d.Target, math.MaxInt32))),
	}
	for _, step := range d.Steps {
		message.Steps = append(message.Steps, &pb.Step{
			Reason: string(step.Reason), Before: step.Before, After: step.After, Sentence: sentence(step.Reason),
		})
	}
	if drain := d.Drain; drain != (policy.Drain{}) {
		message.Drain = &pb.Drain{
			DrainSeconds: drain.Time.Seconds(), Throughput: drain.Throughput, WindowSeconds: drain.Window.Seconds(),
			Arrivals: drain.Arrivals, Slow: drain.Slow, Fast: drain.Fast, LowerBound: drain.LowerBound,
		}
	}
	return message
}

// sentence says what a reason means; empty for one that policy does not list.
func sentence(reason policy.Reason) string {
	for _, listed := range policy.Reasons() {
		if listed.Reason == reason {
			return listed.Doc
		}
	}
	return ""
}

func reading(a server.Account, now time.Time) *pb.Reading {
	r := a.Seen.Latest
	message := &pb.Reading{
		At: moment(r.At), AgeSeconds: seconds(now.Sub(r.At)),
		Backlog: r.Backlog(), Ready: r.Ready, Due: r.Due,
		InFlight: count(r.InFlight), Consumers: count(r.Consumers), Enqueued: count(r.Enqueued), Dequeued: count(r.Dequeued),
		NextDue: moment(r.NextDue), Missing: r.Missing, Paused: r.Paused, MaxUseful: r.MaxUseful,
		Quality: r.Quality.String(), Epoch: r.Epoch, Warning: r.Warning, Hint: r.Hint,
		Orphaned: r.Orphaned, Ignored: r.Ignored,
	}
	if r.Oldest.Kind != backlog.AgeUnknown {
		message.OldestAgeSeconds = new(seconds(now.Sub(r.Oldest.Since)))
		message.OldestKind = r.Oldest.Kind.String()
	}
	for i, part := range r.Parts {
		shown := partMessage(part, a)
		if a.Trigger.Query.QueueFromEnv() {
			shown.Queue = fmt.Sprintf("%d of %s", i+1, a.Trigger.Query.ShownQueue())
		}
		message.Parts = append(message.Parts, shown)
	}
	return message
}

// partMessage is one queue of several, with what it asks for if there is a decision.
func partMessage(part backlog.Part, a server.Account) *pb.Part {
	message := &pb.Part{
		Queue: part.Queue, Ready: part.Reading.Ready, Due: part.Reading.Due, InFlight: count(part.Reading.InFlight),
		Missing: part.Reading.Missing, Paused: part.Reading.Paused,
	}
	if a.Err != nil {
		return message
	}
	for _, decided := range a.Decision.Parts {
		if decided.Queue != part.Queue {
			continue
		}
		message.Value, message.Capped = &decided.Value, decided.Capped
		if len(a.Trigger.Policy.Weights) > 0 {
			message.Weight = &decided.Weight
		}
		if a.Trigger.Policy.DrainTime > 0 {
			message.Arrivals = &decided.Arrivals
		}
	}
	return message
}

func (i *Inspector) watching(a server.Account) *pb.Watching {
	message := &pb.Watching{Armed: a.Seen.Armed, Last: attempt(a.Seen.Last), Woke: attempt(a.Seen.BecameNonempty), StirredAt: moment(a.Seen.LastChange), Traceless: a.Trigger.Policy.Traceless}
	if connection, ok := i.connections.Status(a.Trigger.Connection); ok {
		message.Server, message.WakeUp, message.WakeUpReason = connection.Server, connection.WakeUp, connection.WakeUpReason
	}
	return message
}

func attempt(l backlog.ReadAttempt) *pb.Look {
	if l.At.IsZero() {
		return nil
	}
	return &pb.Look{At: moment(l.At), Cause: string(l.Cause)}
}

func conversation(a server.Account) *pb.Conversation {
	message := &pb.Conversation{
		AskedAt: moment(a.Asked), AskedBy: a.AskedBy,
		OpenStreams: int32(min(a.Streams, math.MaxInt32)), //nolint:gosec // bounded
	}
	for _, t := range a.Told {
		message.Told = append(message.Told, &pb.Told{
			Method: t.Method, At: moment(t.At), Since: moment(t.Since),
			Value: t.Value, Target: t.Target, Active: t.Active, Code: t.Code, Error: t.Error,
		})
	}
	return message
}

// moment is absent for no time.
func moment(t time.Time) *timestamppb.Timestamp {
	if t.IsZero() {
		return nil
	}
	return timestamppb.New(t)
}

// count is absent for what is unknown.
func count(c backlog.Count) *int64 {
	if !c.Known {
		return nil
	}
	return &c.N
}

// seconds is an age. Clocks of engines may be ahead of ours.
func seconds(d time.Duration) float64 { return max(0, d.Seconds()) }
