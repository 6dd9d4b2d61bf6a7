package config

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
)

// A Fault is one error in the configuration. It never holds a secret.
type Fault struct {
	// File is the path of the configuration; empty if it was not parsed from a file.
	File string
	// Line and Column count from 1; 0 means unknown.
	Line, Column int
	// Key is the path of the key, such as "connections.orders.database"; empty for the document
	// itself.
	Key string
	// Problem says what is wrong and what is allowed.
	Problem string
}

// String returns "file:line:column: key: problem", without the parts that are unknown.
func (f Fault) String() string {
	var parts []string
	for _, n := range []int{f.Line, f.Column} {
		if n > 0 {
			parts = append(parts, strconv.Itoa(n))
		}
	}
	place := strings.Join(parts, ":")
	if f.File != "" {
		place = strings.TrimSuffix(f.File+":"+place, ":")
	}
	text := f.Problem
	if f.Key != "" {
		text = f.Key + ": " + text
	}
	if place != "" {
		text = place + ": " + text
	}
	return text
}

// Faults are all faults of a configuration, in the order of their places.
type Faults []Fault //nolint:errname // each of them is a Fault

// Error returns one fault per line.
func (f Faults) Error() string {
	lines := make([]string, len(f))
	for i, fault := range f {
		lines[i] = fault.String()
	}
	return strings.Join(lines, "\n")
}

func (f Faults) sort() {
	slices.SortStableFunc(f, func(a, b Fault) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
}

// plainKey is a key of at most maxPlainKey bytes that can stand in a path without quotes.
var plainKey = regexp.MustCompile(`^[A-Za-z0-9_-]+$`)

const maxPlainKey = 64

// join appends a key to a path of keys.
func join(path, key string) string {
	if len(key) > maxPlainKey || !plainKey.MatchString(key) {
		key = quote(key)
	}
	if path == "" {
		return key
	}
	return path + "." + key
}

// quote returns text in quotes, truncated and redacted.
func quote(text string) string {
	text = backlog.RedactValue(text)
	const limit = 60 // characters; enough to recognise the value by
	if short := []rune(text); len(short) > limit {
		text = string(short[:limit]) + "..."
	}
	return fmt.Sprintf("%q", text)
}
