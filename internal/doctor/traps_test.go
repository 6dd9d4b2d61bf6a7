package doctor_test

import (
	"slices"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/doctor/facts"
)

// A trapCase sets one trap in a healthy cluster. Its name begins with the code that finds it. Further findings
// that follow from it contain one of also.
type trapCase struct {
	name string
	set  func(p *patient)
	also []string
}

const (
	billing     = "ScaledObject shop/billing"
	frontdesk   = "ScaledObject shop/frontdesk"
	thumbnails  = "ScaledJob shop/thumbnails"
	worker      = "Deployment shop/billing"
	scaler      = "Deployment backlog-scaler/backlog-scaler"
	service     = "Service backlog-scaler/backlog-scaler"
	network     = "NetworkPolicy backlog-scaler/backlog-scaler"
	operator    = "Deployment keda/keda-operator"
	metrics     = "APIService v1beta1.external.metrics.k8s.io"
	policy      = "AutoscalerPolicy shop/frontdesk"
	autoscaler  = "HorizontalPodAutoscaler shop/keda-hpa-billing"
	credentials = "TriggerAuthentication shop/scaler"
	slice       = "EndpointSlice backlog-scaler/backlog-scaler-x1"
	address     = "spec.triggers[0].metadata.scalerAddress"
	container   = "spec.template.spec.containers[0]"
	behavior    = "spec.advanced.horizontalPodAutoscalerConfig.behavior"
	ignore      = "metadata|annotations|backlog-scaler.github.io/doctor-ignore"
)

// sets returns a case that sets one field.
func sets(name, object, path, text string, also ...string) trapCase {
	return trapCase{name, func(p *patient) { p.set(object, path, text) }, also}
}

func traps() []trapCase {
	return slices.Concat(clusterTraps(), triggerTraps(), settingTraps(), statusTraps(), workloadTraps(), scalerTraps(), serverTraps(), policyTraps())
}

func clusterTraps() []trapCase {
	return []trapCase{
		sets("K101 not available", metrics, "status.conditions", `[{type: Available, status: "False", reason: FailedDiscoveryCheck, message: "failing or missing response from https://10.0.0.1:6443"}]`),
		{"K101 not registered", func(p *patient) { p.remove(metrics) }, nil},
		sets("K102 another adapter", metrics, "spec.service", `{name: prometheus-adapter, namespace: monitoring}`),
		sets("K103 pushes stop workers", operator, container+".image", "ghcr.io/kedacore/keda:2.17.1"),
		sets("K103 shared connections", operator, container+".image", "ghcr.io/kedacore/keda:2.19.0"),
		sets("K104 no operator", autoscaler, "status.conditions", `[{type: ScalingActive, status: "False", reason: FailedGetExternalMetric, message: "unable to get external metric: timeout while trying to establish gRPC connection"}]`, " S222 "),
		sets("K105 proxied", operator, container+".env", `[{name: HTTPS_PROXY, value: "http://proxy.example.com:3128"}, {name: NO_PROXY, value: localhost}]`),
		sets("K106 no sidecar at KEDA", "Pod keda/keda-operator-1", "spec.containers", "[{name: keda-operator}]"),
		sets("K107 another namespace", network, "spec.ingress[0].from", "[{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: monitoring}}}]"),
		sets("K107 another port", network, "spec.ingress[0].ports", "[{port: 8080}]"),
		sets("K107 nothing is allowed", network, "spec.ingress", "[]"),
	}
}

// plainText takes TLS away.
func plainText(p *patient) {
	p.set(scaler, container+".args", "[serve]")
	for _, name := range []string{billing, frontdesk, thumbnails} {
		p.set(name, "spec.triggers[0].metadata.enableTLS", "")
		p.set(name, "spec.triggers[0].authenticationRef", "")
	}
	p.set("Pod backlog-scaler/backlog-scaler-1", "spec.containers", "[{name: scaler}]")
}

