package page

import (
	"fmt"
	"time"

	pb "github.com/backlog-scaler/backlog-scaler/gen/backlogscaler/v1"
	"github.com/backlog-scaler/backlog-scaler/internal/explain"
)

// nextOf says what happens next about a trigger that names a queue, and what of that a scaler cannot
// know: KEDA sends it the metadata of the trigger, and nothing of the ScaledObject or the HPA.
func nextOf(e *pb.Explanation, now time.Time) []string {
	calls := e.GetCallHistory()
	if calls.GetLastCallAt() == nil {
		return []string{"Nothing: no ScaledObject asks about this queue, which is a watch of the configuration."}
	}
	if e.GetDecision().GetJobStrategy() != "" {
		return []string{
			"KEDA makes Jobs at its next poll. The time of that is unknown here: pollingInterval is not part of what KEDA sends. " + lastCalled(calls, "GetMetrics", "It last asked for the value", now),
		}
	}
	all := []string{
		"The HPA sets the replicas at its next sync, every 15 s unless the control plane sets another period. The time of that, and how far its behavior lets it go, are unknown here: " +
			"KEDA does not send that, nor the number of replicas. " + lastCalled(calls, "GetMetrics", "It last got the value", now) +
			fmt.Sprintf(" kubectl --namespace %s describe hpa keda-hpa-%s has the rest.", short(e.GetTrigger().GetNamespace()), short(e.GetTrigger().GetScaledObject())),
	}
	poll := "Between zero replicas and one KEDA decides, at its next poll. The time of that is unknown here: pollingInterval is not part of what KEDA sends. "
	if calls.GetOpenStreams() > 0 {
		poll = "Between zero replicas and one KEDA decides: at once when the scaler pushes that there is work, else at its next poll, whose time is unknown here. "
	}
	return append(all, poll+lastCalled(calls, "IsActive", "It last asked", now))
}

// lastCalled says when a method was last answered.
func lastCalled(calls *pb.CallHistory, method, what string, now time.Time) string {
	for _, response := range calls.GetLastResponses() {
		if response.GetMethod() == method {
			return fmt.Sprintf("%s %s ago.", what, explain.Age(now.Sub(response.GetAt().AsTime())))
		}
	}
	return what + " never, at this replica."
}
