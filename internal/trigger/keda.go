package trigger

import (
	"maps"
	"slices"
	"strings"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
)

// replacements says what takes the place of the keys of KEDA's own triggers redis and
// redis-streams, also those for Sentinel and Cluster:
// https://github.com/kedacore/keda/blob/v2.21.0/pkg/scalers/redis_scaler.go#L48
// https://github.com/kedacore/keda/blob/v2.21.0/pkg/scalers/redis_streams_scaler.go#L51
//
// enableTLS and unsafeSsl are not among them: they are keys of the external trigger too,
// and say there how KEDA reaches the scaler.
func replacements() map[string]string {
	const (
		setting   = "is a setting of the connection in the scaler's configuration, which the trigger names by connection: "
		addresses = setting + `addresses: ["host:port"]`
		password  = setting + "password: {file: PATH}, or {env: NAME}"
		sentinel  = setting + "sentinelPassword: {file: PATH}, or {env: NAME}"
	)
	return map[string]string{
		"address": addresses, "addresses": addresses, "host": addresses, "hosts": addresses, "port": addresses, "ports": addresses,
		"sentinelAddress":  addresses + " with mode: sentinel",
		"username":         setting + "username",
		"password":         password,
		"sentinelUsername": setting + "sentinelUsername",
		"sentinelPassword": sentinel,
		"sentinelMaster":   setting + "masterName, with mode: sentinel",
		"masterName":       setting + "masterName, with mode: sentinel",
		"databaseIndex":    setting + "database",
		"tls":              setting + "tls: true",

		"listName":             "is called list here, or as the kind of queue it is: list, set, hash, sortedSet or a job framework",
		"listLength":           "is called target here",
		"activationListLength": "is called activation here",
		"lagCount":             "is called target here; with count: ready nothing but the lag counts, as in KEDA",
		"activationLagCount":   "is called activation here",
		"pendingEntriesCount":  "is called target here; with count: inFlight nothing but pending entries count, as in KEDA",
		"streamLength":         "is called target here; without consumerGroup all entries of the stream count, as in KEDA",

		"metricName": "is not needed: the name of the metric follows from the queue",
		"metricType": "belongs next to metadata in the trigger, not in it",
	}
}

// rejectKEDA takes keys of KEDA's own triggers, each with a fault that says what replaces
// it, and values with credentials. It repeats no value: it may be a secret, also one that
// KEDA took from the environment of the scaled container.
func (p *parser) rejectKEDA(c *Catalog, metadata map[string]string) {
	replaced := replacements()
	for _, key := range slices.Sorted(maps.Keys(metadata)) {
		plain := strings.TrimSuffix(key, fromEnv)
		text, isKEDA := replaced[plain]
		switch {
		case isKEDA && !c.Knows(plain):
			p.faults.add(key, "a key of KEDA's own redis triggers, which %s", text)
		case backlog.HasUserInfo(metadata[key]) && !slices.Contains(kedaKeys(), plain):
			p.faults.add(shorten(key), "a URL with user information: addresses and credentials belong to a connection of the scaler's configuration")
		default:
			continue
		}
		delete(p.values, plain)
	}
}
