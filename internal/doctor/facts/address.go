package facts

import (
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"github.com/backlog-scaler/backlog-scaler/internal/doctor/object"
)

// An Address is where KEDA finds a scaler: the host and port of a Service.
type Address struct {
	Text, Host string
	Port       int64
	// Err is what is wrong with the text; nil for one that can be judged, and for one that is no name of a
	// Service.
	Err error
	// Opaque reports that the address names no Service: an IP address, or one of another resolver.
	Opaque bool
	// Name and namespace are the parts of the host; the namespace is empty if it has none.
	Name, Namespace string
}

// parseAddress parses a scalerAddress: https://github.com/grpc/grpc/blob/master/doc/naming.md
func parseAddress(text string) Address {
	a := Address{Text: text}
	rest := text
	if scheme, target, found := strings.Cut(text, ":///"); found {
		if scheme != "dns" && scheme != "passthrough" {
			a.Opaque = true
			return a
		}
		rest = target
	} else if strings.Contains(text, "://") {
		a.Opaque = strings.HasPrefix(text, "dns://") || strings.HasPrefix(text, "unix://")
		if !a.Opaque {
			a.Err = fmt.Errorf("%q is a URL, want HOST:PORT", text)
		}
		return a
	}
	colon := strings.LastIndexByte(rest, ':')
	if colon < 0 {
		a.Host, a.Err = rest, fmt.Errorf("%q has no port; gRPC takes 443 then", text)
	} else {
		a.Host = rest[:colon]
		port, err := strconv.ParseUint(rest[colon+1:], 10, 16)
		if err != nil || port == 0 {
			a.Err = fmt.Errorf("%q: port %q, want a number from 1 to 65535", text, rest[colon+1:])
		}
		a.Port = int64(port)
	}
	a.Host = strings.TrimSuffix(strings.ToLower(a.Host), ".")
	if text == "" {
		a.Err = errors.New("scalerAddress is missing, want HOST:PORT of the scaler's Service")
		return a
	}
	if _, err := netip.ParseAddr(strings.Trim(a.Host, "[]")); err == nil || a.Host == "localhost" {
		a.Opaque = true
		return a
	}
	labels := strings.Split(a.Host, ".")
	a.Name = labels[0]
	if len(labels) > 1 {
		a.Namespace = labels[1]
	}
	// A name outside of the cluster has another third label.
	a.Opaque = len(labels) > 2 && labels[2] != "svc"
	return a
}

// service returns the Service of an address; nil if it is not known.
func (v *View) service(a Address) *object.Object {
	if a.Opaque || a.Name == "" {
		return nil
	}
	namespace := a.Namespace
	if namespace == "" {
		namespace = v.KEDA.Namespace
	}
	if namespace == "" {
		return nil
	}
	return v.Object(object.Services, namespace, a.Name)
}

// A Server is the scaler behind an address.
type Server struct {
	Service *object.Object
	// Workload is its Deployment or StatefulSet; nil if it is not known.
	Workload *object.Object
}

// Server returns the scaler behind an address.
func (v *View) Server(a Address) Server {
	found, known := v.servers[a.Text]
	if !known {
		found = v.findServer(a)
		v.servers[a.Text] = found
	}
	return found
}

func (v *View) findServer(a Address) Server {
	service := v.service(a)
	if service == nil {
		return Server{}
	}
	found := Server{Service: service}
	selector := service.At("spec", "selector").Texts()
	if len(selector) == 0 {
		return found
	}
	for _, kind := range []object.Kind{object.Deployments, object.StatefulSets} {
		for _, o := range v.ByKind[kind] {
			if o.Namespace() == service.Namespace() && object.Includes(o.At("spec", "template", "metadata", "labels").Texts(), selector) {
				found.Workload = o
				return found
			}
		}
	}
	return found
}

// Replicas returns the number of replicas of the scaler; 0 if it is not known.
func (s Server) Replicas() int64 {
	if s.Workload == nil {
		return 0
	}
	return s.Workload.At("spec", "replicas").NumberOr(1)
}

// has reports whether the scaler is started with a flag, or with the variable in its place.
func (s Server) has(flag, variable string) bool {
	if s.Workload == nil {
		return false
	}
	for _, container := range s.Workload.At("spec", "template", "spec", "containers").List() {
		for _, arg := range append(container.At("command").List(), container.At("args").List()...) {
			if arg.Text() == flag || strings.HasPrefix(arg.Text(), flag+"=") {
				return true
			}
		}
		for _, env := range container.At("env").List() {
			if env.At("name").Text() == variable {
				return true
			}
		}
	}
	return false
}

