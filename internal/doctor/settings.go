package doctor

import (
	"fmt"
	"strings"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/decision"
	"github.com/backlog-scaler/backlog-scaler/internal/doctor/facts"
	"github.com/backlog-scaler/backlog-scaler/internal/doctor/object"
)

// KEDA's defaults: https://github.com/kedacore/keda/blob/v2.21.0/apis/keda/v1alpha1/scaledobject_types.go
const (
	defaultPolling  = 30
	defaultCooldown = 300
	defaultMaximum  = 100
)

// syncSeconds is the interval at which the HPA asks.
const syncSeconds = 15

// The number of replicas to which an HPA without a behavior goes from one at its first sync: 4 pods or
// twice as many, whichever is more. https://kubernetes.io/docs/tasks/run-application/horizontal-pod-autoscale/#default-behavior
const firstStep = 5

// settingChecks are about the settings of ScaledObjects and ScaledJobs.
func settingChecks() []Check {
	return []Check{
		{
			Code: "S207", Title: "A fallback in place of holding", Severity: Error, Offline: true, reads: []object.Kind{object.ScaledObjects},
			Why: "While a queue cannot be read KEDA holds the replicas. With a fallback it sets a fixed number: 0 takes every worker away in an outage, " +
				"and another number is right only by chance.",
			Change:   "Remove spec.fallback. maxStaleness bridges short outages, and after it KEDA holds.",
			Evidence: []string{"kedacore/keda#7239"},
			find:     checkFallback,
		},
		{
			Code: "S208", Title: "Cached metrics", Severity: Warning, Offline: true, reads: triggerKinds(),
			Why:      "With useCachedMetrics the HPA gets the value of the last poll, so growth is as slow as pollingInterval. The scaler answers from memory, so the cache saves nothing.",
			Change:   "Remove useCachedMetrics.",
			Evidence: []string{"kedacore/keda#3921"},
			find: func(v *view, found *findings) {
				v.Each(func(s *facts.Scaled, e *facts.Entry) {
					if e.At("useCachedMetrics").Truth() {
						found.add(s.Object, facts.Field(e.Index, "useCachedMetrics"), "", "useCachedMetrics is true")
					}
				})
			},
		},
		{
			Code: "S209", Title: "Polling in step with the HPA", Severity: Warning, Offline: true, reads: []object.Kind{object.ScaledObjects},
			Why: "After an error KEDA closes the triggers of a ScaledObject. A poll in the same milliseconds as a sync of the HPA, which comes each 15 s, " +
				"takes the closed triggers for inactive and may scale to zero.",
			Change:   "Set a pollingInterval that is no multiple of 15, such as 20: pushes wake the workload, so polls are not urgent.",
			Evidence: []string{"https://github.com/kedacore/keda/blob/v2.21.0/pkg/scaling/scale_handler.go#L1131"},
			find:     checkPolling,
		},
		{
			Code: "S210", Title: "The default pace of the HPA", Severity: Info, Offline: true, reads: []object.Kind{object.ScaledObjects},
			Why:    "Without behavior.scaleUp the HPA at most doubles the replicas each 15 s: 69 s from 1 to 40.",
			Change: "Set behavior.scaleUp.policies: [{type: Percent, value: 900, periodSeconds: 15}] in spec.advanced.horizontalPodAutoscalerConfig.",
			find: func(v *view, found *findings) {
				v.EachScaled(func(s *facts.Scaled, _ []*facts.Entry) {
					largest := s.At("spec", "maxReplicaCount").NumberOr(defaultMaximum)
					if !s.Behavior("scaleUp").At("policies").Exists() && largest > firstStep {
						found.add(s.Object, "spec.advanced.horizontalPodAutoscalerConfig.behavior", "", "scaleUp has no policies, and up to %d replicas are allowed", largest)
					}
				})
			},
		},
		{
			Code: "S211", Title: "The HPA's tolerance next to exact counts", Severity: Warning, Offline: true, reads: []object.Kind{object.ScaledObjects},
			Why: "The HPA changes nothing while the value is within a tenth of what the replicas stand for. From ten replicas on, a number that is meant exactly " +
				"is off by up to a tenth.",
			Change:   "Set tolerance: \"0\" in scaleUp and scaleDown of the behavior. It is in force from Kubernetes 1.35 on, before that with the gate HPAConfigurableTolerance.",
			Evidence: []string{"kedacore/keda#7900", "kedacore/keda#5263"},
			find:     checkTolerance,
		},
		{
			Code: "S212", Title: "Scaling modifiers over a trigger of the scaler", Severity: Warning, Offline: true, reads: []object.Kind{object.ScaledObjects},
			Why:      "With a formula one trigger that fails makes all of them inactive, so an outage of one queue stops the workers of the others.",
			Change:   "Remove scalingModifiers. Combine queues in one trigger (combine, weights), or signals in an AutoscalerPolicy (formula).",
			Evidence: []string{"kedacore/keda#7072"},
			find: func(v *view, found *findings) {
				v.EachScaled(func(s *facts.Scaled, _ []*facts.Entry) {
					if formula := s.At("spec", "advanced", "scalingModifiers", "formula"); formula.Text() != "" {
						found.add(s.Object, "spec.advanced.scalingModifiers.formula", "", "the formula %q decides", formula.Text())
					}
				})
			},
		},
		{
			Code: "S213", Title: "No maxReplicaCount, or one above what helps", Severity: Warning, Offline: true, reads: triggerKinds(),
			Why:      "KEDA's default is 100. A burst, or a wrong target, starts as many: more than a database takes, or than the queue has partitions.",
			Change:   "Set maxReplicaCount to what the workers' dependencies can take.",
			Evidence: []string{"kedacore/keda#4483"},
			find: func(v *view, found *findings) {
				for _, s := range v.Scaled {
					if s.HasOurs() && !s.At("spec", "maxReplicaCount").Exists() {
						found.add(s.Object, "spec", "", "maxReplicaCount is not set, so it is %d", defaultMaximum)
					} else if s.HasOurs() {
						v.compareMaximum(found, s)
					}
				}
			},
		},
		{
			Code: "S214", Title: "A paused ScaledObject", Severity: Warning, Offline: true, reads: triggerKinds(),
			Why:      "A pause has no end. A forgotten one keeps a workload at its number whatever is in the queue.",
			Change:   "Remove the annotation when the maintenance is over.",
			Evidence: []string{"kedacore/keda#6982"},
			find:     checkPauses,
		},
		{
			Code: "S215", Title: "A cooldown that is shorter than the jobs", Severity: Warning, Offline: true, reads: []object.Kind{object.ScaledObjects},
			Why: "When no trigger has been active for cooldownPeriod, KEDA takes the workload from any number to zero in one step. " +
				"Where work in flight does not show in the queue, the pods that still work are stopped.",
			Change:   "Set holdActive of the trigger, or cooldownPeriod, to more than the longest job; better use a layout that shows work in flight.",
			Evidence: []string{"kedacore/keda#7770", "kedacore/keda#157", "kedacore/keda#6719"},
			find:     checkCooldown,
		},
	}
}

