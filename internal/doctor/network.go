package doctor

import (
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/net/http/httpproxy"

	"github.com/backlog-scaler/backlog-scaler/internal/doctor/facts"
	"github.com/backlog-scaler/backlog-scaler/internal/doctor/object"
)

// networkChecks are about what lies between KEDA and the scaler.
func networkChecks() []Check {
	return []Check{
		{
			Code: "K105", Title: "A proxy between KEDA and the scaler", Severity: Warning, needs: reading(object.Deployments), reads: triggerKinds(),
			Why:      "gRPC uses the proxy of the environment. A proxy for HTTP answers 502 for a name of the cluster, or closes streams.",
			Change:   "Add .svc and .cluster.local to NO_PROXY of KEDA's Deployments.",
			Evidence: []string{"kedacore/keda#4190", "kedacore/keda-docs#83"},
			find:     checkProxy,
		},
		{
			Code: "K106", Title: "Mutual TLS of a mesh on one side alone", Severity: Warning, needs: reading(object.PeerAuthentications, object.Pods), reads: triggerKinds(object.Deployments, object.Services),
			Why:      "A sidecar in STRICT mode closes connections of a client without one. KEDA then reports Unavailable for each trigger.",
			Change:   "Give both KEDA and the scaler a sidecar, or neither; or set the gRPC port of the scaler to PERMISSIVE and use the scaler's own TLS.",
			Evidence: []string{"kedacore/keda#3852", "kedacore/keda#4106"},
			find:     checkMesh,
		},
		{
			Code: "K107", Title: "A NetworkPolicy that keeps KEDA from the scaler", Severity: Error, needs: reading(object.NetworkPolicies, object.Namespaces, object.Deployments, object.Services), reads: triggerKinds(),
			Why:    "KEDA's calls time out. It holds the replicas of each workload, and nothing wakes one at zero.",
			Change: "Allow TCP to the gRPC port of the scaler from KEDA's namespace: networkPolicy.enabled of the chart does.",
			find:   checkNetworkPolicies,
		},
	}
}

func checkProxy(v *view, found *findings) {
	callers := v.KEDACallers()
	if len(callers) == 0 {
		found.skip("no Deployment of KEDA was found")
	}
	for _, d := range callers {
		for i, container := range d.At("spec", "template", "spec", "containers").List() {
			proxy, known := proxyOf(container)
			if !known {
				found.skip("the proxy of " + d.Name() + " comes from another object")
				continue
			}
			for _, e := range v.Endpoints() {
				if e.Host == "" || e.Opaque {
					continue
				}
				through, err := proxy.ProxyFunc()(&url.URL{Scheme: "https", Host: fmt.Sprintf("%s:%d", e.Host, e.Port)})
				if err == nil && through != nil {
					found.add(d, fmt.Sprintf("spec.template.spec.containers[%d].env", i), "",
						"HTTPS_PROXY is set and NO_PROXY does not have %s, so calls to the scaler go through the proxy", e.Host)
					break
				}
			}
		}
	}
}

// proxyOf returns the proxy of a container, and reports whether it is written there.
func proxyOf(container object.Value) (proxy httpproxy.Config, known bool) {
	for _, env := range container.At("env").List() {
		into := map[string]*string{"HTTPS_PROXY": &proxy.HTTPSProxy, "NO_PROXY": &proxy.NoProxy}[strings.ToUpper(env.At("name").Text())]
		if into == nil {
			continue
		}
		if env.At("valueFrom").Exists() {
			return httpproxy.Config{}, false
		}
		*into = env.At("value").Text()
	}
	return proxy, true
}

// istioNamespace is the root namespace of Istio by default, whose PeerAuthentication is that of the mesh.
const istioNamespace = "istio-system"

func checkMesh(v *view, found *findings) {
	if len(v.ByKind[object.PeerAuthentications]) == 0 {
		return
	}
	caller := v.KEDA.Operator
	if caller == nil {
		found.skip("no Deployment of KEDA was found")
		return
	}
	calls, known := v.sidecar(caller)
	for _, e := range v.Endpoints() {
		if e.Workload == nil {
			continue
		}
		strict := v.strict(e.Workload, e.Port)
		serves, both := v.sidecar(e.Workload)
		switch {
		case strict == nil:
		case !known || !both:
			found.skip("no pods of KEDA or of the scaler were found")
		case serves && !calls:
			found.add(strict, "spec.mtls.mode", "", "it is STRICT for %s, and the pods of %s have no sidecar", e.Workload.Place(""), caller.Place(""))
		}
	}
}

