package doctor

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/doctor/facts"
	"github.com/backlog-scaler/backlog-scaler/internal/doctor/object"
)

// workloadChecks are about the workloads that are scaled.
func workloadChecks() []Check {
	return []Check{
		{
			Code: "W301", Title: "Two autoscalers on one workload", Severity: Error, Offline: true, reads: []object.Kind{object.ScaledObjects, object.Autoscalers, object.Policies},
			Why:      "Two HPAs over the same pods both stop, and two programs that write replicas take each other's numbers back.",
			Change:   "Keep one. Several queues are triggers of one ScaledObject, or signals of one policy.",
			Evidence: []string{"https://github.com/kubernetes/kubernetes/blob/v1.36.3/pkg/controller/podautoscaler/horizontal.go#L425", "temporalio/temporal-worker-controller#529"},
			find:     checkOwners,
		},
		{
			Code: "W302", Title: "Replicas in a manifest", Severity: Warning, Offline: true, reads: []object.Kind{object.ScaledObjects, object.Deployments, object.StatefulSets},
			Why:      "Each apply of the manifest sets the replicas back: a rollout at night takes forty workers to one.",
			Change:   "Remove spec.replicas from the manifest. With Argo CD ignore /spec/replicas and set RespectIgnoreDifferences.",
			Evidence: []string{"kedacore/keda#5572", "argoproj/argo-cd#28590"},
			find:     checkReplicas,
		},
		{
			Code: "W303", Title: "A grace period that is shorter than the jobs", Severity: Warning, Offline: true, reads: []object.Kind{object.ScaledObjects, object.Deployments, object.StatefulSets},
			Why:      "A pod that is scaled away gets SIGTERM, and SIGKILL after terminationGracePeriodSeconds. A job that takes longer is lost or done twice.",
			Change:   "Raise terminationGracePeriodSeconds above the longest job, and let workers finish their job after SIGTERM.",
			Evidence: []string{"kedacore/keda#3674", "kedacore/keda#2900"},
			find:     checkGrace,
		},
		{
			Code: "W304", Title: "Replicas that do not start", Severity: Warning, needs: reading(object.ScaledObjects, object.Pods, object.Deployments),
			Why:    "The autoscaler wants replicas that the cluster does not give. Raising maxReplicaCount changes nothing.",
			Change: "Add nodes, raise the quota, or lower what a pod requests.",
			find:   checkPending,
		},
	}
}

// autoscalers are the objects that scale workloads.
type autoscalers map[facts.Ref][]*object.Object

// add adds an object. One that is there twice, as in a base and an overlay, is one.
func (a autoscalers) add(target facts.Ref, o *object.Object) {
	same := func(other *object.Object) bool { return other.Kind == o.Kind && other.Name() == o.Name() }
	if !slices.ContainsFunc(a[target], same) {
		a[target] = append(a[target], o)
	}
}

func checkOwners(v *view, found *findings) {
	owners, concerned := v.owners()
	for target, all := range owners {
		if len(all) < 2 || !concerned[target] || target.Name == "" {
			continue
		}
		var names []string
		for _, o := range all {
			names = append(names, fmt.Sprintf("the %s %s", o.Kind, o.Name()))
		}
		found.add(all[0], "spec.scaleTargetRef", "", "%s is scaled by %s", target, strings.Join(names, " and "))
	}
}

// owners returns what scales each workload, and which workloads the scaler has to do with.
func (v *view) owners() (owners autoscalers, concerned map[facts.Ref]bool) {
	owners, concerned = make(autoscalers), make(map[facts.Ref]bool)
	for _, s := range v.Scaled {
		if !s.Job {
			owners.add(s.Target, s.Object)
			concerned[s.Target] = concerned[s.Target] || s.HasOurs()
		}
	}
	for _, h := range v.ByKind[object.Autoscalers] {
		if !v.madeByKEDA(h) {
			owners.add(facts.TargetOf(h), h)
		}
	}
	// A policy with via: KEDA and the ScaledObject of its trigger are one.
	deciders := make(autoscalers)
	for _, p := range v.ByKind[object.Policies] {
		target := facts.TargetOf(p)
		switch {
		case p.At("spec", "mode").Text() == "Observe":
		case p.At("spec", "via").Text() == "Scale":
			owners.add(target, p)
			concerned[target] = true
		default:
			deciders.add(target, p)
			concerned[target] = true
		}
	}
	for target, all := range deciders {
		other := slices.ContainsFunc(owners[target], func(o *object.Object) bool { return o.Kind != object.ScaledObjects })
		for _, p := range all {
			if len(all) > 1 || other {
				owners.add(target, p)
			}
		}
	}
	return owners, concerned
}

