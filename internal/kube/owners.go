package kube

import (
	"cmp"
	"slices"
	"strconv"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/backlog-scaler/backlog-scaler/api/v1alpha1"
)

// The annotations by which a ScaledObject is paused:
// https://keda.sh/docs/2.21/concepts/scaling-deployments/#pausing-autoscaling
const (
	pausedAnnotation         = "autoscaling.keda.sh/paused"
	pausedReplicasAnnotation = "autoscaling.keda.sh/paused-replicas"
	pausedScaleOutAnnotation = "autoscaling.keda.sh/paused-scale-out"
)

// defaultMaxReplicas is KEDA's for a ScaledObject without maxReplicaCount:
// https://github.com/kedacore/keda/blob/v2.21.0/apis/keda/v1alpha1/scaledobject_types.go#L97
const defaultMaxReplicas = 100

// owners are what else scales the workload of a policy.
type owners struct {
	// known reports that HorizontalPodAutoscalers and ScaledObjects can be read. Otherwise one
	// may exist.
	known bool
	// hpa is the name of a HorizontalPodAutoscaler that does not belong to a ScaledObject.
	hpa string
	// scaledObjects have the workload as their target, ordered by name. KEDA's webhook allows one.
	scaledObjects []scaledObject
	// elsewhere is the name of a ScaledObject that has a trigger with the policy and another
	// target.
	elsewhere string
	// older is the name of an older policy with the same target.
	older string
}

// scaledObject is what is known of a ScaledObject.
type scaledObject struct {
	name, target string
	// policies are those of its triggers, and others is the number of its other triggers.
	policies []string
	others   int
	// max is the largest number of replicas that it allows.
	max int32
	// paused reports that its replicas are not to change; scaleOutPaused, that they are not to
	// rise.
	paused, scaleOutPaused bool
}

// driver returns the ScaledObject that has the workload as its target and a trigger with the
// policy.
func (o *owners) driver(policy string) (scaledObject, bool) {
	for _, s := range o.scaledObjects {
		if slices.Contains(s.policies, policy) {
			return s, true
		}
	}
	return scaledObject{}, false
}

// paused reports whether a ScaledObject of the workload is paused.
func (o *owners) paused() bool {
	return slices.ContainsFunc(o.scaledObjects, func(s scaledObject) bool { return s.paused })
}

func parseScaledObject(u *unstructured.Unstructured) scaledObject {
	s := scaledObject{name: u.GetName(), max: defaultMaxReplicas}
	target, _, _ := unstructured.NestedMap(u.Object, "spec", "scaleTargetRef")
	apiVersion, _ := target["apiVersion"].(string)
	kind, _ := target["kind"].(string)
	name, _ := target["name"].(string)
	s.target = targetOf(apiVersion, kind, name)
	if largest, found, err := unstructured.NestedInt64(u.Object, "spec", "maxReplicaCount"); found && err == nil {
		s.max = int32(min(max(largest, 0), 1<<31-1))
	}
	triggers, _, _ := unstructured.NestedSlice(u.Object, "spec", "triggers")
	for _, trigger := range triggers {
		fields, _ := trigger.(map[string]any)
		if policy, _, _ := unstructured.NestedString(fields, "metadata", "policy"); policy != "" {
			s.policies = append(s.policies, policy)
		} else {
			s.others++
		}
	}
	annotations := u.GetAnnotations()
	_, atNumber := annotations[pausedReplicasAnnotation]
	s.paused = atNumber || isTrue(annotations[pausedAnnotation])
	s.scaleOutPaused = isTrue(annotations[pausedScaleOutAnnotation])
	return s
}

func isTrue(text string) bool {
	value, err := strconv.ParseBool(text)
	return value && err == nil
}

// readOwners reads what else scales the workload of a policy, from the caches.
func (c *Controller) readOwners(p *v1alpha1.AutoscalerPolicy) owners {
	ref := p.Spec.ScaleTargetRef
	target := targetOf(ref.APIVersion, ref.Kind, ref.Name)
	o := owners{known: c.sources.known(), older: olderThan(p, c.policies.Find(p.Namespace, byTarget, target))}
	if c.sources.hpas.readable() {
		o.hpa = foreignHPA(c.hpas.Find(p.Namespace, byTarget, target))
	}
	if c.sources.scaledObjects.readable() {
		o.scaledObjects = parseScaledObjects(c.scaledObjects.Find(p.Namespace, byTarget, target))
		for _, s := range parseScaledObjects(c.scaledObjects.Find(p.Namespace, byPolicy, p.Name)) {
			if s.target != target {
				o.elsewhere = s.name
				break
			}
		}
	}
	return o
}

// parseScaledObjects returns what is known of ScaledObjects, ordered by name.
func parseScaledObjects(stored []*unstructured.Unstructured) []scaledObject {
	objects := make([]scaledObject, 0, len(stored))
	for _, u := range stored {
		objects = append(objects, parseScaledObject(u))
	}
	slices.SortFunc(objects, func(a, b scaledObject) int { return cmp.Compare(a.name, b.name) })
	return objects
}

// foreignHPA returns the name of the first HorizontalPodAutoscaler that no ScaledObject owns.
func foreignHPA(hpas []*autoscalingv2.HorizontalPodAutoscaler) string {
	var names []string
	for _, h := range hpas {
		owned := slices.ContainsFunc(h.OwnerReferences, func(owner metav1.OwnerReference) bool { return owner.Kind == scaledObjectKind().Kind })
		if !owned {
			names = append(names, h.Name)
		}
	}
	if len(names) == 0 {
		return ""
	}
	return slices.Min(names)
}

// olderThan returns the name of the oldest policy if it is not p. Of two of the same second the
// first by name counts as older, so that all replicas agree. A policy that observes scales
// nothing.
func olderThan(p *v1alpha1.AutoscalerPolicy, siblings []*v1alpha1.AutoscalerPolicy) string {
	oldest := p
	for _, s := range siblings {
		if s.Spec.Mode == v1alpha1.Observe || s.Name == p.Name {
			continue
		}
		order := s.CreationTimestamp.Compare(oldest.CreationTimestamp.Time)
		if order < 0 || order == 0 && s.Name < oldest.Name {
			oldest = s
		}
	}
	if oldest == p {
		return ""
	}
	return oldest.Name
}
