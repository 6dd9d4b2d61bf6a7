package doctor

import (
	"cmp"
	"fmt"

	"github.com/backlog-scaler/backlog-scaler/internal/doctor/facts"
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
				v.Each(func(s *facts.Scaled, e *facts.Entry) {
					for _, fault := range e.Faults {
						text := fault.Text
						if fault.Key != "" {
							text = fault.Key + ": " + text
						}
						found.add(s.Object, facts.Field(e.Index, keyPath(fault.Key)), "", "%s", text)
					}
				})
			},
		},
		{
			Code: "S202", Title: "A connection that the namespace may not use", Severity: Error, Offline: true, needs: []need{needConfig}, reads: triggerKinds(),
			Why:    "The scaler rejects the trigger with PermissionDenied: the connection does not exist, is for other namespaces, or has other queues.",
			Change: "Correct the name, or extend namespaces or queues of the connection in the scaler's configuration.",
			find: func(v *view, found *findings) {
				v.Each(func(s *facts.Scaled, e *facts.Entry) {
					if e.Denied != nil {
						found.add(s.Object, facts.Field(e.Index, "metadata.connection"),
							fmt.Sprintf("Correct the name, or extend namespaces or queues of the connection for %q.", s.Namespace()), "%v", e.Denied)
					}
				})
			},
		},
		{
			Code: "S203", Title: "A ScaledJob with a push trigger", Severity: Error, Offline: true, reads: []object.Kind{object.ScaledJobs},
			Why: "KEDA ignores pushes for a ScaledJob. Its Jobs start at the next poll, or never if the trigger is only pushed. " +
				"Each reconciliation of it starts its loop again, and the operator of KEDA 2.21 can end with a panic when two loops share a stream.",
			Change:   "Use type: external, and a short pollingInterval.",
			Evidence: []string{"kedacore/keda#1035", "kedacore/keda#1224"},
			find: func(v *view, found *findings) {
				v.Each(func(s *facts.Scaled, e *facts.Entry) {
					if s.Job && e.Kind == "external-push" {
						found.add(s.Object, facts.Field(e.Index, "type"), "", "the type is external-push")
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
				v.Each(func(s *facts.Scaled, e *facts.Entry) {
					if !s.Job && e.Kind == "external" {
						found.add(s.Object, facts.Field(e.Index, "type"), "", "the type is external")
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
	for _, e := range v.Endpoints() {
		o, path := e.Users[0].Scaled.Object, facts.Field(e.Users[0].Entry.Index, "metadata.scalerAddress")
		switch {
		case e.Err != nil:
			found.add(o, path, "", "%v%s", e.Err, e.And())
		case e.Opaque:
		case e.Service != nil:
			checkPort(found, e, o, path)
		case e.Namespace == "" && v.KEDA.Namespace == "":
			found.addAs(Info, o, path, "", "%q has no namespace, so it is looked for in that of KEDA, and not in that of the ScaledObject%s", e.Text, e.And())
		case !v.Online:
			found.skipMissing(v, "Services of the scaler")
		case v.Knows(object.Services):
			found.add(o, path, "", "there is no Service %s/%s%s", cmp.Or(e.Namespace, v.KEDA.Namespace), e.Name, e.And())
		}
	}
}

// checkPort looks for the port of an address in its Service.
func checkPort(found *findings, e *facts.Endpoint, o *object.Object, path string) {
	if e.Service.At("spec", "type").Text() == "ExternalName" {
		return
	}
	switch target, headless, known := e.TargetPort(e.Port); {
	case !known || target != 0:
	case headless:
		found.add(o, path, "", "the pods behind the headless Service %s do not listen on port %d: its name leads to the pods, so the port is theirs%s",
			e.Service.Place("").String()[len("Service "):], e.Port, e.And())
	default:
		found.add(o, path, "", "the Service %s has no port %d%s", e.Service.Place("").String()[len("Service "):], e.Port, e.And())
	}
}

func checkHeadless(v *view, found *findings) {
	for _, e := range v.Endpoints() {
		if e.Service == nil {
			if !e.Opaque && e.Err == nil {
				found.skipMissing(v, "Services of the scaler")
			}
			continue
		}
		kind, ip := e.Service.At("spec", "type").Text(), e.Service.At("spec", "clusterIP").Text()
		if ip == "None" || kind == "ExternalName" {
			continue
		}
		switch n := e.Replicas(); {
		case e.Workload == nil:
			found.addAs(Info, e.Service, "spec.clusterIP", "", "it has a virtual address, and the number of replicas behind it is not known")
		case n > 1:
			found.add(e.Service, "spec.clusterIP", "", "it has a virtual address, and %s has %d replicas", e.Workload.Place(""), n)
		}
	}
}
