package doctor

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/doctor/facts"
	"github.com/backlog-scaler/backlog-scaler/internal/doctor/object"
)

// statusChecks are about what KEDA and the HPA report of ScaledObjects.
func statusChecks() []Check {
	return []Check{
		{
			Code: "S220", Title: "A ScaledObject that is not ready", Severity: Error, needs: reading(object.ScaledObjects), reads: []object.Kind{object.ScaledJobs, object.Events},
			Why:      "KEDA does not scale by this ScaledObject, or not by all of its triggers.",
			Change:   "Correct what the message names; scaler explain NAMESPACE/NAME has the scaler's own words.",
			Evidence: []string{"kedacore/keda-docs#1298"},
			find:     checkReady,
		},
		{
			Code: "S221", Title: "A trigger whose activations KEDA drops", Severity: Error, needs: reading(object.ScaledObjects),
			Why:      "KEDA did not get the metric of the trigger when it made the HPA, for example because the scaler was restarting. It then drops each push without a word.",
			Change:   "Change any field of spec, such as pollingInterval: that restarts the loop of the ScaledObject.",
			Evidence: []string{"kedacore/keda#8168"},
			find:     checkMetricNames,
		},
		{
			Code: "S222", Title: "An HPA that cannot scale", Severity: Error, needs: reading(object.ScaledObjects, object.Autoscalers),
			Why:      "The HPA reports that it computes no number, so the workload stays at its replicas.",
			Change:   "Correct what the message names.",
			Evidence: []string{"https://github.com/kubernetes/kubernetes/blob/v1.36.3/pkg/controller/podautoscaler/horizontal.go"},
			find:     checkAutoscalers,
		},
		{
			Code: "S223", Title: "A workload at its maximum", Severity: Warning, needs: reading(object.ScaledObjects, object.Autoscalers),
			Why:    "More replicas are wanted than maxReplicaCount allows, so the backlog grows for as long as work keeps coming.",
			Change: "Raise maxReplicaCount, or make each replica faster. If the maximum is meant, ignore this code with the reason.",
			find:   checkMaximum,
		},
		{
			Code: "S224", Title: "A ScaledObject that is not deleted", Severity: Warning, needs: reading(object.ScaledObjects),
			Why:      "KEDA's finalizer keeps it. Its operator is down, or another program writes the object again and again.",
			Change:   "Start KEDA's operator. If KEDA is gone for good, remove finalizer.keda.sh from the object.",
			Evidence: []string{"kedacore/keda#7950", "kedacore/keda#1470"},
			find: func(v *view, found *findings) {
				for _, s := range v.Scaled {
					deleted := s.At("metadata", "deletionTimestamp").Moment()
					if s.HasOurs() && !deleted.IsZero() && v.Now.Sub(deleted) > stuckAfter {
						found.add(s.Object, "metadata.finalizers", "", "it is being deleted since %s", deleted.UTC().Format(time.RFC3339))
					}
				}
			},
		},
	}
}

// stuckAfter is how long a deletion may take.
const stuckAfter = 5 * time.Minute

// lasting is how long a state lasts before it is no transition.
const lasting = 10 * time.Minute

func checkReady(v *view, found *findings) {
	for _, s := range v.Scaled {
		ready := s.At("status", "conditions").Condition("Ready")
		if !s.HasOurs() || ready.At("status").Text() != "False" || s.Paused() {
			continue
		}
		text := fmt.Sprintf("%s: %s", ready.At("reason").Text(), ready.At("message").Text())
		if words := v.lastFailure(s.Object); words != "" {
			text += ": " + words
		}
		found.add(s.Object, "status.conditions", "", "%s", text)
	}
}

// lastFailure returns the text of the last event of KEDA about a scaler that failed.
func (v *view) lastFailure(o *object.Object) string {
	latest, text := "", ""
	for _, event := range v.ByKind[object.Events] {
		about := event.At("involvedObject")
		if about.At("kind").Text() != string(o.Kind) || about.At("name").Text() != o.Name() || event.Namespace() != o.Namespace() ||
			!strings.HasSuffix(event.At("reason").Text(), "Failed") {
			continue
		}
		if at := cmp.Or(event.At("lastTimestamp").Text(), event.At("eventTime").Text()); at >= latest {
			latest, text = at, event.At("message").Text()
		}
	}
	return text
}