func checkFallback(v *view, found *findings) {
	v.EachScaled(func(s *facts.Scaled, _ []*facts.Entry) {
		fallback := s.At("spec", "fallback")
		switch replicas := fallback.At("replicas").NumberOr(0); {
		case !fallback.Exists():
		case replicas == 0 && fallback.At("behavior").Text() != "currentReplicas":
			found.add(s.Object, "spec.fallback.replicas", "", "an outage scales to zero")
		default:
			found.addAs(Warning, s.Object, "spec.fallback", "", "an outage sets the replicas by the fallback, %d, and not by what is known", replicas)
		}
	})
}

func checkPolling(v *view, found *findings) {
	v.EachScaled(func(s *facts.Scaled, _ []*facts.Entry) {
		interval, set := s.At("spec", "pollingInterval").Number()
		switch {
		case set && interval > 0 && interval%syncSeconds == 0:
			found.add(s.Object, "spec.pollingInterval", "", "pollingInterval is %d, a multiple of 15", interval)
		case !set:
			found.addAs(Info, s.Object, "spec", "", "pollingInterval is not set, so it is %d, a multiple of 15", defaultPolling)
		}
	})
}

// configurableTolerance is the first version of Kubernetes in which the tolerance of a behavior is in
// force by default: https://github.com/kubernetes/kubernetes/blob/v1.36.3/pkg/features/kube_features.go#L1498
func configurableTolerance() facts.Version { return facts.Version{Major: 1, Minor: 35} }

func checkTolerance(v *view, found *findings) {
	v.EachScaled(func(s *facts.Scaled, ours []*facts.Entry) {
		largest := s.At("spec", "maxReplicaCount").NumberOr(defaultMaximum)
		exact := ""
		for _, e := range ours {
			switch {
			case !e.Valid:
			case e.Parsed.PolicyName != "":
				exact = "the policy " + e.Parsed.PolicyName + " decides on an exact number"
			case e.Parsed.Policy.Target == 1 && e.Parsed.Policy.DrainTime == 0:
				exact = "the target is 1, one replica for each message"
			}
		}
		// At fewer than ten replicas one more is always outside of the tolerance.
		if exact == "" || largest < 10 {
			return
		}
		var missing []string
		for _, direction := range []string{"scaleUp", "scaleDown"} {
			if s.Behavior(direction).At("tolerance").Shown() != "0" {
				missing = append(missing, direction)
			}
		}
		if len(missing) == 0 {
			return
		}
		note := ""
		if running, known := facts.ParseVersion(v.Kubernetes); known && running.Before(configurableTolerance()) {
			note = ". The cluster is Kubernetes " + strings.TrimPrefix(v.Kubernetes, "v") + ", where that needs the gate HPAConfigurableTolerance"
		}
		found.add(s.Object, "spec.advanced.horizontalPodAutoscalerConfig.behavior", "", "%s, without tolerance \"0\" in %s%s", exact, strings.Join(missing, " and "), note)
	})
}

