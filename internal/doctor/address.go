package doctor

import (
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"github.com/backlog-scaler/backlog-scaler/internal/doctor/object"
)

// An address is where KEDA finds a scaler: the host and port of a Service.
type address struct {
	text, host string
	port       int64
	// err is what is wrong with the text; nil for one that can be judged, and for one that is no name of a
	// Service.
	err error
	// opaque reports that the address names no Service: an IP address, or one of another resolver.
	opaque bool
	// name and namespace are the parts of the host; the namespace is empty if it has none.
	name, namespace string
}

// parseAddress parses a scalerAddress: https://github.com/grpc/grpc/blob/master/doc/naming.md
func parseAddress(text string) address {
	a := address{text: text}
	rest := text
	if scheme, target, found := strings.Cut(text, ":///"); found {
		if scheme != "dns" && scheme != "passthrough" {
			a.opaque = true
			return a
		}
		rest = target
	} else if strings.Contains(text, "://") {
		a.opaque = strings.HasPrefix(text, "dns://") || strings.HasPrefix(text, "unix://")
		if !a.opaque {
			a.err = fmt.Errorf("%q is a URL, want HOST:PORT", text)
		}
		return a
	}
	colon := strings.LastIndexByte(rest, ':')
	if colon < 0 {
		a.host, a.err = rest, fmt.Errorf("%q has no port; gRPC takes 443 then", text)
	} else {
		a.host = rest[:colon]
		port, err := strconv.ParseUint(rest[colon+1:], 10, 16)
		if err != nil || port == 0 {
			a.err = fmt.Errorf("%q: port %q, want a number from 1 to 65535", text, rest[colon+1:])
		}
		a.port = int64(port)
	}
	a.host = strings.TrimSuffix(strings.ToLower(a.host), ".")
	if text == "" {
		a.err = errors.New("scalerAddress is missing, want HOST:PORT of the scaler's Service")
		return a
	}
	if _, err := netip.ParseAddr(strings.Trim(a.host, "[]")); err == nil || a.host == "localhost" {
		a.opaque = true
		return a
	}
	labels := strings.Split(a.host, ".")
	a.name = labels[0]
	if len(labels) > 1 {
		a.namespace = labels[1]
	}
	// A name outside of the cluster has another third label.
	a.opaque = len(labels) > 2 && labels[2] != "svc"
	return a
}

// service returns the Service of an address; nil if it is not known.
func (v *view) service(a address) *object.Object {
	if a.opaque || a.name == "" {
		return nil
	}
	namespace := a.namespace
	if namespace == "" {
		namespace = v.keda.namespace
	}
	if namespace == "" {
		return nil
	}
	return v.object(object.Services, namespace, a.name)
}

// A server is the scaler behind an address.
type server struct {
	service *object.Object
	// workload is its Deployment or StatefulSet; nil if it is not known.
	workload *object.Object
}

// server returns the scaler behind an address.
func (v *view) server(a address) server {
	found, known := v.servers[a.text]
	if !known {
		found = v.findServer(a)
		v.servers[a.text] = found
	}
	return found
}

func (v *view) findServer(a address) server {
	service := v.service(a)
	if service == nil {
		return server{}
	}
	found := server{service: service}
	selector := service.At("spec", "selector").Texts()
	if len(selector) == 0 {
		return found
	}
	for _, kind := range []object.Kind{object.Deployments, object.StatefulSets} {
		for _, o := range v.byKind[kind] {
			if o.Namespace() == service.Namespace() && object.Includes(o.At("spec", "template", "metadata", "labels").Texts(), selector) {
				found.workload = o
				return found
			}
		}
	}
	return found
}

// replicas returns the number of replicas of the scaler; 0 if it is not known.
func (s server) replicas() int64 {
	if s.workload == nil {
		return 0
	}
	return s.workload.At("spec", "replicas").NumberOr(1)
}

// has reports whether the scaler is started with a flag, or with the variable in its place.
func (s server) has(flag, variable string) bool {
	if s.workload == nil {
		return false
	}
	for _, container := range s.workload.At("spec", "template", "spec", "containers").List() {
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

// targetPort returns the port of the pods behind a port of the Service; 0 if the Service has no such port.
// The name of a headless Service leads to the pods, so its own ports mean nothing there. It is not known if
// a container names the port, and the containers are not.
func (s server) targetPort(port int64) (target int64, headless, known bool) {
	headless = s.service.At("spec", "clusterIP").Text() == "None"
	known = true
	for _, p := range s.service.At("spec", "ports").List() {
		own, name := p.At("port").NumberOr(0), p.At("targetPort").Text()
		if headless {
			own = p.At("targetPort").NumberOr(own)
			if name != "" {
				own = s.named(name)
				known = known && s.workload != nil
			}
		}
		if own == port {
			return port, headless, true
		}
	}
	return 0, headless, known
}

// named returns the port of the containers that has a name; 0 without one.
func (s server) named(name string) int64 {
	if s.workload == nil || name == "" {
		return 0
	}
	for _, container := range s.workload.At("spec", "template", "spec", "containers").List() {
		for _, p := range container.At("ports").List() {
			if p.At("name").Text() == name {
				return p.At("containerPort").NumberOr(0)
			}
		}
	}
	return 0
}

// An endpoint is an address with the triggers that name it.
type endpoint struct {
	address
	server
	users []user
}

// A user is a trigger that names an address.
type user struct {
	s *scaled
	e *entry
}

// endpoints returns the addresses of all triggers of the scaler, in the order of the triggers.
func (v *view) endpoints() []*endpoint {
	var all []*endpoint
	byText := make(map[string]*endpoint)
	v.each(func(s *scaled, e *entry) {
		known := byText[e.address.text]
		if known == nil {
			known = &endpoint{address: e.address, server: v.server(e.address)}
			byText[e.address.text] = known
			all = append(all, known)
		}
		known.users = append(known.users, user{s, e})
	})
	return all
}

// and says how many other triggers have the address, for a finding about the first one.
func (e *endpoint) and() string {
	if n := len(e.users) - 1; n > 0 {
		return " (" + count(n, "more trigger") + " with it)"
	}
	return ""
}