func checkMetricNames(v *view, found *findings) {
	v.EachScaled(func(s *facts.Scaled, ours []*facts.Entry) {
		if s.At("status", "conditions").Condition("Ready").At("status").Text() != "True" || s.Paused() || s.At("status", "hpaName").Text() == "" {
			return
		}
		names := s.At("status", "externalMetricNames").List()
		for _, e := range ours {
			prefix := fmt.Sprintf("s%d-", e.Index)
			if !slices.ContainsFunc(names, func(name object.Value) bool { return strings.HasPrefix(name.Text(), prefix) }) {
				found.add(s.Object, facts.Field(e.Index, ""), "", "status.externalMetricNames has no metric of this trigger")
			}
		}
	})
}

// autoscaler returns the HPA that KEDA made for a ScaledObject; nil if it is not known.
func (v *view) autoscaler(s *facts.Scaled) *object.Object {
	name := s.At("status", "hpaName").Text()
	if name == "" {
		name = "keda-hpa-" + s.Name()
	}
	return v.Object(object.Autoscalers, s.Namespace(), name)
}

func checkAutoscalers(v *view, found *findings) {
	v.EachScaled(func(s *facts.Scaled, _ []*facts.Entry) {
		h := v.autoscaler(s)
		if h == nil || s.Paused() {
			return
		}
		conditions := h.At("status", "conditions")
		for _, kind := range []string{"AbleToScale", "ScalingActive"} {
			c := conditions.Condition(kind)
			// At zero replicas the HPA does nothing: that is KEDA's part.
			if reason := c.At("reason").Text(); c.At("status").Text() == "False" && reason != "ScalingDisabled" {
				found.add(h, "status.conditions", changeFor(reason), "%s: %s", reason, c.At("message").Text())
			}
		}
	})
}

// changeFor returns what to change for a reason of the HPA; empty for one that explains itself:
// https://github.com/kubernetes/kubernetes/blob/v1.36.3/pkg/controller/podautoscaler/horizontal.go
func changeFor(reason string) string {
	switch reason {
	case "FailedGetExternalMetric":
		return "scaler explain NAMESPACE/NAME says what is wrong with the trigger; the check K101 says whether KEDA's metrics are served."
	case "AmbiguousSelector":
		return "Two HPAs select the same pods. Delete one, or give the workloads labels of their own."
	case "InvalidSelector":
		return "The scale subresource of the workload has no selector that can be parsed; correct the selector of the workload."
	case "FailedGetScale":
		return "The workload does not exist, or has no scale subresource: correct scaleTargetRef."
	default:
		return ""
	}
}

func checkMaximum(v *view, found *findings) {
	v.EachScaled(func(s *facts.Scaled, _ []*facts.Entry) {
		h := v.autoscaler(s)
		if h == nil {
			return
		}
		limited := h.At("status", "conditions").Condition("ScalingLimited")
		since := limited.At("lastTransitionTime").Moment()
		if limited.At("status").Text() != "True" || limited.At("reason").Text() != "TooManyReplicas" || since.IsZero() || v.Now.Sub(since) < lasting {
			return
		}
		largest, text := h.At("spec", "maxReplicas").NumberOr(0), "since "+since.UTC().Format(time.RFC3339)
		var wanted int64
		for _, r := range v.Running(s) {
			wanted = max(wanted, r.Wanted)
		}
		if wanted > largest {
			found.add(s.Object, "spec.maxReplicaCount", "", "%d replicas are wanted and %d are allowed, %s", wanted, largest, text)
			return
		}
		found.addAs(Info, s.Object, "spec.maxReplicaCount", "", "the HPA stops at %d replicas, %s", largest, text)
	})
}
