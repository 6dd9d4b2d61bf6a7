package redis

import (
	"slices"
	"strings"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
)

// A trace describes the keys of one type that a queue leaves: prefix, name of the queue,
// suffix.
type trace struct {
	// kind is the type of the key as SCAN names it, such as "list".
	kind           string
	prefix, suffix string
	// fixed is the end of prefix that does not depend on a parameter.
	fixed string
	// suffixes replace suffix where there are several: one search finds all of them.
	suffixes []string
	// not is the suffix of keys that do not match all the same; "" if there are none.
	not string
	// sign is set if any such key shows that the framework is in use with its prefix,
	// whatever its queues are named.
	sign bool
	// within is a text that only keys which do not match contain; "" if there are none.
	within string
}

// search returns the search that finds the queues which match a pattern.
func (t trace) search(pattern string) search {
	return search{kind: t.kind, match: scanEscape(t.prefix) + scanPattern(pattern) + scanSuffixes(t.ends())}
}

// ends returns the suffixes. A key has one of them.
func (t trace) ends() []string {
	if t.suffixes != nil {
		return t.suffixes
	}
	return []string{t.suffix}
}

// cutEnd returns a key without its suffix; false if the key does not match.
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

// queue returns the name of the queue in a key; false if the key does not match.
func (t trace) queue(key string) (string, bool) {
	rest, found := t.cutEnd(key)
	if !found {
		return "", false
	}
	name, found := strings.CutPrefix(rest, t.prefix)
	return name, found && name != ""
}

// elsewhere returns the search that finds queues of any prefix.
func (t trace) elsewhere() search {
	return search{kind: t.kind, match: "*" + scanEscape(t.fixed) + "*" + scanSuffixes(t.ends())}
}

// prefixOf returns the prefix of a key of a queue that one of names matches; false if the
// key is of another queue or of none.
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

// signOf returns the prefix with which the framework is in use, as a key shows; false if
// it does not show one.
func (t trace) signOf(key string) (string, bool) {
	if !t.sign {
		return "", false
	}
	prefix, _, found := strings.Cut(key, t.fixed)
	return prefix, found
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
