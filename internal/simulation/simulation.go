// Package simulation replays what came to a queue against triggers and policies: a model of the
// queue, of workers that start, work and are stopped, of KEDA's polls and pushes and of the
// HorizontalPodAutoscaler's syncs, on a clock of its own. What the scaler reports is computed by the
// packages that the scaler itself uses. It is pure: the same input and seed give the same outcome.
package simulation

import (
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/decision"
	"github.com/backlog-scaler/backlog-scaler/internal/hpa"
	"github.com/backlog-scaler/backlog-scaler/internal/policies"
	"github.com/backlog-scaler/backlog-scaler/internal/policy"
)

// Workers are those of the workload.
type Workers struct {
	// Service is how long one message takes, where the trace does not have it.
	Service Distribution
	// Startup is the time from the creation of a pod until it takes messages. Cold is what is added
	// to it for the part ColdShare of the pods: a new node, or an image that has to be pulled.
	Startup, Cold Distribution
	ColdShare     float64
	// WarmUp is how long a replica that has started takes to get up to speed. It begins at half of it,
	// and the speed at which it takes a message is that of the whole message.
	WarmUp time.Duration
	// Concurrency is how many messages a replica works on at once; at least 1.
	Concurrency int
	// Grace is how long a stopped replica may finish what it works on. What is not finished by then
	// is queued again.
	Grace time.Duration
}

// A Candidate is one way to scale the workload.
type Candidate struct {
	Name string
	// Object is the ScaledObject. Created is set by the simulation.
	Object hpa.ScaledObject
	// Polling is KEDA's pollingInterval; positive.
	Polling time.Duration
	// Triggers are those of the ScaledObject; none scales nothing.
	Triggers []Trigger
	// Start is the number of replicas at the beginning.
	Start int32
}

// A Trigger is one of the three kinds of trigger; one of Queue, BuiltIn and Policy is set.
type Trigger struct {
	// Queue is a trigger of the scaler that reads the queue.
	Queue *Queue
	// BuiltIn is one of KEDA's own triggers.
	BuiltIn *BuiltIn
	// Policy is a trigger of the scaler that names an AutoscalerPolicy.
	Policy *Policy
	// Push reports that the type is external-push: the scaler notifies KEDA of work.
	Push bool
	// Type is the metricType of the trigger.
	Type hpa.TargetType
}

// A Queue is the queue as the scaler sees it.
type Queue struct {
	Spec decision.Spec
	// Window is the age up to which past readings are kept.
	Window time.Duration
	// Hidden reports that the engine cannot tell what is in flight, HeldIsReady that it counts that
	// among the waiting messages, and Counter that it counts arrivals.
	Hidden, HeldIsReady, Counter bool
	// Oldest reports that it knows the age of the oldest message.
	Oldest bool
	// Notice is how long it takes until the scaler has noticed that there is work in an idle queue.
	Notice time.Duration
}

// A BuiltIn is one of KEDA's own triggers, which reads the queue whenever KEDA or the
// HorizontalPodAutoscaler asks.
type BuiltIn struct {
	Target, Activation float64
	// Waiting and InFlight say what counts.
	Waiting, InFlight bool
}

// A Policy is an AutoscalerPolicy.
type Policy struct {
	Policy *policy.Policy
	Jump   policies.Jump
	// Max is the largest number of replicas.
	Max     int32
	Signals []Signal
	// SparesBusy reports that the policy knows which pods are busy.
	SparesBusy bool
}

// A Signal is a signal of a policy. Its Spec has no bound of staleness, because a policy has its own.
type Signal struct {
	Name string
	Queue
	// Learned is the throughput that is learned; nil for one that is given.
	Learned *policy.Throughput
	// Unknown reports that it measures what a trace does not have. It is never known then, and Queue is
	// not used.
	Unknown bool
}

// Phases are where in their periods KEDA and the HorizontalPodAutoscaler are at the beginning. No
// setting controls that.
type Phases struct {
	// Poll is the time until KEDA's first poll, and Sync until the first sync.
	Poll, Sync time.Duration
}

// windows returns how much of the beginning the candidate's own windows need to fill.
func (c *Candidate) windows() time.Duration {
	var longest time.Duration
	for i := range c.Triggers {
		switch t := &c.Triggers[i]; {
		case t.Queue != nil:
			longest = max(longest, t.Queue.Window)
		case t.Policy != nil:
			for j := range t.Policy.Signals {
				longest = max(longest, t.Policy.Signals[j].Window)
			}
		}
	}
	return longest
}