// pauseAnnotations are KEDA's, each with what it does:
// https://keda.sh/docs/2.21/concepts/scaling-deployments/#pausing-autoscaling
func pauseAnnotations() [][2]string {
	return [][2]string{
		{"paused-replicas", "the replicas stay at %s"},
		{"paused", "nothing is scaled"},
		{"paused-scale-in", "no replica is removed"},
		{"paused-scale-out", "no replica is added"},
		{"force-activation", "the workload is always active"},
	}
}

func checkPauses(v *view, found *findings) {
	for _, s := range v.Scaled {
		if !s.HasOurs() {
			continue
		}
		for _, pause := range pauseAnnotations() {
			key := facts.AnnotationPrefix + pause[0]
			text, set := s.Annotations()[key]
			if !set || pause[0] != "paused-replicas" && !object.IsTrue(text) {
				continue
			}
			effect := pause[1]
			if strings.Contains(effect, "%s") {
				effect = fmt.Sprintf(effect, text)
			}
			since := ""
			if at := annotated(s.Object, key); !at.IsZero() {
				since = ", since " + at.UTC().Format("2006-01-02 15:04 MST")
			}
			found.add(s.Object, "metadata.annotations."+key, "", "%s: %s%s", key, effect, since)
		}
	}
}

// annotated returns when the owner of an annotation last wrote; zero if it is not known.
func annotated(o *object.Object, key string) time.Time {
	for _, entry := range o.At("metadata", "managedFields").List() {
		if entry.At("fieldsV1", "f:metadata", "f:annotations", "f:"+key).Exists() {
			return entry.At("time").Moment()
		}
	}
	return time.Time{}
}

// shortCooldown is the cooldown below which it is worth a remark while nothing is known of the jobs.
const shortCooldown = time.Minute

func checkCooldown(v *view, found *findings) {
	v.EachScaled(func(s *facts.Scaled, ours []*facts.Entry) {
		if s.At("spec", "minReplicaCount").NumberOr(0) > 0 && !s.At("spec", "idleReplicaCount").Exists() {
			return
		}
		var covered time.Duration
		why := ""
		for _, e := range ours {
			switch {
			case !e.Valid || e.Parsed.PolicyName != "":
				return // nothing is known of it, or the policy holds
			case e.Unseen != nil:
				why = e.Unseen.Error()
			case e.Parsed.Policy.Count != 0 && e.Parsed.Policy.Count&decision.CountInFlight == 0:
				why = "the trigger does not count work in flight (count)"
			default:
				return
			}
			covered = max(covered, e.Parsed.Policy.Hold, e.Parsed.Policy.HoldActive)
		}
		cooldown := time.Duration(s.At("spec", "cooldownPeriod").NumberOr(defaultCooldown)) * time.Second
		length := v.JobLength(s)
		switch {
		case length.Duration > cooldown+covered:
			found.add(s.Object, "spec.cooldownPeriod", "", "%s, %s, and the workload goes to zero %v after the last message was taken", why, length.Source, cooldown+covered)
		case length.Duration == 0 && cooldown+covered < shortCooldown:
			found.addAs(Info, s.Object, "spec.cooldownPeriod", "", "%s, and the workload goes to zero %v after the last message was taken; the annotation %s says how long a job takes",
				why, cooldown+covered, facts.DurationAnnotation)
		}
	})
}

// compareMaximum compares maxReplicaCount with the number of workers that help a queue, such as that of its
// partitions, as the running scaler knows it.
func (v *view) compareMaximum(found *findings, s *facts.Scaled) {
	known := v.Running(s)
	maximum := s.At("spec", "maxReplicaCount").NumberOr(defaultMaximum)
	if len(known) != 1 || len(s.Triggers) != 1 || known[0].Reading == nil || known[0].Reading.MaxUseful == 0 || maximum <= known[0].Reading.MaxUseful {
		return
	}
	found.addAs(Info, s.Object, "spec.maxReplicaCount", "", "maxReplicaCount is %d, and more than %s do not help %s", maximum, facts.Count(int(known[0].Reading.MaxUseful), "worker"), known[0].Title())
}
