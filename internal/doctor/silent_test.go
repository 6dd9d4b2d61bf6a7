package doctor_test

import (
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/doctor/facts"
	"github.com/backlog-scaler/backlog-scaler/internal/doctor/object"
)

// silent are changes of a healthy cluster that look like traps.
func silent() []trapCase {
	return []trapCase{
		sets("another registry", operator, container+".image", "registry.example.com:5000/mirror/keda:2.21.0"),
		sets("a proxy with exceptions", operator, container+".env", `[{name: HTTPS_PROXY, value: "http://proxy.example.com:3128"}, {name: no_proxy, value: "*"}]`),
		sets("permissive for the port", "PeerAuthentication backlog-scaler/default", "spec.portLevelMtls", `{"9090": {mode: PERMISSIVE}}`),
		{"no mesh at all", func(p *patient) {
			p.set("Pod keda/keda-operator-1", "spec.containers", "[{name: keda-operator}]")
			p.set("Pod backlog-scaler/backlog-scaler-1", "spec.containers", "[{name: scaler}]")
		}, nil},
		sets("a rule by address", network, "spec.ingress[0].from", "[{ipBlock: {cidr: 10.0.0.0/8}}]"),
		sets("a range of ports", network, "spec.ingress[0].ports", "[{port: 9000, endPort: 9099}]"),
		sets("a selector by expressions", network, "spec.ingress[0].from", "[{namespaceSelector: {matchExpressions: [{key: kubernetes.io/metadata.name, operator: In, values: [keda]}, {key: sandbox, operator: DoesNotExist}]}}]"),
		sets("a policy of egress", network, "spec", "{podSelector: {}, policyTypes: [Egress]}"),
		sets("a trigger of another scaler", billing, "spec.triggers", "[{type: external-push, metadata: {scalerAddress: \"keda-add-ons-http-external-scaler.keda:9090\", hosts: shop.example.com}}]"),
		sets("a trigger of another scaler with a connection", billing, "spec.triggers", "[{type: external, metadata: {scalerAddress: \"cosmosdb-scaler.keda:4050\", connectionFromEnv: COSMOS, connection: x, databaseId: shop}}]"),
		sets("a full name", billing, address, "backlog-scaler.backlog-scaler.svc.cluster.local.:9090"),
		sets("a target of gRPC", billing, address, "dns:///backlog-scaler.backlog-scaler.svc:9090"),
		sets("a name outside of the cluster", billing, address, "scaler.example.net:443", ""),
		sets("an address", billing, address, "192.0.2.7:9090"),
		{"the environment", func(p *patient) {
			p.set(billing, "spec.triggers[0].metadata.target", "")
			p.set(billing, "spec.triggers[0].metadata.targetFromEnv", "TARGET")
		}, nil},
		{"a virtual address with one replica", func(p *patient) {
			p.set(service, "spec.clusterIP", "10.0.0.7")
			p.set(scaler, "spec.replicas", "1")
			p.set(scaler, "status.readyReplicas", "1")
		}, nil},
		{"plain text that a NetworkPolicy guards", plainText, nil},
		sets("no maximum of another ScaledObject", billing, "spec.triggers", "[{type: cron}]"),
		{"the default pace for a few replicas", func(p *patient) {
			p.set(billing, "spec.advanced", "")
			p.set(billing, "spec.maxReplicaCount", "5")
		}, nil},
		{"one for each of a few messages", func(p *patient) {
			p.set(billing, "spec.triggers[0].metadata.target", `"1"`)
			p.set(billing, "spec.maxReplicaCount", "8")
		}, nil},
		sets("not paused", billing, "metadata|annotations|autoscaling.keda.sh/paused", `"false"`),
		{"a short cooldown with replicas that stay", func(p *patient) {
			p.set(billing, "spec.cooldownPeriod", "10")
			p.set(billing, "spec.minReplicaCount", "1")
		}, nil},
		{"a short cooldown with work in flight that shows", func(p *patient) {
			p.set(billing, "spec.cooldownPeriod", "10")
			p.set(billing, "spec.triggers[0].metadata.inFlightList", "jobs:processing")
			p.set(billing, "spec.triggers[0].metadata.holdActive", "")
		}, nil},
		sets("asleep", autoscaler, "status.conditions", `[{type: ScalingActive, status: "False", reason: ScalingDisabled}]`),
		sets("at the maximum for a moment", autoscaler, "status.conditions", `[{type: ScalingLimited, status: "True", reason: TooManyReplicas, lastTransitionTime: "2026-11-27T08:59:00Z"}]`),
		sets("a deletion under way", billing, "metadata.deletionTimestamp", `"2026-11-27T08:59:00Z"`),
		{"an HPA that KEDA takes over", func(p *patient) {
			p.add("{apiVersion: autoscaling/v2, kind: HorizontalPodAutoscaler, metadata: {name: cpu}, spec: {scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: billing}}}")
			p.set(billing, "metadata|annotations|scaledobject.keda.sh/transfer-hpa-ownership", `"true"`)
			p.set(billing, "spec.advanced.horizontalPodAutoscalerConfig.name", "cpu")
			p.set(billing, "status.hpaName", "cpu")
		}, nil},
		sets("a wrong annotation that KEDA copied", autoscaler, ignore, "S240"),
		{"an HPA in another namespace", func(p *patient) {
			p.add("{apiVersion: autoscaling/v2, kind: HorizontalPodAutoscaler, metadata: {name: cpu, namespace: test}, spec: {scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: billing}}}")
		}, nil},
		{"the same object twice", func(p *patient) { p.Objects = append(p.Objects, *p.object("Deployment shop/billing")) }, nil},
		sets("replicas that KEDA wrote", worker, "metadata.managedFields", `[{manager: keda, operation: Update, subresource: scale, fieldsV1: {"f:spec": {"f:replicas": {}}}}]`),
		sets("a manifest without replicas", worker, "metadata|annotations|kubectl.kubernetes.io/last-applied-configuration", `'{"spec":{"template":{}}}'`),
		{"a pod that just started", func(p *patient) {
			p.set("Pod shop/billing-1", "status", "{phase: Pending}")
			p.set("Pod shop/billing-1", "metadata.creationTimestamp", `"2026-11-27T08:59:00Z"`)
		}, nil},
		{"a trigger that warms up", func(p *patient) {
			p.Scaler.Triggers[0].Problem = &facts.Problem{Reason: "warming_up", Message: "warming up after a start", Since: now()}
		}, nil},
		{"a queue whose workers are not seen", func(p *patient) {
			p.Scaler.Triggers[0].Reading = &facts.Reading{Backlog: 40, Ready: 40, Consumers: -1, Oldest: time.Hour}
		}, nil},
		sets("endpoints of two families", slice, "endpoints", "[{}, {}]"),
		{"a rollout under way", func(p *patient) {
			for version, since := range map[string]string{"1.0.0": "2026-11-27T08:00:00Z", "1.1.0": "2026-11-27T08:59:00Z"} {
				p.add("{apiVersion: v1, kind: Pod, metadata: {name: backlog-scaler-" + version + ", namespace: backlog-scaler, labels: {app.kubernetes.io/name: backlog-scaler}}, spec: {containers: [{name: scaler, image: \"backlog-scaler:" + version + "\"}, {name: istio-proxy}]}, status: {conditions: [{type: Ready, status: \"True\", lastTransitionTime: \"" + since + "\"}]}}")
			}
		}, nil},
		{"a maximum that all workers of a queue help", func(p *patient) { p.Scaler.Triggers[0].Reading.MaxUseful = 40 }, nil},
		{"a measured throughput of short jobs", func(p *patient) {
			p.Scaler.Learned = map[string]facts.Throughput{"shop/frontdesk": {Signal: "requests", PerSecond: 2}}
		}, nil},
		{"a risk that no check knows", func(p *patient) {
			p.Scaler.Connections[0].Risks = []facts.Risk{{Kind: "later", Text: "of a later scaler"}}
		}, nil},
		{"a connection of a watch", func(p *patient) {
			p.configure(orders(), legacy())
			p.Watched = []string{"legacy"}
		}, nil},
		{"a ScaledObject that was just made", func(p *patient) {
			p.set(billing, "metadata.creationTimestamp", `"2026-11-27T08:59:00Z"`)
			p.Scaler.Triggers = p.Scaler.Triggers[1:]
		}, nil},
	}
}

