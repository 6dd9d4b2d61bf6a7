package server

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strconv"
	"time"

	"google.golang.org/grpc/status"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/decision"
	"github.com/backlog-scaler/backlog-scaler/internal/policies"
	"github.com/backlog-scaler/backlog-scaler/internal/trigger"
)

// A TriggerStatus is everything that the server knows about one trigger.
type TriggerStatus struct {
	// ID identifies the trigger while the server runs.
	ID                      string
	Namespace, ScaledObject string
	// Metadata is what KEDA sent, with values that may be secrets redacted.
	Metadata map[string]string
	// Trigger is the parsed trigger; zero if it is Rejected.
	Trigger  trigger.Trigger
	Rejected bool
	// Observation is what is known about the queue.
	Observation backlog.Observation
	// Decision is what KEDA would get now. If Err is not nil KEDA gets that error instead,
	// with the gRPC code Code.
	Decision decision.Decision
	Err      error
	// Outcome is what was decided on the policy that the trigger names. It is zero for a trigger
	// that names a queue, and for a policy that answers no trigger.
	Outcome policies.Outcome
	Code    string
	// RejectedSince is when the trigger was first rejected.
	RejectedSince time.Time
	// LastCall is when KEDA last called, and LastMethod the method; zero and empty for a
	// static watch.
	LastCall   time.Time
	LastMethod string
	// OpenStreams is the number of streams that hold the trigger.
	OpenStreams int
	// LastResponses are the last responses of the methods, the most recent first.
	LastResponses []LastResponse
}

// TriggerStatuses returns the status of the triggers whose namespace and ScaledObject wanted
// accepts: the ones that KEDA asks about, the rejected ones and the static watches. They
// are ordered by namespace, ScaledObject and trigger, the most recently called first.
func (s *Server) TriggerStatuses(now time.Time, wanted func(namespace, scaledObject string) bool) []TriggerStatus {
	var statuses []TriggerStatus
	s.EachTriggerStatus(now, wanted, func(_ uint64, t *TriggerStatus, complete func()) bool {
		complete()
		statuses = append(statuses, *t)
		return true
	})
	slices.SortFunc(statuses, func(a, b TriggerStatus) int {
		return cmp.Or(
			cmp.Compare(a.Namespace, b.Namespace),
			cmp.Compare(a.ScaledObject, b.ScaledObject),
			cmp.Compare(a.Trigger.MetricName, b.Trigger.MetricName),
			b.LastCall.Compare(a.LastCall),
			cmp.Compare(a.ID, b.ID),
		)
	})
	return statuses
}

// EachTriggerStatus calls yield for the same triggers in any order, until it returns false.
// The status is valid during the call only. ID, Metadata and LastResponses are empty until
// complete is called: they are most of the cost, and a caller that polls needs them only
// for the few triggers that changed. A caller that has kept the Metadata of a trigger sets it
// before, so that it is redacted once. key identifies the trigger while the server runs. No
// lock is held during yield, so it may wait.
func (s *Server) EachTriggerStatus(
	now time.Time, wanted func(namespace, scaledObject string) bool, yield func(key uint64, t *TriggerStatus, complete func()) bool,
) {
	// A status must not wait for an engine, so it observes without time to wait.
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	var t TriggerStatus
	var live *liveTrigger
	complete := func() {
		t.ID = ID(live.key)
		if t.Metadata == nil {
			t.Metadata = redact(s.generation.Load().catalog, live.ref.GetScalerMetadata())
		}
		t.LastResponses = live.calls.all()
	}
	for _, live = range s.triggers.wanted(now) {
		if !wanted(live.ref.GetNamespace(), live.ref.GetName()) {
			continue
		}
		s.fillStatus(ctx, live, now, &t)
		if !yield(live.key, &t, complete) {
			return
		}
	}
	for key, rejected := range s.rejected.wanted(now) {
		if !wanted(rejected.namespace, rejected.scaledObject) {
			continue
		}
		t = rejected.status(key)
		if !yield(key, &t, func() {}) {
			return
		}
	}
}

// fillStatus fills in the parts of the status that change, from memory.
func (s *Server) fillStatus(ctx context.Context, live *liveTrigger, now time.Time, t *TriggerStatus) {
	*t = TriggerStatus{
		Namespace: live.ref.GetNamespace(), ScaledObject: live.ref.GetName(),
		Trigger:     live.trigger,
		OpenStreams: int(live.streams.Load()),
	}
	if by := method(live.lastMethod.Load()); by != methodNone {
		t.LastCall, t.LastMethod = time.Unix(0, live.lastCall.Load()), by.String()
	}
	if live.trigger.PolicyName != "" {
		t.Decision, t.Outcome, t.Err = s.outcome(live)
	} else {
		seen, err := s.observer.Observe(ctx, live.interest())
		switch {
		case err == nil:
			t.Observation = *seen
		case !errors.Is(err, context.Canceled):
			t.Observation.Err = err
		}
		t.Decision, t.Err = live.decide(&t.Observation, now)
	}
	if t.Err != nil {
		t.Err = live.explain(live.hinted(t.Err, t.Observation.Latest.Hint))
		t.Code = status.Code(toStatus(t.Err)).String()
	}
}

// status returns the status of a rejected trigger.
func (t rejectedTrigger) status(key uint64) TriggerStatus {
	s := status.Convert(t.err)
	return TriggerStatus{
		ID:        ID(key),
		Namespace: t.namespace, ScaledObject: t.scaledObject,
		Metadata: t.metadata,
		Rejected: true, RejectedSince: t.since,
		Err: errors.New(s.Message()), Code: s.Code().String(),
		LastCall: t.lastCall, LastMethod: t.lastMethod.String(),
	}
}

// ID returns the identity of the trigger with a key, as it is shown.
func ID(key uint64) string { return strconv.FormatUint(key, 36) }