// strict returns the PeerAuthentication by which a port of a workload takes mutual TLS alone; nil if none
// does: https://istio.io/latest/docs/reference/config/security/peer_authentication/
func (v *view) strict(workload *object.Object, port int64) *object.Object {
	labels := workload.At("spec", "template", "metadata", "labels").Texts()
	var best *object.Object
	most := 0
	for _, p := range v.ByKind[object.PeerAuthentications] {
		selector := p.At("spec", "selector", "matchLabels").Texts()
		fit := 0
		switch {
		case p.Namespace() == workload.Namespace() && len(selector) > 0 && object.Includes(labels, selector):
			fit = 3
		case p.Namespace() == workload.Namespace() && len(selector) == 0:
			fit = 2
		case p.Namespace() == istioNamespace && len(selector) == 0:
			fit = 1
		}
		if fit > most {
			best, most = p, fit
		}
	}
	if best == nil {
		return nil
	}
	mode := best.At("spec", "mtls", "mode").Text()
	if byPort := best.At("spec", "portLevelMtls", strconv.FormatInt(port, 10), "mode").Text(); byPort != "" && byPort != "UNSET" {
		mode = byPort
	}
	if mode != "STRICT" {
		return nil
	}
	return best
}

// sidecar reports whether the pods of a workload have one of Istio, and whether there are pods.
func (v *view) sidecar(workload *object.Object) (has, known bool) {
	pods := v.PodsOf(workload)
	for _, pod := range pods {
		for _, container := range append(pod.At("spec", "containers").List(), pod.At("spec", "initContainers").List()...) {
			has = has || container.At("name").Text() == "istio-proxy"
		}
	}
	return has, len(pods) > 0
}

func checkNetworkPolicies(v *view, found *findings) {
	for _, e := range v.Endpoints() {
		if e.Workload == nil || !e.Reaches() {
			continue
		}
		selecting := v.ingressPolicies(e.Workload)
		allowed := slices.ContainsFunc(selecting, func(p *object.Object) bool { return v.allows(p, e) })
		if len(selecting) > 0 && !allowed {
			found.add(selecting[0], "spec.ingress", "", "no rule of the NetworkPolicies for %s allows KEDA's namespace %s to port %d",
				e.Workload.Place(""), v.KEDANamespace(), e.Port)
		}
	}
}

// ingressPolicies returns the NetworkPolicies that limit what reaches the pods of a workload.
func (v *view) ingressPolicies(workload *object.Object) []*object.Object {
	labels := workload.At("spec", "template", "metadata", "labels").Texts()
	var selecting []*object.Object
	for _, p := range v.ByKind[object.NetworkPolicies] {
		types := p.At("spec", "policyTypes").List()
		ingress := len(types) == 0 || slices.ContainsFunc(types, func(t object.Value) bool { return t.Text() == "Ingress" })
		if p.Namespace() == workload.Namespace() && ingress && object.Matches(labels, p.At("spec", "podSelector")) {
			selecting = append(selecting, p)
		}
	}
	return selecting
}

// allows reports whether a NetworkPolicy may let KEDA reach the scaler. What cannot be decided is allowed.
func (v *view) allows(p *object.Object, e *facts.Endpoint) bool {
	for _, rule := range p.At("spec", "ingress").List() {
		from, ports := rule.At("from").List(), rule.At("ports").List()
		byPort := len(ports) == 0 || slices.ContainsFunc(ports, func(port object.Value) bool { return e.IncludesPort(port) })
		byPeer := len(from) == 0 || slices.ContainsFunc(from, func(peer object.Value) bool { return v.includesKEDA(p, peer) })
		if byPort && byPeer {
			return true
		}
	}
	return false
}

// includesKEDA reports whether a peer of a rule may include KEDA's operator.
func (v *view) includesKEDA(p *object.Object, peer object.Value) bool {
	if peer.At("ipBlock").Exists() {
		return true
	}
	namespace := v.KEDANamespace()
	if !peer.At("namespaceSelector").Exists() {
		return p.Namespace() == namespace
	}
	o := v.Object(object.Namespaces, "", namespace)
	if o == nil {
		return true
	}
	labels := o.Labels()
	labels["kubernetes.io/metadata.name"] = namespace
	if !object.Matches(labels, peer.At("namespaceSelector")) {
		return false
	}
	return v.KEDA.Operator == nil || !peer.At("podSelector").Exists() ||
		object.Matches(v.KEDA.Operator.At("spec", "template", "metadata", "labels").Texts(), peer.At("podSelector"))
}