// madeByKEDA reports whether an HPA is the one of a ScaledObject, or will become it.
func (v *view) madeByKEDA(h *object.Object) bool {
	for _, o := range h.At("metadata", "ownerReferences").List() {
		if o.At("kind").Text() == string(object.ScaledObjects) {
			return true
		}
	}
	if h.Labels()["scaledobject.keda.sh/name"] != "" {
		return true
	}
	return slices.ContainsFunc(v.Scaled, func(s *facts.Scaled) bool {
		own := s.At("spec", "advanced", "horizontalPodAutoscalerConfig", "name").Text()
		return s.Namespace() == h.Namespace() && own == h.Name() && object.IsTrue(s.Annotations()["scaledobject.keda.sh/transfer-hpa-ownership"])
	})
}

func checkReplicas(v *view, found *findings) {
	seen := make(map[*object.Object]bool)
	v.EachScaled(func(s *facts.Scaled, _ []*facts.Entry) {
		w := v.Workload(s.Target)
		if w == nil {
			found.skipMissing(v, "workloads")
			return
		}
		if seen[w] {
			return
		}
		seen[w] = true
		replicas, set := w.At("spec", "replicas").Number()
		switch writer := writerOfReplicas(w); {
		case !set:
		case !v.Online:
			found.add(w, "spec.replicas", "", "spec.replicas is %d, and %s scales it", replicas, s.Place(""))
		case writer != "":
			found.add(w, "spec.replicas", "", "%s, and %s scales it", writer, s.Place(""))
		}
	})
}

// lastApplied is the annotation in which kubectl apply keeps the manifest.
const lastApplied = "kubectl.kubernetes.io/last-applied-configuration"

// writerOfReplicas says which manifest has the replicas of a workload; empty if none is known to have them.
// A program that created the workload without replicas owns the default 1, so ownership by Update says
// nothing.
func writerOfReplicas(w *object.Object) string {
	var manifest struct {
		Spec struct {
			Replicas *int64 `json:"replicas"`
		} `json:"spec"`
	}
	if err := json.Unmarshal([]byte(w.Annotations()[lastApplied]), &manifest); err == nil && manifest.Spec.Replicas != nil {
		return fmt.Sprintf("the manifest of kubectl apply has spec.replicas %d", *manifest.Spec.Replicas)
	}
	for _, entry := range w.At("metadata", "managedFields").List() {
		if entry.At("operation").Text() == "Apply" && entry.At("subresource").Text() == "" && entry.At("fieldsV1", "f:spec", "f:replicas").Exists() {
			return fmt.Sprintf("the manifest that %s applies has spec.replicas", entry.At("manager").Text())
		}
	}
	return ""
}

// defaultGrace is the grace period of a pod that names none.
const defaultGrace = 30

func checkGrace(v *view, found *findings) {
	unknown := false
	for _, s := range v.Scaled {
		w, path := v.Workload(s.Target), "spec.template.spec.terminationGracePeriodSeconds"
		var template object.Value
		switch {
		case !s.HasOurs():
			continue
		case s.Job:
			continue // KEDA does not end Jobs to scale
		case w == nil:
			found.skipMissing(v, "workloads")
			continue
		default:
			template = w.At("spec", "template", "spec")
		}
		length := v.JobLength(s)
		grace := time.Duration(template.At("terminationGracePeriodSeconds").NumberOr(defaultGrace)) * time.Second
		switch {
		case length.Duration == 0:
			unknown = true
		case length.Duration > grace:
			found.add(w, path, "", "the grace period is %v, and %s", grace, length.Source)
		}
	}
	if unknown {
		found.skip("how long the jobs of some workloads take is not known: the annotation " + facts.DurationAnnotation + " says it, and no engine reports it")
	}
}

func checkPending(v *view, found *findings) {
	v.EachScaled(func(s *facts.Scaled, _ []*facts.Entry) {
		w := v.Workload(s.Target)
		if w == nil {
			return
		}
		if failure := w.At("status", "conditions").Condition("ReplicaFailure"); failure.At("status").Text() == "True" {
			found.add(w, "status.conditions", "", "%s: %s", failure.At("reason").Text(), failure.At("message").Text())
			return
		}
		pending, reason := 0, ""
		for _, pod := range v.PodsOf(w) {
			created := pod.At("metadata", "creationTimestamp").Moment()
			if pod.At("status", "phase").Text() != "Pending" || created.IsZero() || v.Now.Sub(created) < lasting {
				continue
			}
			pending++
			if scheduled := pod.At("status", "conditions").Condition("PodScheduled"); scheduled.At("status").Text() == "False" {
				reason = ": " + scheduled.At("message").Text()
			}
		}
		if pending > 0 {
			found.add(w, "status.replicas", "", "%s pending for more than 10 min%s", facts.Count(pending, "pod"), reason)
		}
	})
}
