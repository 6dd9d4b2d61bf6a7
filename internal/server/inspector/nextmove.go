package inspector

import (
	"math"
	"time"

	pb "github.com/backlog-scaler/backlog-scaler/gen/backlogscaler/v1"
	"github.com/backlog-scaler/backlog-scaler/internal/hpa"
	"github.com/backlog-scaler/backlog-scaler/internal/policies"
)

// What changes the replicas.
const (
	actorHPA    = "HPA"
	actorKEDA   = "KEDA"
	actorScaler = "scaler"
	actorNone   = "none"
)

// nextMove returns what happens to the replicas next. The workload is known.
func nextMove(x *policies.Explanation, now time.Time) *pb.NextMove {
	o, current := &x.Outcome, x.Target.Replicas
	stays := func(reason string) *pb.NextMove {
		return &pb.NextMove{Actor: actorNone, Replicas: current, Reason: reason}
	}
	active := o.Replicas > 0 || o.Decision.Active
	switch {
	case !o.Decided():
		return stays("there is no number, so the replicas stay")
	case x.Policy.Mode == policies.Observe:
		return stays("the policy says mode: Observe, so nothing acts on it")
	case x.Target.Paused:
		return stays("the ScaledObject is paused")
	case x.Policy.Via == policies.ViaScale && o.Replicas == current:
		return stays("the workload has the replicas that were decided")
	case x.Policy.Via == policies.ViaScale:
		return &pb.NextMove{Actor: actorScaler, Replicas: o.Replicas, Reason: "one replica of the scaler writes the number"}
	case current == 0 && !active:
		return stays("no replica is wanted")
	case current == 0:
		return &pb.NextMove{Actor: actorKEDA, Replicas: 1, Reason: "KEDA starts minReplicaCount replicas, at least one; then the HPA acts"}
	case !active:
		return &pb.NextMove{Actor: actorKEDA, Reason: "KEDA deletes all replicas above minReplicaCount once cooldownPeriod has passed"}
	default:
		return nextSync(x, now)
	}
}

// nextSync returns what the HPA sets at its next sync: with the behavior that suits a policy, and
// without any.
func nextSync(x *policies.Explanation, now time.Time) *pb.NextMove {
	reported, current := x.Outcome.Replicas, x.Target.Replicas
	sync := func(behavior *hpa.Behavior) hpa.Recommendation {
		a := hpa.New(hpa.Spec{Min: 1, Max: math.MaxInt32, Behavior: behavior})
		metric := func(value int32) []hpa.Metric {
			return []hpa.Metric{{Name: "policy", Value: hpa.Thousandths(float64(value)), Target: hpa.Thousandths(1)}}
		}
		// What the HPA remembers from before its stabilization window does not count.
		a.Sync(now.Add(-2*hpa.DownscaleStabilization), hpa.Steady(current), metric(current))
		return a.Sync(now, hpa.Scale{Spec: current, Status: current, Ready: x.Target.Available}, metric(reported))
	}
	exact, plain := sync(exactBehavior()), sync(nil)
	message := &pb.NextMove{Actor: actorHPA, Replicas: exact.Replicas, Reason: exact.Reason.String(), DefaultReplicas: &plain.Replicas}
	switch plain.Replicas {
	case reported:
	case current:
		message.DefaultReason = "within the tolerance of 10 %"
	default:
		message.DefaultReason = plain.Reason.String()
	}
	return message
}

// exactBehavior returns the behavior of an HPA that sets what a policy reports: without tolerance
// and window, and up to ten times the replicas at once.
func exactBehavior() *hpa.Behavior {
	return &hpa.Behavior{
		Up:   hpa.Rules{Policies: []hpa.Policy{{Percent: 900, Period: hpa.SyncPeriod}}},
		Down: hpa.Rules{Policies: []hpa.Policy{{Percent: 100, Period: hpa.SyncPeriod}}},
	}
}