func triggerTraps() []trapCase {
	return []trapCase{
		sets("S201 unknown key", billing, "spec.triggers[0].metadata.hold_active", "30s"),
		sets("S201 bad value", billing, "spec.triggers[0].metadata.target", "many"),
		sets("S201 no quotes", billing, "spec.triggers[0].metadata.target", "5"),
		sets("S202 unknown connection", billing, "spec.triggers[0].metadata.connection", "ordres"),
		{"S202 another namespace", func(p *patient) {
			p.configure(backlog.Connection{Name: "orders", Engine: "redis", Namespaces: []string{"billing"}})
		}, nil},
		sets("S203 pushed Jobs", thumbnails, "spec.triggers[0].type", "external-push"),
		sets("S204 polled", billing, "spec.triggers[0].type", "external"),
		sets("S205 no address", billing, address, ""),
		sets("S205 no port", billing, address, "backlog-scaler.backlog-scaler.svc"),
		sets("S205 a URL", billing, address, "http://backlog-scaler.backlog-scaler.svc:9090"),
		sets("S205 no such Service", billing, address, "scaler.backlog-scaler.svc:9090"),
		sets("S205 no such port", billing, address, "backlog-scaler.backlog-scaler.svc:9999"),
		sets("S205 of KEDA's namespace", billing, address, "backlog-scaler:9090", " K105 "),
		sets("S206 plain text", billing, "spec.triggers[0].authenticationRef", ""),
		sets("S206 no client certificate", credentials, "spec.secretTargetRef", "[{parameter: caCert, name: ca, key: ca.crt}]"),
		sets("S206 half a pair", credentials, "spec.secretTargetRef", "[{parameter: caCert, name: ca, key: ca.crt}, {parameter: tlsClientCert, name: ca, key: tls.crt}]"),
		sets("S206 useless parameter", credentials, "spec.env", "[{parameter: password, name: REDIS_PASSWORD}]"),
		sets("S206 no such object", billing, "spec.triggers[0].authenticationRef.name", "scalr"),
		sets("S206 the scaler is plain", scaler, container+".args", "[serve]"),
		{"S216 nothing limits callers", func(p *patient) {
			plainText(p)
			p.remove(network)
		}, nil},
		sets("S217 virtual address", service, "spec.clusterIP", "10.0.0.7"),
	}
}

func settingTraps() []trapCase {
	return []trapCase{
		sets("S207 zero", billing, "spec.fallback", "{failureThreshold: 3, replicas: 0}"),
		sets("S207 a number", billing, "spec.fallback", "{failureThreshold: 3, replicas: 6}"),
		sets("S208 cached", billing, "spec.triggers[0].useCachedMetrics", "true"),
		sets("S209 in step", billing, "spec.pollingInterval", "15"),
		sets("S209 default", billing, "spec.pollingInterval", ""),
		sets("S210 default pace", billing, "spec.advanced", ""),
		sets("S211 policy", frontdesk, behavior+".scaleUp.tolerance", ""),
		{"S211 one for each message, before 1.35", func(p *patient) {
			p.set(billing, "spec.triggers[0].metadata.target", `"1"`)
			p.Kubernetes = "v1.34.2"
		}, nil},
		sets("S212 formula", billing, "spec.advanced.scalingModifiers", "{formula: trig_one + 1, target: \"1\"}"),
		sets("S213 no maximum", billing, "spec.maxReplicaCount", ""),
		{"S213 more than help", func(p *patient) { p.Scaler.Triggers[0].Reading.MaxUseful = 12 }, nil},
		sets("S213 no maximum of Jobs", thumbnails, "spec.maxReplicaCount", ""),
		{"S214 paused", func(p *patient) {
			p.set(billing, "metadata|annotations|autoscaling.keda.sh/paused-replicas", `"3"`)
			p.set(billing, "metadata.managedFields", `[{manager: kubectl-annotate, time: "2026-11-02T22:10:00Z", fieldsV1: {"f:metadata": {"f:annotations": {"f:autoscaling.keda.sh/paused-replicas": {}}}}}]`)
		}, nil},
		sets("S214 not in", billing, "metadata|annotations|autoscaling.keda.sh/paused-scale-in", `"true"`),
		sets("S215 stated", billing, "spec.cooldownPeriod", "30"),
		{"S215 by throughput", func(p *patient) {
			p.set(worker, "metadata.annotations", "")
			p.set(worker, "spec.template.spec.terminationGracePeriodSeconds", "600")
			for key, text := range map[string]string{"target": "", "drainTime": "10m", "throughput": `"0.004"`} {
				p.set(billing, "spec.triggers[0].metadata."+key, text)
			}
		}, nil},
		{"S215 does not count it", func(p *patient) {
			p.set(billing, "spec.cooldownPeriod", "30")
			p.set(billing, "spec.triggers[0].metadata.inFlightList", "jobs:processing")
			p.set(billing, "spec.triggers[0].metadata.count", "ready")
		}, nil},
	}
}

