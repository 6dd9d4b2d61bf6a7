package layout

import "github.com/backlog-scaler/backlog-scaler/internal/backlog"

// A Discovery is where the queues of a layout are found whose names match a pattern.
type Discovery struct {
	// Registry is where the framework keeps the names of its queues; nil if nowhere.
	Registry *Registry
	// Work returns the reader of names in work that is not on any queue yet, such as delayed
	// jobs, because its queue may not be in the registry. It is nil if all queues are. The
	// parts of its reading are the queues.
	Work func() Reader
	// KeyPatterns are the keys by which queues are found that are in no registry.
	KeyPatterns []KeyPattern
	// AnyPrefix are the keys by which a queue is found under another prefix, for the hint
	// about a queue that does not exist. Without a registry traces are used.
	AnyPrefix []KeyPattern
	// PrefixParameter is the name of the parameter that holds the prefix, such as "namespace".
	PrefixParameter string
}

// KeysOfType is the discovery of queues whose names are the keys themselves.
func KeysOfType(kind string) func(backlog.Params) Discovery {
	return func(backlog.Params) Discovery { return Discovery{KeyPatterns: []KeyPattern{{Type: kind}}} }
}

// FoundByScan returns the text of Layout.Patterns for queues that are found by their keys.
func FoundByScan(what string) string {
	return "among the " + what + " of the server, by SCAN, which needs the right +scan: a queue that is new is found within 5 s, or later where there are millions of keys"
}

// FoundInRegistry returns the text of Layout.Patterns for queues that a registry names.
func FoundInRegistry(what string) string {
	return "in the " + what + ", which is read along: a queue that is new is noticed at once (it needs the right +srandmember)"
}
