package doctor

import (
	"fmt"
	"strings"

	"github.com/backlog-scaler/backlog-scaler/internal/doctor/facts"
	"github.com/backlog-scaler/backlog-scaler/internal/doctor/object"
)

// A defect is one of KEDA that concerns external scalers.
type defect struct {
	// until is the first version without it.
	until    facts.Version
	severity Severity
	// what says what happens. Only where TLS is used with tls.
	what string
	tls  bool
}

func defects() []defect {
	return []defect{
		{facts.Version{Major: 2, Minor: 18}, Error, "an external scaler that pushes \"inactive\" stops all workers at once, whatever the other triggers say (kedacore/keda#7116)", false},
		{facts.Version{Major: 2, Minor: 20}, Warning, "connections to external scalers are shared by address alone, so the certificate of another tenant may be used (kedacore/keda#7687)", true},
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
				for _, h := range v.ByKind[object.Autoscalers] {
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
	registration := v.Object(object.APIServices, "", facts.ExternalMetrics)
	if registration == nil {
		found.add(object.Named(object.APIServices, "", facts.ExternalMetrics), "", "Install KEDA, or its APIService.",
			"it does not exist, so nothing answers for external metrics")
		return
	}
	available := registration.At("status", "conditions").Condition("Available")
	if available.At("status").Text() == "False" {
		found.add(registration, "status.conditions", "", "it is not available: %s: %s", available.At("reason").Text(), available.At("message").Text())
	}
}

func checkRegistered(v *view, found *findings) {
	registration := v.Object(object.APIServices, "", facts.ExternalMetrics)
	if registration == nil {
		return
	}
	name, namespace := registration.At("spec", "service", "name").Text(), registration.At("spec", "service", "namespace").Text()
	service := v.Object(object.Services, namespace, name)
	isKEDA := strings.Contains(name, "keda") || v.KEDA.Namespace != "" && namespace == v.KEDA.Namespace
	if service != nil {
		isKEDA = isKEDA || strings.Contains(service.Labels()["app.kubernetes.io/name"]+service.Labels()["app"]+service.At("spec", "selector", "app").Text(), "keda")
	}
	if !isKEDA {
		found.add(registration, "spec.service", "", "external metrics come from the Service %s/%s", namespace, name)
	}
}

func checkVersion(v *view, found *findings) {
	text, parsed, known := v.KEDAVersion()
	if !known {
		found.skip("no Deployment of KEDA's operator was found, so its version is unknown")
		return
	}
	usesTLS := false
	v.Each(func(s *facts.Scaled, e *facts.Entry) { usesTLS = usesTLS || v.clientTLS(s, e).on })
	for _, d := range defects() {
		if parsed.Before(d.until) && (!d.tls || usesTLS) {
			found.addAs(d.severity, v.KEDA.Operator, "spec.template.spec.containers[0].image",
				fmt.Sprintf("Upgrade KEDA from %s to %d.%d or later.", text, d.until.Major, d.until.Minor), "before %d.%d %s", d.until.Major, d.until.Minor, d.what)
		}
	}
}