func statusTraps() []trapCase {
	return []trapCase{
		{"S220 not ready", func(p *patient) {
			p.set(billing, "status.conditions", `[{type: Ready, status: "False", reason: ScaledObjectCheckFailed, message: failed to ensure HPA is correctly created}]`)
			p.add(`{apiVersion: v1, kind: Event, metadata: {name: a, namespace: shop}, reason: KEDAScalerFailed, lastTimestamp: "2026-11-27T08:00:00Z", message: "older", involvedObject: {kind: ScaledObject, name: billing}}`)
			p.add(`{apiVersion: v1, kind: Event, metadata: {name: b, namespace: shop}, reason: KEDAScalerFailed, lastTimestamp: "2026-11-27T08:59:00Z", message: "rpc error: code = PermissionDenied", involvedObject: {kind: ScaledObject, name: billing}}`)
		}, nil},
		sets("S221 no metric", billing, "status.externalMetricNames", "[]"),
		sets("S222 no value", autoscaler, "status.conditions", `[{type: ScalingActive, status: "False", reason: FailedGetExternalMetric, message: "the HPA was unable to compute the replica count"}]`),
		sets("S222 two HPAs", autoscaler, "status.conditions", `[{type: ScalingActive, status: "False", reason: AmbiguousSelector, message: pods by selector app=billing are controlled by multiple HPAs}]`),
		{"S223 more are wanted", func(p *patient) {
			p.set(autoscaler, "status.conditions", `[{type: ScalingLimited, status: "True", reason: TooManyReplicas, lastTransitionTime: "2026-11-27T08:30:00Z"}]`)
			p.Scaler.Triggers[0].Wanted = 70
		}, nil},
		sets("S224 not deleted", billing, "metadata.deletionTimestamp", `"2026-11-27T08:00:00Z"`),
	}
}

func workloadTraps() []trapCase {
	return []trapCase{
		{"W301 a plain HPA", func(p *patient) {
			p.add("{apiVersion: autoscaling/v2, kind: HorizontalPodAutoscaler, metadata: {name: cpu}, spec: {scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: billing}}}")
		}, nil},
		{"W301 a second ScaledObject", func(p *patient) {
			p.add("{apiVersion: keda.sh/v1alpha1, kind: ScaledObject, metadata: {name: nightly}, spec: {scaleTargetRef: {name: billing}, triggers: [{type: cron}]}}")
		}, nil},
		{"W301 a policy that writes", func(p *patient) {
			p.add("{apiVersion: backlog-scaler.github.io/v1alpha1, kind: AutoscalerPolicy, metadata: {name: billing}, spec: {via: Scale, maxReplicas: 3, scaleTargetRef: {name: billing}, schedules: [{name: office, timeZone: UTC, start: 0 8 * * *, end: 0 9 * * *, floor: 1}]}}")
		}, nil},
		{"W301 two policies", func(p *patient) {
			p.add("{apiVersion: backlog-scaler.github.io/v1alpha1, kind: AutoscalerPolicy, metadata: {name: second}, spec: {via: KEDA, maxReplicas: 3, scaleTargetRef: {name: frontdesk}, schedules: [{name: office, timeZone: UTC, start: 0 8 * * *, end: 0 9 * * *, floor: 1}]}}")
		}, nil},
		sets("W302 applied", worker, "metadata|annotations|kubectl.kubernetes.io/last-applied-configuration", `'{"spec":{"replicas":3}}'`),
		sets("W302 applied by the server", worker, "metadata.managedFields", `[{manager: argocd-controller, operation: Apply, fieldsV1: {"f:spec": {"f:replicas": {}}}}]`),
		{"W302 in a manifest", func(p *patient) {
			p.offline()
			p.set("Deployment shop/frontdesk", "spec.replicas", "")
			p.set(worker, "spec.replicas", "3")
		}, []string{"skipped "}},
		sets("W303 default", worker, "spec.template.spec.terminationGracePeriodSeconds", ""),
		{"W303 measured", func(p *patient) {
			p.set("Deployment shop/frontdesk", "metadata.annotations", "")
			p.Scaler.Learned = map[string]facts.Throughput{"shop/frontdesk": {Signal: "requests", PerSecond: 0.01}}
		}, nil},
		sets("W304 no node", "Pod shop/billing-1", "status", `{phase: Pending, conditions: [{type: PodScheduled, status: "False", message: "0/3 nodes are available: 3 Insufficient cpu."}]}`),
		sets("W304 quota", worker, "status.conditions", `[{type: ReplicaFailure, status: "True", reason: FailedCreate, message: "pods \"billing-x\" is forbidden: exceeded quota: compute"}]`),
		sets("D901 unknown code", billing, ignore, `"S240: a poll is soon enough"`),
		sets("D901 no reason", billing, ignore, "S204"),
		sets("D901 itself", billing, ignore, `"D901: no"`),
		sets("D901 bad duration", worker, "metadata|annotations|backlog-scaler.github.io/job-duration", "long", "W303"),
	}
}