// unread takes kinds away that may not be read.
func (p *patient) unread(kinds ...object.Kind) {
	for _, r := range object.Resources() {
		for _, kind := range kinds {
			if r.Kind != kind {
				continue
			}
			p.Unread[kind] = "needs the right to " + r.Right() + " in all namespaces"
			kept := p.Objects[:0:0]
			for i := range p.Objects {
				if p.Objects[i].Kind != kind {
					kept = append(kept, p.Objects[i])
				}
			}
			p.Objects = kept
		}
	}
}

// undecided are changes after which something cannot be decided.
func undecided() []trapCase {
	return []trapCase{
		{"the scaler lists neither its connections nor the faults of its file", func(p *patient) { p.Scaler.Unlisted = "the scaler lists no connections: busy" }, nil},
		sets("one of two replicas is an endpoint", slice, "endpoints", "[{}]"),
		{"a server that has not said whether it deletes queues", func(p *patient) {
			p.Scaler.Connections[0].Risks = []facts.Risk{{Kind: "unknown", Latent: true, Text: "the server has not said its maxmemory-policy (INFO memory), so it is unknown whether it deletes queues"}}
		}, nil},
		{"a server that would delete queues if it had a limit", func(p *patient) {
			p.Scaler.Connections[0].Risks = []facts.Risk{{Kind: "eviction", Latent: true, Text: "maxmemory-policy is allkeys-lru, so the server deletes queues once it has a maxmemory, which is 0, and that is full"}}
		}, nil},
		{"nothing may be read", func(p *patient) {
			for _, r := range object.Resources() {
				p.unread(r.Kind)
			}
		}, nil},
		{"Services and NetworkPolicies may not be read", func(p *patient) { p.unread(object.Services, object.NetworkPolicies) }, nil},
		{"Deployments may not be read, and the Service has a virtual address", func(p *patient) {
			p.set(service, "spec.clusterIP", "10.0.0.7")
			p.unread(object.Deployments)
		}, nil},
		{"no scaler and no configuration", func(p *patient) {
			p.unconfigured()
			p.Scaler, p.NoScaler = nil, "no scaler answers at 127.0.0.1:9091"
		}, nil},
		{"KEDA is not found", func(p *patient) {
			p.remove(operator)
			p.remove("Deployment keda/keda-operator-metrics-apiserver")
		}, nil},
		sets("the proxy is in a ConfigMap", operator, container+".env", "[{name: HTTPS_PROXY, valueFrom: {configMapKeyRef: {name: proxy, key: url}}}]"),
		{"the scaler has just started", func(p *patient) {
			for i := range p.Scaler.Triggers {
				p.Scaler.Triggers[i].Since = now()
			}
		}, nil},
		{"the scaler and its pods have just started", func(p *patient) {
			p.Scaler.Triggers = nil
			p.set("Pod backlog-scaler/backlog-scaler-1", "status.conditions", `[{type: Ready, status: "True", lastTransitionTime: "2026-11-27T08:59:30Z"}]`)
		}, nil},
		{"a name without a namespace in manifests", func(p *patient) {
			p.set(billing, address, "backlog-scaler:9090")
			p.remove(operator)
			p.remove(metrics)
			p.set(worker, "spec.replicas", "")
			p.set("Deployment shop/frontdesk", "spec.replicas", "")
			p.offline()
		}, nil},
		{"a stream may be at another replica", func(p *patient) { p.Scaler.Triggers[0].Streams = 0 }, nil},
		{"a short cooldown, and nothing is known of the jobs", func(p *patient) {
			p.set(worker, "metadata.annotations", "")
			p.set(billing, "spec.cooldownPeriod", "10")
		}, nil},
		sets("at the maximum, and no more is wanted", autoscaler, "status.conditions", `[{type: ScalingLimited, status: "True", reason: TooManyReplicas, lastTransitionTime: "2026-11-27T08:00:00Z"}]`),
		{"messages arrived just now", func(p *patient) {
			p.Scaler.Triggers[0].Reading = &facts.Reading{Backlog: 2, Ready: 2, Consumers: 0}
		}, nil},
		{"one namespace, and a connection that no trigger in it uses", func(p *patient) {
			p.Namespace = "shop"
			p.configure(orders(), legacy())
		}, nil},
		{"a connection from the environment", func(p *patient) {
			p.set(billing, "spec.triggers[0].metadata.connection", "")
			p.set(billing, "spec.triggers[0].metadata.connectionFromEnv", "orders")
			p.configure(orders(), legacy())
		}, nil},
	}
}

// ignores are the ways to ignore a finding.
func ignores() []trapCase {
	return []trapCase{
		{"on the object", func(p *patient) {
			p.set(billing, "spec.triggers[0].type", "external")
			p.set(billing, ignore, `"S204: a poll is soon enough; S213: not there"`)
		}, nil},
		{"on the ScaledObject of an HPA", func(p *patient) {
			p.set(autoscaler, "status.conditions", `[{type: AbleToScale, status: "False", reason: FailedGetScale, message: no such Deployment}]`)
			p.set(billing, ignore, `"S222: the Deployment comes later"`)
		}, nil},
		{"on the Service", func(p *patient) {
			p.set(service, "spec.clusterIP", "10.0.0.7")
			p.set(service, ignore, `"S217: until the next release"`)
		}, nil},
	}
}
