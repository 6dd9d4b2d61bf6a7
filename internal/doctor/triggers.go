package doctor

import (
	"cmp"
	"fmt"

	"github.com/backlog-scaler/backlog-scaler/internal/doctor/object"
)

// triggerChecks are about the triggers of the scaler and how KEDA reaches it.
func triggerChecks() []Check {
	return []Check{
		{
			Code: "S201", Title: "A mistake in the metadata of a trigger", Severity: Error, Offline: true, reads: triggerKinds(),
			Why:      "The scaler rejects the trigger with InvalidArgument. KEDA holds the replicas, and nothing wakes a workload at zero.",
			Change:   "Correct the key or the value.",
			Evidence: []string{"kedacore/keda#4021", "n8n-io/n8n-hosting#173"},
			find: func(v *view, found *findings) {
				v.each(func(s *scaled, e *entry) {
					for _, fault := range e.faults {
						text := fault.Text
						if fault.Key != "" {
							text = fault.Key + ": " + text
						}
						found.add(s.Object, field(e.index, keyPath(fault.Key)), "", "%s", text)
					}
				})
			},
		},
		{
			Code: "S202", Title: "A connection that the namespace may not use", Severity: Error, Offline: true, needs: []need{needConfig}, reads: triggerKinds(),
			Why:    "The scaler rejects the trigger with PermissionDenied: the connection does not exist, is for other namespaces, or has other queues.",
			Change: "Correct the name, or extend namespaces or queues of the connection in the scaler's configuration.",
			find: func(v *view, found *findings) {
				v.each(func(s *scaled, e *entry) {
					if e.denied != nil {
						found.add(s.Object, field(e.index, "metadata.connection"),
							fmt.Sprintf("Correct the name, or extend namespaces or queues of the connection for %q.", s.Namespace()), "%v", e.denied)
					}
				})
			},
		},
		{
			Code: "S203", Title: "A ScaledJob with a push trigger", Severity: Error, Offline: true, reads: []object.Kind{object.ScaledJobs},
			Why:      "KEDA ignores pushes for a ScaledJob. Its Jobs start at the next poll, or never if the trigger is only pushed.",
			Change:   "Use type: external, and a short pollingInterval.",
			Evidence: []string{"kedacore/keda#1035", "kedacore/keda#1224"},
			find: func(v *view, found *findings) {
				v.each(func(s *scaled, e *entry) {
					if s.job && e.kind == "external-push" {
						found.add(s.Object, field(e.index, "type"), "", "the type is external-push")
					}
				})
			},
		},
		{
			Code: "S204", Title: "A ScaledObject that polls where it could be pushed", Severity: Warning, Offline: true, reads: []object.Kind{object.ScaledObjects},
			Why:      "The first message of an idle queue waits for the next poll, 30 s by default. With external-push it wakes the workload within milliseconds.",
			Change:   "Use type: external-push.",
			Evidence: []string{"kedacore/keda#230", "noctaya/noctaya#42"},
			find: func(v *view, found *findings) {
				v.each(func(s *scaled, e *entry) {
					if !s.job && e.kind == "external" {
						found.add(s.Object, field(e.index, "type"), "", "the type is external")
					}
				})
			},
		},
		{
			Code: "S205", Title: "A scalerAddress that does not lead to the scaler", Severity: Error, Offline: true, reads: triggerKinds(object.Services),
			Why:      "KEDA resolves the address in its own namespace. Where it leads nowhere each call fails with \"no such host\" or a timeout.",
			Change:   "Use NAME.NAMESPACE.svc:PORT of the scaler's Service, such as backlog-scaler.backlog-scaler.svc:9090.",
			Evidence: []string{"kedacore/http-add-on#361"},
			find:     checkAddresses,
		},
		{
			Code: "S217", Title: "A virtual address in front of several replicas of the scaler", Severity: Warning, Offline: true, reads: triggerKinds(object.Services),
			Why: "KEDA holds one gRPC connection for each address. Behind a virtual address it stays with one pod: the others are never asked, " +
				"and while that one restarts every call fails. With one replica a virtual address is as good as a headless Service.",
			Change: "Make the Service headless: clusterIP: None, as the chart does. A Service has to be deleted and created for that.",
			find:   checkHeadless,
		},
	}
}

// triggerKinds returns the kinds that have triggers, and others that a check looks at.
func triggerKinds(others ...object.Kind) []object.Kind {
	return append([]object.Kind{object.ScaledObjects, object.ScaledJobs}, others...)
}

// keyPath returns the path of a metadata key within a trigger.
func keyPath(key string) string {
	if key == "" {
		return "metadata"
	}
	return "metadata." + key
}

func checkAddresses(v *view, found *findings) {
	for _, e := range v.endpoints() {
		o, path := e.users[0].s.Object, field(e.users[0].e.index, "metadata.scalerAddress")
		switch {
		case e.err != nil:
			found.add(o, path, "", "%v%s", e.err, e.and())
		case e.opaque:
		case e.service != nil:
			e.checkPort(found, o, path)
		case e.namespace == "" && v.keda.namespace == "":
			found.addAs(Info, o, path, "", "%q has no namespace, so it is looked for in that of KEDA, and not in that of the ScaledObject%s", e.text, e.and())
		case !v.Online:
			found.skipMissing(v, "Services of the scaler")
		case v.knows(object.Services):
			found.add(o, path, "", "there is no Service %s/%s%s", cmp.Or(e.namespace, v.keda.namespace), e.name, e.and())
		}
	}
}

// checkPort looks for the port of an address in its Service.
func (e *endpoint) checkPort(found *findings, o *object.Object, path string) {
	if e.service.At("spec", "type").Text() == "ExternalName" {
		return
	}
	switch target, headless, known := e.targetPort(e.port); {
	case !known || target != 0:
	case headless:
		found.add(o, path, "", "the pods behind the headless Service %s do not listen on port %d: its name leads to the pods, so the port is theirs%s",
			e.service.Place("").String()[len("Service "):], e.port, e.and())
	default:
		found.add(o, path, "", "the Service %s has no port %d%s", e.service.Place("").String()[len("Service "):], e.port, e.and())
	}
}

func checkHeadless(v *view, found *findings) {
	for _, e := range v.endpoints() {
		if e.service == nil {
			if !e.opaque && e.err == nil {
				found.skipMissing(v, "Services of the scaler")
			}
			continue
		}
		kind, ip := e.service.At("spec", "type").Text(), e.service.At("spec", "clusterIP").Text()
		if ip == "None" || kind == "ExternalName" {
			continue
		}
		switch n := e.replicas(); {
		case e.workload == nil:
			found.addAs(Info, e.service, "spec.clusterIP", "", "it has a virtual address, and the number of replicas behind it is not known")
		case n > 1:
			found.add(e.service, "spec.clusterIP", "", "it has a virtual address, and %s has %d replicas", e.workload.Place(""), n)
		}
	}
}