func scalerTraps() []trapCase {
	first := func(change func(r *facts.Running)) func(p *patient) {
		return func(p *patient) { change(&p.Scaler.Triggers[0]) }
	}
	return []trapCase{
		sets("B401 none is ready", scaler, "status.readyReplicas", "0"),
		sets("B401 scaled to zero", scaler, "spec.replicas", "0"),
		sets("B401 no endpoint", slice, "endpoints", "[{conditions: {ready: false}}]"),
		{"B401 nothing behind the Service", func(p *patient) {
			p.remove(scaler)
			p.remove(slice)
		}, []string{" S206 ", " S217 ", "skipped "}},
		{"B401 two versions", func(p *patient) {
			ready := `status: {phase: Running, conditions: [{type: Ready, status: "True", lastTransitionTime: "2026-11-27T08:00:00Z"}]}`
			for _, version := range []string{"1.0.0", "1.1.0"} {
				p.add("{apiVersion: v1, kind: Pod, metadata: {name: backlog-scaler-" + version + ", namespace: backlog-scaler, labels: {app.kubernetes.io/name: backlog-scaler}}, spec: {containers: [{name: istio-proxy, image: istio}, {name: scaler, image: \"backlog-scaler:" + version + "\"}]}, " + ready + "}")
			}
		}, nil},
		{"B401 a fault in the file", func(p *patient) { p.Scaler.ConfigurationError = "config.yaml:3:5: connections.orders.engine: unknown" }, nil},
		{"B402 no stream", func(p *patient) {
			p.set(scaler, "spec.replicas", "1")
			p.set(scaler, "status.readyReplicas", "1")
			p.Scaler.Triggers[0].Streams = 0
		}, nil},
		{"B403 denied", first(func(r *facts.Running) {
			r.Problem = &facts.Problem{Reason: "denied", Message: "NOPERM no permissions", Advice: "Give the user the right to read the key.", Since: now().Add(-time.Hour)}
			r.Reading = nil
		}), nil},
		{"B403 a short outage", first(func(r *facts.Running) {
			r.Problem = &facts.Problem{Reason: "unavailable", Message: "connection refused", Since: now().Add(-10 * time.Second)}
		}), nil},
		{"B404 polled", first(func(r *facts.Running) { r.WakeUp, r.Fallback = "poll", "NOPERM client|tracking" }), nil},
		{"B405 unused", func(p *patient) { p.configure(orders(), legacy()) }, nil},
		{"B406 never asked", func(p *patient) { p.Scaler.Triggers = p.Scaler.Triggers[1:] }, nil},
		{"B406 nothing was asked", func(p *patient) {
			p.Scaler.Triggers = nil
			p.set("Pod backlog-scaler/backlog-scaler-1", "status.conditions", `[{type: Ready, status: "True", lastTransitionTime: "2026-11-27T08:00:00Z"}]`)
		}, nil},
		{"B407 no worker", first(func(r *facts.Running) {
			r.Reading = &facts.Reading{Backlog: 40, Ready: 40, Consumers: 0, Oldest: 5 * time.Minute}
		}), nil},
	}
}

func serverTraps() []trapCase {
	risk := func(name, kind, text string) trapCase {
		return trapCase{name, func(p *patient) { p.Scaler.Connections[0].Risks = []facts.Risk{{Kind: kind, Text: text}} }, nil}
	}
	return []trapCase{
		risk("R501 evicts", "eviction", "maxmemory-policy is allkeys-lru, so the server deletes queues when its memory is full"),
		risk("R502 many keys", "tracking", "the server tracks 950000 keys of at most 1000000 (tracking-table-max-keys)"),
		risk("R502 many clients", "clients", "9400 clients are connected of at most 10000 (maxclients)"),
	}
}

func orders() backlog.Connection {
	return backlog.Connection{Name: "orders", Engine: "redis", Namespaces: []string{"shop"}}
}

// legacy is a connection that no trigger names.
func legacy() backlog.Connection {
	return backlog.Connection{Name: "legacy", Engine: "redis", Namespaces: []string{"*"}}
}

func policyTraps() []trapCase {
	return []trapCase{
		sets("P601 mistake", policy, "spec.schedules[0].timeZone", "Europe/Berln"),
		sets("P601 conflict", policy, "spec.schedules", `[{name: office, timeZone: UTC, start: 0 8 * * *, end: 0 18 * * *, floor: 9}, {name: lunch, timeZone: UTC, start: 0 12 * * *, end: 0 13 * * *, ceiling: 2}]`),
		sets("P602 no such policy", frontdesk, "spec.triggers[0].metadata.policy", "frontdsk"),
		sets("P602 observes", policy, "spec.mode", "Observe"),
		sets("P602 another target", frontdesk, "spec.scaleTargetRef.name", "billing", " W301 "),
		sets("P602 bounds", frontdesk, "spec.minReplicaCount", "3"),
		sets("P602 small maximum", frontdesk, "spec.maxReplicaCount", "15"),
		sets("P602 window", frontdesk, behavior+".scaleDown.stabilizationWindowSeconds", ""),
		sets("P602 another trigger", frontdesk, "spec.triggers", `[{type: external-push, metadata: {scalerAddress: "backlog-scaler.backlog-scaler.svc:9090", enableTLS: "true", policy: frontdesk}, authenticationRef: {name: scaler}}, {type: cron}]`),
	}
}
