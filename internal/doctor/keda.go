package doctor

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"

	"github.com/backlog-scaler/backlog-scaler/internal/doctor/object"
)

// keda is what is known of an installation of KEDA.
type keda struct {
	// namespace is empty if it is not known.
	namespace string
	// operator and adapter are its Deployments; nil if they are not known.
	operator, adapter *object.Object
}

// The name of the registration of external metrics. A cluster has one.
const externalMetrics = "v1beta1.external.metrics.k8s.io"

func findKEDA(v *view) keda {
	var k keda
	for _, d := range v.byKind[object.Deployments] {
		switch image := imageName(d); {
		case image == "keda" || d.Labels()["app.kubernetes.io/name"] == "keda-operator" || d.Name() == "keda-operator":
			k.operator = d
		case strings.HasPrefix(image, "keda-metrics-apiserver") || d.Name() == "keda-operator-metrics-apiserver" || d.Name() == "keda-metrics-apiserver":
			k.adapter = d
		}
	}
	switch registration := v.object(object.APIServices, "", externalMetrics); {
	case k.operator != nil:
		k.namespace = k.operator.Namespace()
	case registration != nil && strings.Contains(registration.At("spec", "service", "name").Text(), "keda"):
		k.namespace = registration.At("spec", "service", "namespace").Text()
	}
	return k
}

// imageName returns the last part of the name of the image of the first container: keda for
// ghcr.io/kedacore/keda:2.21.0.
func imageName(d *object.Object) string {
	name, _ := image(d)
	return name[strings.LastIndexByte(name, '/')+1:]
}

// image returns the name and the tag of the image of the first container.
func image(d *object.Object) (name, tag string) {
	containers := d.At("spec", "template", "spec", "containers").List()
	if len(containers) == 0 {
		return "", ""
	}
	name, _, _ = strings.Cut(containers[0].At("image").Text(), "@")
	if colon := strings.LastIndexByte(name, ':'); colon > strings.LastIndexByte(name, '/') {
		name, tag = name[:colon], name[colon+1:]
	}
	return name, tag
}

// A version is the major and the minor number of one.
type version struct{ major, minor int }

func (a version) before(b version) bool {
	return a.major < b.major || a.major == b.major && a.minor < b.minor
}

// parseVersion parses the beginning of a version, such as v2.21.0, and reports whether it has two numbers.
func parseVersion(text string) (parsed version, found bool) {
	parts := strings.SplitN(strings.TrimPrefix(text, "v"), ".", 3)
	if len(parts) < 2 {
		return version{}, false
	}
	major, err := strconv.Atoi(parts[0])
	if err != nil {
		return version{}, false
	}
	// Some providers write 1.34+.
	minor, err := strconv.Atoi(strings.TrimRight(parts[1], "+"))
	return version{major, minor}, err == nil
}

// kedaVersion returns the version of KEDA's operator, and reports whether it is known.
func (v *view) kedaVersion() (text string, parsed version, known bool) {
	if v.keda.operator == nil {
		return "", version{}, false
	}
	_, tag := image(v.keda.operator)
	for _, text := range []string{tag, v.keda.operator.Labels()["app.kubernetes.io/version"]} {
		if parsed, found := parseVersion(text); found {
			return text, parsed, true
		}
	}
	return "", version{}, false
}

// A defect is one of KEDA that concerns external scalers.
type defect struct {
	// until is the first version without it.
	until    version
	severity Severity
	// what says what happens. Only where TLS is used with tls.
	what string
	tls  bool
}

func defects() []defect {
	return []defect{
		{version{2, 18}, Error, "an external scaler that pushes \"inactive\" stops all workers at once, whatever the other triggers say (kedacore/keda#7116)", false},
		{version{2, 20}, Warning, "connections to external scalers are shared by address alone, so the certificate of another tenant may be used (kedacore/keda#7687)", true},
	}
}

