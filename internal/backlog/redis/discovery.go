package redis

import (
	"slices"
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
	// suffixes take the place of suffix where keys of one kind have several: one search
	// finds all of them.
	suffixes []string
	// not is the end of keys of the same kind that are no trace; "" if there are none.
	not string
	// sign says that any key of this kind shows that the framework is at work with its
	// prefix, whatever its queues are named.
	sign bool
	// within is a text that names of queues do not have, but keys of the same kind that
	// are no trace; "" if there are none.
	within string
}

// search is what SCAN has to look for to find the queues that match a pattern.
func (t trace) search(pattern string) search {
	return search{kind: t.kind, match: scanEscape(t.prefix) + scanPattern(pattern) + scanSuffixes(t.ends())}
}

// ends returns the suffixes, of which a key has one.
func (t trace) ends() []string {
	if t.suffixes != nil {
		return t.suffixes
	}
	return []string{t.suffix}
}

// cutEnd returns a key without its suffix; false if the key is no trace.
func (t trace) cutEnd(key string) (string, bool) {
	if t.not != "" && strings.HasSuffix(key, t.not) || t.within != "" && strings.Contains(key, t.within) {
		return "", false
	}
	for _, end := range t.ends() {
		if rest, found := strings.CutSuffix(key, end); found {
			return rest, true
		}
	}
	return "", false
}

// queue returns the queue that a key is a trace of; false if it is none.
func (t trace) queue(key string) (string, bool) {
	rest, found := t.cutEnd(key)
	if !found {
		return "", false
	}
	name, found := strings.CutPrefix(rest, t.prefix)
	return name, found && name != ""
}

// elsewhere is what SCAN has to look for to find queues whatever their prefix.
func (t trace) elsewhere() search {
	return search{kind: t.kind, match: "*" + scanEscape(t.fixed) + "*" + scanSuffixes(t.ends())}
}

// prefixOf returns the prefix under which a key is a trace of a queue that one of names
// means, each a name of backlog.Queues; false if it is none.
func (t trace) prefixOf(key string, names backlog.Queues) (string, bool) {
	rest, found := t.cutEnd(key)
	if !found {
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

// scanSuffixes returns one pattern that matches each of the suffixes, and little else:
// :wait and :active are matched by :[aw][ac][it]*[et].
func scanSuffixes(suffixes []string) string {
	shortest := suffixes[0]
	for _, suffix := range suffixes {
		if len(suffix) < len(shortest) {
			shortest = suffix
		}
	}
	if len(suffixes) == 1 {
		return scanEscape(shortest)
	}
	var pattern strings.Builder
	for i := range len(shortest) - 1 {
		pattern.WriteString(scanAny(suffixes, func(suffix string) byte { return suffix[i] }))
	}
	pattern.WriteString("*")
	pattern.WriteString(scanAny(suffixes, func(suffix string) byte { return suffix[len(suffix)-1] }))
	return pattern.String()
}

// scanAny returns the pattern of one byte of each of several texts, which are no
// special characters of patterns.
func scanAny(texts []string, at func(string) byte) string {
	bytes := make([]byte, len(texts))
	for i, text := range texts {
		bytes[i] = at(text)
	}
	slices.Sort(bytes)
	bytes = slices.Compact(bytes)
	if len(bytes) == 1 {
		return string(bytes)
	}
	return "[" + string(bytes) + "]"
}

// scanned tells people of traces.
func scanned(what string) string {
	return "among the " + what + " of the server, by SCAN, which needs the right +scan: a queue that is new is found within 5 s, or later where there are millions of keys"
}

// registered tells people of a registry.
func registered(what string) string {
	return "in the " + what + ", which is read along: a queue that is new is noticed at once (it needs the right +srandmember)"
}
