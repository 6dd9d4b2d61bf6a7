package object

import "strings"

// A Kind is a kind of objects that checks look at.
type Kind string

// The kinds.
const (
	ScaledObjects       Kind = "ScaledObject"
	ScaledJobs          Kind = "ScaledJob"
	Authentications     Kind = "TriggerAuthentication"
	ClusterAuths        Kind = "ClusterTriggerAuthentication"
	Autoscalers         Kind = "HorizontalPodAutoscaler"
	Deployments         Kind = "Deployment"
	StatefulSets        Kind = "StatefulSet"
	Pods                Kind = "Pod"
	Services            Kind = "Service"
	EndpointSlices      Kind = "EndpointSlice"
	Namespaces          Kind = "Namespace"
	Events              Kind = "Event"
	NetworkPolicies     Kind = "NetworkPolicy"
	APIServices         Kind = "APIService"
	PeerAuthentications Kind = "PeerAuthentication"
	Policies            Kind = "AutoscalerPolicy"
	// Connections and Configurations are no objects of Kubernetes: findings about the scaler's file are
	// about them.
	Connections    Kind = "Connection"
	Configurations Kind = "Configuration"
)

// A Resource says where the API server has the objects of a kind.
type Resource struct {
	Kind                   Kind
	Group, Version, Plural string
	// ClusterWide reports that its objects are in no namespace.
	ClusterWide bool
	// Fields selects some of the objects; empty for all.
	Fields string
}

// Right names what the resource takes to be read, such as "list pods".
func (r *Resource) Right() string {
	name := r.Plural
	if r.Group != "" {
		name += "." + r.Group
	}
	return "list " + name
}

// Resources returns what checks read. There are no Secrets among them.
func Resources() []Resource {
	return []Resource{
		{Kind: ScaledObjects, Group: "keda.sh", Version: "v1alpha1", Plural: "scaledobjects"},
		{Kind: ScaledJobs, Group: "keda.sh", Version: "v1alpha1", Plural: "scaledjobs"},
		{Kind: Authentications, Group: "keda.sh", Version: "v1alpha1", Plural: "triggerauthentications"},
		{Kind: ClusterAuths, Group: "keda.sh", Version: "v1alpha1", Plural: "clustertriggerauthentications", ClusterWide: true},
		{Kind: Autoscalers, Group: "autoscaling", Version: "v2", Plural: "horizontalpodautoscalers"},
		{Kind: Deployments, Group: "apps", Version: "v1", Plural: "deployments"},
		{Kind: StatefulSets, Group: "apps", Version: "v1", Plural: "statefulsets"},
		{Kind: Pods, Version: "v1", Plural: "pods"},
		{Kind: Services, Version: "v1", Plural: "services"},
		{Kind: EndpointSlices, Group: "discovery.k8s.io", Version: "v1", Plural: "endpointslices"},
		{Kind: Namespaces, Version: "v1", Plural: "namespaces", ClusterWide: true},
		{Kind: Events, Version: "v1", Plural: "events", Fields: "involvedObject.kind=ScaledObject,type=Warning"},
		{Kind: NetworkPolicies, Group: "networking.k8s.io", Version: "v1", Plural: "networkpolicies"},
		{Kind: APIServices, Group: "apiregistration.k8s.io", Version: "v1", Plural: "apiservices", ClusterWide: true},
		{Kind: PeerAuthentications, Group: "security.istio.io", Version: "v1", Plural: "peerauthentications"},
		{Kind: Policies, Group: "backlog-scaler.github.io", Version: "v1alpha1", Plural: "autoscalerpolicies"},
	}
}

// KindOf returns the resource of an object in a manifest, and reports whether checks read it. The version
// may be another one.
func KindOf(apiVersion, kind string) (Resource, bool) {
	group, _, grouped := strings.Cut(apiVersion, "/")
	if !grouped {
		group = ""
	}
	for _, r := range Resources() {
		if string(r.Kind) == kind && r.Group == group {
			return r, true
		}
	}
	return Resource{}, false
}