// kedaChecks are about KEDA itself.
func kedaChecks() []Check {
	return []Check{
		{
			Code: "K101", Title: "External metrics that the API server does not get", Severity: Error, needs: reading(object.APIServices),
			Why:      "The HPA asks for external metrics through the API server. Without them no workload scales above the first replica.",
			Change:   "Let the control plane reach KEDA's metrics adapter: TCP 6443 in firewalls and NetworkPolicies, NO_PROXY of kube-apiserver, or hostNetwork where pods cannot be reached.",
			Evidence: []string{"kedacore/keda#6572", "kedacore/keda#3778", "kedacore/keda#1827", "kedacore/keda#3051"},
			find:     checkRegistration,
		},
		{
			Code: "K102", Title: "External metrics that are not KEDA's", Severity: Error, needs: reading(object.APIServices),
			Why:      "A cluster has one source of external metrics. While another adapter is registered, the HPA never asks KEDA.",
			Change:   "Remove the external metrics of the other adapter, such as externalRules of prometheus-adapter, and install KEDA's APIService again.",
			Evidence: []string{"kedacore/keda#470", "kubernetes-sigs/prometheus-adapter#705"},
			find:     checkRegistered,
		},
		{
			Code: "K103", Title: "A version of KEDA with a known defect", Severity: Error, needs: reading(object.Deployments),
			Why:      "The defect is in KEDA, so no setting of a ScaledObject avoids it.",
			Change:   "Upgrade KEDA to 2.21 or later.",
			Evidence: []string{"kedacore/keda#7116", "kedacore/keda#7687"},
			find:     checkVersion,
		},
		{
			Code: "K104", Title: "A metrics adapter that cannot reach KEDA's operator", Severity: Warning, needs: reading(object.Autoscalers),
			Why:      "KEDA's adapter asks its operator over gRPC at port 9666. While it cannot, the HPA gets no value and holds the replicas.",
			Change:   "Allow TCP 9666 from KEDA's metrics adapter to its operator, and exclude that port from a service mesh.",
			Evidence: []string{"kedacore/keda#5184", "kedacore/keda#7095"},
			find: func(v *view, found *findings) {
				for _, h := range v.byKind[object.Autoscalers] {
					c := h.At("status", "conditions").Condition("ScalingActive")
					if c.At("status").Text() == "False" && strings.Contains(c.At("message").Text(), "establish gRPC connection") {
						found.add(h, "status.conditions", "", "%s", c.At("message").Text())
					}
				}
			},
		},
	}
}

func checkRegistration(v *view, found *findings) {
	registration := v.object(object.APIServices, "", externalMetrics)
	if registration == nil {
		found.add(object.Named(object.APIServices, "", externalMetrics), "", "Install KEDA, or its APIService.",
			"it does not exist, so nothing answers for external metrics")
		return
	}
	available := registration.At("status", "conditions").Condition("Available")
	if available.At("status").Text() == "False" {
		found.add(registration, "status.conditions", "", "it is not available: %s: %s", available.At("reason").Text(), available.At("message").Text())
	}
}

func checkRegistered(v *view, found *findings) {
	registration := v.object(object.APIServices, "", externalMetrics)
	if registration == nil {
		return
	}
	name, namespace := registration.At("spec", "service", "name").Text(), registration.At("spec", "service", "namespace").Text()
	service := v.object(object.Services, namespace, name)
	isKEDA := strings.Contains(name, "keda") || v.keda.namespace != "" && namespace == v.keda.namespace
	if service != nil {
		isKEDA = isKEDA || strings.Contains(service.Labels()["app.kubernetes.io/name"]+service.Labels()["app"]+service.At("spec", "selector", "app").Text(), "keda")
	}
	if !isKEDA {
		found.add(registration, "spec.service", "", "external metrics come from the Service %s/%s", namespace, name)
	}
}

func checkVersion(v *view, found *findings) {
	text, parsed, known := v.kedaVersion()
	if !known {
		found.skip("no Deployment of KEDA's operator was found, so its version is unknown")
		return
	}
	usesTLS := false
	v.each(func(s *scaled, e *entry) { usesTLS = usesTLS || v.clientTLS(s, e).on })
	for _, d := range defects() {
		if parsed.before(d.until) && (!d.tls || usesTLS) {
			found.addAs(d.severity, v.keda.operator, "spec.template.spec.containers[0].image",
				fmt.Sprintf("Upgrade KEDA from %s to %d.%d or later.", text, d.until.major, d.until.minor), "before %d.%d %s", d.until.major, d.until.minor, d.what)
		}
	}
}

// kedaCallers returns KEDA's Deployments that call a scaler.
func (v *view) kedaCallers() []*object.Object {
	var callers []*object.Object
	for _, d := range []*object.Object{v.keda.operator, v.keda.adapter} {
		if d != nil {
			callers = append(callers, d)
		}
	}
	return callers
}

// kedaNamespace returns the namespace of KEDA, keda by default.
func (v *view) kedaNamespace() string { return cmp.Or(v.keda.namespace, "keda") }
