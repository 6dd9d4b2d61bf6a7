package facts

import (
	"cmp"
	"strconv"
	"strings"

	"github.com/backlog-scaler/backlog-scaler/internal/doctor/object"
)

// An Installation is what is known of KEDA in a cluster.
type Installation struct {
	// Namespace is empty if it is not known.
	Namespace string
	// Operator and adapter are its Deployments; nil if they are not known.
	Operator, adapter *object.Object
}

// ExternalMetrics is the name of the registration of external metrics. A cluster has one.
const ExternalMetrics = "v1beta1.external.metrics.k8s.io"

func findKEDA(v *View) Installation {
	var k Installation
	for _, d := range v.ByKind[object.Deployments] {
		switch image := imageName(d); {
		case image == "keda" || d.Labels()["app.kubernetes.io/name"] == "keda-operator" || d.Name() == "keda-operator":
			k.Operator = d
		case strings.HasPrefix(image, "keda-metrics-apiserver") || d.Name() == "keda-operator-metrics-apiserver" || d.Name() == "keda-metrics-apiserver":
			k.adapter = d
		}
	}
	switch registration := v.Object(object.APIServices, "", ExternalMetrics); {
	case k.Operator != nil:
		k.Namespace = k.Operator.Namespace()
	case registration != nil && strings.Contains(registration.At("spec", "service", "name").Text(), "keda"):
		k.Namespace = registration.At("spec", "service", "namespace").Text()
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

// A Version is the major and the minor number of one.
type Version struct{ Major, Minor int }

// Before reports whether a is the older one.
func (a Version) Before(b Version) bool {
	return a.Major < b.Major || a.Major == b.Major && a.Minor < b.Minor
}

// ParseVersion parses the beginning of a version, such as v2.21.0, and reports whether it has two numbers.
func ParseVersion(text string) (parsed Version, found bool) {
	parts := strings.SplitN(strings.TrimPrefix(text, "v"), ".", 3)
	if len(parts) < 2 {
		return Version{}, false
	}
	major, err := strconv.Atoi(parts[0])
	if err != nil {
		return Version{}, false
	}
	// Some providers write 1.34+.
	minor, err := strconv.Atoi(strings.TrimRight(parts[1], "+"))
	return Version{major, minor}, err == nil
}

// KEDAVersion returns the version of KEDA's operator, and reports whether it is known.
func (v *View) KEDAVersion() (text string, parsed Version, known bool) {
	if v.KEDA.Operator == nil {
		return "", Version{}, false
	}
	_, tag := image(v.KEDA.Operator)
	for _, text := range []string{tag, v.KEDA.Operator.Labels()["app.kubernetes.io/version"]} {
		if parsed, found := ParseVersion(text); found {
			return text, parsed, true
		}
	}
	return "", Version{}, false
}

// KEDACallers returns KEDA's Deployments that call a scaler.
func (v *View) KEDACallers() []*object.Object {
	var callers []*object.Object
	for _, d := range []*object.Object{v.KEDA.Operator, v.KEDA.adapter} {
		if d != nil {
			callers = append(callers, d)
		}
	}
	return callers
}

// KEDANamespace returns the namespace of KEDA, keda by default.
func (v *View) KEDANamespace() string { return cmp.Or(v.KEDA.Namespace, "keda") }
