package redis

import (
	"strings"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
)

// A discovery says where the queues of a layout are found whose names match a pattern.
type discovery struct {
	// registry is where the framework keeps their names; nil if nowhere.
	registry *registry
	// work returns the first step of looking for names in work that is not on any queue
	// yet, such as delayed jobs, for its queue may not be in the registry; nil if all
	// queues are. The parts of its reading are the queues.
	work func() step
	// traces are kinds of keys that queues leave, for those that are in no registry.
	traces []trace
	// elsewhere are kinds of keys by which a queue shows itself under another prefix, for
	// the hint about a queue that does not exist. Where there is no registry the traces
	// serve.
	elsewhere []trace
	// prefixed is the name of the parameter that holds the prefix, such as "namespace".
	prefixed string
}

// A trace is a kind of key by which a queue shows itself: prefix, name and suffix.
type trace struct {
	// kind is the type of the key as SCAN knows it, such as "list".
	kind           string
	prefix, suffix string
	// fixed is the end of prefix that does not depend on a parameter.
	fixed string
	// not is the end of keys of the same kind that are no trace; "" if there are none.
	not string
	// sign says that any key of this kind shows that the framework is at work with its
	// prefix, whatever its queues are named.
	sign bool
}

// search is what SCAN has to look for to find the queues that match a pattern.
func (t trace) search(pattern string) search {
	return search{kind: t.kind, match: scanEscape(t.prefix) + scanPattern(pattern) + scanEscape(t.suffix)}
}

// queue returns the queue that a key is a trace of; false if it is none.
func (t trace) queue(key string) (string, bool) {
	if t.not != "" && strings.HasSuffix(key, t.not) {
		return "", false
	}
	name, found := strings.CutPrefix(key, t.prefix)
	if !found {
		return "", false
	}
	name, found = strings.CutSuffix(name, t.suffix)
	return name, found && name != ""
}

// elsewhere is what SCAN has to look for to find queues whatever their prefix.
func (t trace) elsewhere() search {
	return search{kind: t.kind, match: "*" + scanEscape(t.fixed) + "*" + scanEscape(t.suffix)}
}

// prefixOf returns the prefix under which a key is a trace of a queue that one of names
// means, each a name of backlog.Queues; false if it is none.
func (t trace) prefixOf(key string, names backlog.Queues) (string, bool) {
	rest, found := strings.CutSuffix(key, t.suffix)
	if !found || t.not != "" && strings.HasSuffix(key, t.not) {
		return "", false
	}
	for _, name := range names {
		if !backlog.IsPattern(name) {
			if prefix, found := strings.CutSuffix(rest, t.fixed+backlog.Unescape(name)); found {
				return prefix, true
			}
			continue
		}
		if prefix, queue, found := strings.Cut(rest, t.fixed); found && backlog.Match(name, queue) {
			return prefix, true
		}
	}
	return "", false
}

// signOf returns the prefix with which the framework is at work, as a key shows; false if
// it does not.
func (t trace) signOf(key string) (string, bool) {
	if !t.sign {
		return "", false
	}
	prefix, _, found := strings.Cut(key, t.fixed)
	return prefix, found
}

// named are the queues whose names are the keys themselves.
func named(kind string) func(backlog.Params) discovery {
	return func(backlog.Params) discovery { return discovery{traces: []trace{{kind: kind}}} }
}

// scanPattern turns a pattern of backlog.Queues into one of Redis, which knows ranges
// in brackets too.
func scanPattern(pattern string) string {
	return strings.NewReplacer("[", `\[`, "]", `\]`).Replace(pattern)
}

// scanEscape makes a text match itself alone.
func scanEscape(text string) string {
	return strings.NewReplacer(`\`, `\\`, "[", `\[`, "]", `\]`, "*", `\*`, "?", `\?`).Replace(text)
}

// scanned tells people of traces.
func scanned(what string) string {
	return "among the " + what + " of the server, by SCAN, which needs the right +scan: a queue that is new is found within 5 s, or later where there are millions of keys"
}

// registered tells people of a registry.
func registered(what string) string {
	return "in the " + what + ", which is read along: a queue that is new is noticed at once (it needs the right +srandmember)"
}
