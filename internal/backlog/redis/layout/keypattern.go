package layout

import (
	"slices"
	"strings"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
)

// A KeyPattern describes the keys of one type that a queue leaves: prefix, name of the queue,
// suffix.
type KeyPattern struct {
	// Type is the type of the key as SCAN names it, such as "list".
	Type           string
	Prefix, Suffix string
	// FixedPrefix is the end of prefix that does not depend on a parameter.
	FixedPrefix string
	// Suffixes replace suffix where there are several: one search finds all of them.
	Suffixes []string
	// ExceptSuffix is the suffix of keys of other purposes, which do not match; "" if there are
	// none.
	ExceptSuffix string
	// ShowsFramework is set if any such key shows that the framework is in use with its prefix,
	// whatever its queues are named.
	ShowsFramework bool
	// ExceptContaining is a text that only keys which do not match contain; "" if there are none.
	ExceptContaining string
}

// Search returns the search that finds the queues which match a pattern.
func (t KeyPattern) Search(pattern string) Search {
	return Search{Type: t.Type, Pattern: EscapePattern(t.Prefix) + scanPattern(pattern) + scanSuffixes(t.suffixes())}
}

// suffixes returns the suffixes. A key has one of them.
func (t KeyPattern) suffixes() []string {
	if t.Suffixes != nil {
		return t.Suffixes
	}
	return []string{t.Suffix}
}

// cutSuffix returns a key without its suffix; false if the key does not match.
func (t KeyPattern) cutSuffix(key string) (string, bool) {
	if t.ExceptSuffix != "" && strings.HasSuffix(key, t.ExceptSuffix) || t.ExceptContaining != "" && strings.Contains(key, t.ExceptContaining) {
		return "", false
	}
	for _, end := range t.suffixes() {
		if rest, found := strings.CutSuffix(key, end); found {
			return rest, true
		}
	}
	return "", false
}

// Queue returns the name of the queue in a key; false if the key does not match.
func (t KeyPattern) Queue(key string) (string, bool) {
	rest, found := t.cutSuffix(key)
	if !found {
		return "", false
	}
	name, found := strings.CutPrefix(rest, t.Prefix)
	return name, found && name != ""
}

// SearchAnyPrefix returns the search that finds queues of any prefix.
func (t KeyPattern) SearchAnyPrefix() Search {
	return Search{Type: t.Type, Pattern: "*" + EscapePattern(t.FixedPrefix) + "*" + scanSuffixes(t.suffixes())}
}

// PrefixOf returns the prefix of a key of a queue that one of names matches; false if the
// key is of another queue or of none.
func (t KeyPattern) PrefixOf(key string, names backlog.Queues) (string, bool) {
	rest, found := t.cutSuffix(key)
	if !found {
		return "", false
	}
	for _, name := range names {
		if !backlog.IsPattern(name) {
			if prefix, found := strings.CutSuffix(rest, t.FixedPrefix+backlog.Unescape(name)); found {
				return prefix, true
			}
			continue
		}
		if prefix, queue, found := strings.Cut(rest, t.FixedPrefix); found && backlog.Match(name, queue) {
			return prefix, true
		}
	}
	return "", false
}

// FrameworkPrefix returns the prefix with which the framework is in use, as a key shows; false if
// it does not show one.
func (t KeyPattern) FrameworkPrefix(key string) (string, bool) {
	if !t.ShowsFramework {
		return "", false
	}
	prefix, _, found := strings.Cut(key, t.FixedPrefix)
	return prefix, found
}

// scanPattern turns a pattern of backlog.Queues into one of Redis, which knows ranges
// in brackets too.
func scanPattern(pattern string) string {
	if !strings.ContainsAny(pattern, "[]") {
		return pattern
	}
	return strings.NewReplacer("[", `\[`, "]", `\]`).Replace(pattern)
}

// EscapePattern makes a text match itself alone.
func EscapePattern(text string) string {
	if !strings.ContainsAny(text, `\[]*?`) {
		return text
	}
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
		return EscapePattern(shortest)
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
