package doctor

import (
	"fmt"
	"slices"
	"strings"

	"github.com/backlog-scaler/backlog-scaler/internal/doctor/facts"
	"github.com/backlog-scaler/backlog-scaler/internal/doctor/object"
)

// encryptionChecks are about TLS between KEDA and the scaler.
func encryptionChecks() []Check {
	return []Check{
		{
			Code: "S206", Title: "TLS settings that do not fit together", Severity: Error, Offline: true, reads: triggerKinds(object.Authentications, object.ClusterAuths, object.Services, object.Deployments),
			Why:      "Either the handshake fails, with \"certificate required\" or \"first record does not look like a TLS handshake\", or a parameter that should protect has no effect.",
			Change:   "Set enableTLS: \"true\", and an authenticationRef with caCert, tlsClientCert and tlsClientKey, as in the operations guide.",
			Evidence: []string{"kedacore/keda#7017", "kedacore/keda#5250"},
			find:     checkTLS,
		},
		{
			Code: "S216", Title: "Plain text between KEDA and the scaler", Severity: Warning, Offline: true, reads: triggerKinds(),
			Why: "Any pod that reaches the gRPC port can claim any namespace and read the lengths of its queues. " +
				"Values that KEDA takes from the environment of containers cross the network readable.",
			Change: "Enable tls of the chart with client certificates, or at least networkPolicy.enabled, which admits KEDA alone.",
			find:   checkPlainText,
		},
	}
}

// A clientTLS is how KEDA connects for one trigger.
type clientTLS struct {
	// on reports TLS. known reports whether on, ca and cert are certain.
	on, known bool
	// ca, cert and key report which parameters there are.
	ca, cert, key bool
	// auth is the object that authenticationRef names; nil without one. missing reports that it does not
	// exist.
	auth    *object.Object
	missing bool
	// useless are parameters that an external scaler never gets.
	useless []string
}

// clientTLS returns how KEDA connects for a trigger:
// https://github.com/kedacore/keda/blob/v2.21.0/pkg/scalers/external_scaler.go#L446
func (v *view) clientTLS(s *facts.Scaled, e *facts.Entry) clientTLS {
	c := clientTLS{known: true}
	name := e.At("authenticationRef", "name").Text()
	if name != "" {
		kind, namespace := object.Authentications, s.Namespace()
		if e.At("authenticationRef", "kind").Text() == string(object.ClusterAuths) {
			kind, namespace = object.ClusterAuths, ""
		}
		c.auth = v.Object(kind, namespace, name)
		c.known = c.auth != nil
		c.missing = c.auth == nil && v.Online && v.Unread[kind] == "" && (v.Namespace == "" || kind == object.Authentications)
	}
	if c.auth != nil {
		c.read(c.auth)
	}
	c.on = object.IsTrue(e.Metadata["enableTLS"]) || c.ca || c.cert && c.key
	if object.IsTrue(e.Metadata["enableTLS"]) {
		c.known = c.known || c.auth == nil
	}
	return c
}

// read takes the parameters of a TriggerAuthentication. No Secret is read.
func (c *clientTLS) read(auth *object.Object) {
	spec, _ := auth.At("spec").V.(map[string]any)
	for source := range spec {
		switch source {
		case "secretTargetRef", "configMapTargetRef", "env":
			for _, item := range auth.At("spec", source).List() {
				c.take(item.At("parameter").Text())
			}
		case "podIdentity":
		default:
			c.known = false // a vault, whose parameters have another form
			for _, key := range []string{"secrets", "parameters"} {
				for _, item := range auth.At("spec", source, key).List() {
					c.take(item.At("parameter").Text())
				}
			}
		}
	}
	slices.Sort(c.useless)
}

func (c *clientTLS) take(parameter string) {
	switch parameter {
	case "caCert":
		c.ca = true
	case "tlsClientCert":
		c.cert = true
	case "tlsClientKey":
		c.key = true
	case "":
	default:
		c.useless = append(c.useless, parameter)
	}
}

func checkTLS(v *view, found *findings) {
	v.Each(func(s *facts.Scaled, e *facts.Entry) {
		c, scaler := v.clientTLS(s, e), v.Server(e.Address)
		auth, metadata := facts.Field(e.Index, "authenticationRef"), facts.Field(e.Index, "metadata")
		name := e.At("authenticationRef", "name").Text()
		switch {
		case c.missing:
			found.add(s.Object, auth, "", "authenticationRef names %q, which does not exist", name)
			return
		case c.auth != nil && len(c.useless) > 0:
			found.addAs(Warning, s.Object, auth, "Remove them: credentials of queues belong into the scaler's configuration.",
				"KEDA does not send %s of %q to an external scaler, only caCert, tlsClientCert and tlsClientKey", strings.Join(c.useless, " and "), name)
		}
		switch {
		case !c.known:
			found.skipMissing(v, "TriggerAuthentications")
		case c.cert != c.key:
			found.add(s.Object, auth, "", "%q has one of tlsClientCert and tlsClientKey, and both are needed", name)
		case scaler.Workload == nil:
			if !e.Address.Opaque {
				found.skipMissing(v, "Deployments of the scaler")
			}
		case scaler.ServesTLS() && !c.on:
			found.add(s.Object, metadata+".enableTLS", "", "the scaler speaks TLS and the trigger does not")
		case !scaler.ServesTLS() && c.on:
			found.add(s.Object, metadata+".enableTLS", "Enable tls of the scaler, or remove enableTLS and authenticationRef.", "the trigger speaks TLS and the scaler does not")
		case scaler.WantsClients() && !c.cert:
			found.add(s.Object, auth, "", "the scaler asks for a client certificate, and the trigger has none")
		}
	})
}

func checkPlainText(v *view, found *findings) {
	for _, e := range v.Endpoints() {
		plain := slices.IndexFunc(e.Users, func(u facts.User) bool {
			c := v.clientTLS(u.Scaled, u.Entry)
			return c.known && !c.on
		})
		if plain < 0 || e.Err != nil || loopback(e.Host) {
			continue
		}
		u := e.Users[plain]
		o, path := u.Scaled.Object, facts.Field(u.Entry.Index, "metadata.scalerAddress")
		text := fmt.Sprintf("calls to %s are plain text%s", e.Text, e.And())
		meshed := false
		if e.Workload != nil {
			meshed, _ = v.sidecar(e.Workload)
		}
		switch {
		case meshed:
		case !v.Online || v.Unread[object.NetworkPolicies] != "" || e.Workload == nil:
			found.addAs(Info, o, path, "", "%s; whether a NetworkPolicy limits who calls the scaler is not known", text)
		case len(v.ingressPolicies(e.Workload)) == 0:
			found.add(o, path, "", "%s, and no NetworkPolicy limits who calls the scaler", text)
		}
	}
}

// loopback reports whether a host is this machine.
func loopback(host string) bool { return host == "localhost" || strings.HasPrefix(host, "127.") }