// TargetPort returns the port of the pods behind a port of the Service; 0 if the Service has no such port.
// The name of a headless Service leads to the pods, so its own ports mean nothing there. It is not known if
// a container names the port, and the containers are not.
func (s Server) TargetPort(port int64) (target int64, headless, known bool) {
	headless = s.Service.At("spec", "clusterIP").Text() == "None"
	known = true
	for _, p := range s.Service.At("spec", "ports").List() {
		own, name := p.At("port").NumberOr(0), p.At("targetPort").Text()
		if headless {
			own = p.At("targetPort").NumberOr(own)
			if name != "" {
				own = s.named(name)
				known = known && s.Workload != nil
			}
		}
		if own == port {
			return port, headless, true
		}
	}
	return 0, headless, known
}

// named returns the port of the containers that has a name; 0 without one.
func (s Server) named(name string) int64 {
	if s.Workload == nil || name == "" {
		return 0
	}
	for _, container := range s.Workload.At("spec", "template", "spec", "containers").List() {
		for _, p := range container.At("ports").List() {
			if p.At("name").Text() == name {
				return p.At("containerPort").NumberOr(0)
			}
		}
	}
	return 0
}

// An Endpoint is an address with the triggers that name it.
type Endpoint struct {
	Address
	Server
	Users []User
}

// A User is a trigger that names an address.
type User struct {
	Scaled *Scaled
	Entry  *Entry
}

// Endpoints returns the addresses of all triggers of the scaler, in the order of the triggers.
func (v *View) Endpoints() []*Endpoint {
	var all []*Endpoint
	byText := make(map[string]*Endpoint)
	v.Each(func(s *Scaled, e *Entry) {
		known := byText[e.Address.Text]
		if known == nil {
			known = &Endpoint{Address: e.Address, Server: v.Server(e.Address)}
			byText[e.Address.Text] = known
			all = append(all, known)
		}
		known.Users = append(known.Users, User{s, e})
	})
	return all
}

// And says how many other triggers have the address, for a finding about the first one.
func (e *Endpoint) And() string {
	if n := len(e.Users) - 1; n > 0 {
		return " (" + Count(n, "more trigger") + " with it)"
	}
	return ""
}

// ServesTLS reports whether the scaler is started with a certificate.
func (s Server) ServesTLS() bool { return s.has("--tls-cert-file", "SCALER_TLS_CERT_FILE") }

// WantsClients reports whether it is started with the authorities of client certificates.
func (s Server) WantsClients() bool {
	return s.has("--tls-client-ca-file", "SCALER_TLS_CLIENT_CA_FILE")
}

// Reaches reports whether the Service of an address may have its port.
func (e *Endpoint) Reaches() bool {
	port, _, known := e.TargetPort(e.Port)
	return e.Err == nil && (!known || port != 0)
}

// IncludesPort reports whether a port of a rule includes that of the scaler.
func (e *Endpoint) IncludesPort(port object.Value) bool {
	if protocol := port.At("protocol").Text(); protocol != "" && protocol != "TCP" {
		return false
	}
	number, whole := port.At("port").Number()
	switch {
	case !port.At("port").Exists():
		return true
	case whole:
		target, _, known := e.TargetPort(e.Port)
		last := port.At("endPort").NumberOr(number)
		return !known || target >= number && target <= last
	default:
		byName := e.named(port.At("port").Text())
		return byName == 0 || byName == e.Port
	}
}

// ReadyEndpoints returns the number of ready endpoints of a Service, and reports whether it is known. A slice
// has those of one family of addresses, so the largest number counts.
func (v *View) ReadyEndpoints(service *object.Object) (ready int, known bool) {
	if !v.Online || v.Unread[object.EndpointSlices] != "" {
		return 0, false
	}
	families := make(map[string]int)
	for _, slice := range v.ByKind[object.EndpointSlices] {
		if slice.Namespace() != service.Namespace() || slice.Labels()["kubernetes.io/service-name"] != service.Name() {
			continue
		}
		for _, endpoint := range slice.At("endpoints").List() {
			// A condition that is not there counts as true.
			if condition := endpoint.At("conditions", "ready"); !condition.Exists() || condition.V == true {
				families[slice.At("addressType").Text()]++
			}
		}
	}
	for _, n := range families {
		ready = max(ready, n)
	}
	return ready, true
}
