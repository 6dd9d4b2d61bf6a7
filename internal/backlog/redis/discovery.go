package redis

import "github.com/backlog-scaler/backlog-scaler/internal/backlog"

// A discovery is where the queues of a layout are found whose names match a pattern.
type discovery struct {
	// registry is where the framework keeps the names of its queues; nil if nowhere.
	registry *registry
	// work returns the first step of a search for names in work that is not on any queue
	// yet, such as delayed jobs, because its queue may not be in the registry. It is nil if
	// all queues are. The parts of its reading are the queues.
	work func() step
	// traces are the keys by which queues are found that are in no registry.
	traces []trace
	// elsewhere are the keys by which a queue is found under another prefix, for the hint
	// about a queue that does not exist. Without a registry traces are used.
	elsewhere []trace
	// prefixed is the name of the parameter that holds the prefix, such as "namespace".
	prefixed string
}

// named is the discovery of queues whose names are the keys themselves.
func named(kind string) func(backlog.Params) discovery {
	return func(backlog.Params) discovery { return discovery{traces: []trace{{kind: kind}}} }
}

// scanned returns the text of Layout.Patterns for queues that are found by their keys.
func scanned(what string) string {
	return "among the " + what + " of the server, by SCAN, which needs the right +scan: a queue that is new is found within 5 s, or later where there are millions of keys"
}

// registered returns the text of Layout.Patterns for queues that a registry names.
func registered(what string) string {
	return "in the " + what + ", which is read along: a queue that is new is noticed at once (it needs the right +srandmember)"
}
