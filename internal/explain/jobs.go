package explain

import (
	"fmt"

	pb "github.com/backlog-scaler/backlog-scaler/gen/backlogscaler/v1"
)

// isJobs reports whether a trigger is of a ScaledJob. A rejected one says so in its metadata alone.
func isJobs(e *pb.Explanation) bool {
	if d := e.GetDecision(); d != nil {
		return d.GetJobStrategy() != ""
	}
	metadata := e.GetTrigger().GetMetadata()
	return metadata["scaledJob"] != "" || metadata["scaledJobFromEnv"] != ""
}

// wantedOf returns what KEDA starts for a trigger.
func wantedOf(e *pb.Explanation) string {
	if isJobs(e) {
		return "Job"
	}
	return "replica"
}

// holding returns what KEDA does when it gets an error.
func holding(e *pb.Explanation) string {
	if isJobs(e) {
		return "starts no Jobs"
	}
	return "holds the replicas"
}

// jobsText describes how many Jobs KEDA starts, by
// https://github.com/kedacore/keda/blob/v2.21.0/pkg/scaling/executor/scale_jobs.go#L481-L521. It is
// empty for a ScaledObject.
func jobsText(d *pb.Decision) string {
	wanted := plural(d.GetWantedReplicas(), "Job")
	switch d.GetJobStrategy() {
	case "":
		return ""
	case "default":
		return fmt.Sprintf("scaledJob default: at each poll KEDA starts %s less those that have not ended", wanted)
	case "custom":
		return fmt.Sprintf("scaledJob custom: at each poll KEDA starts %s less a share of those that have not ended", wanted)
	case "accurate":
		return fmt.Sprintf("scaledJob accurate: at each poll KEDA starts %s less those whose pod does not run yet", wanted)
	default:
		return fmt.Sprintf("scaledJob %s: at each poll KEDA starts %s, up to maxReplicaCount", d.GetJobStrategy(), wanted)
	}
}
