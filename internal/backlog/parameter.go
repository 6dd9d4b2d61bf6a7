package backlog

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/spelling"
)

// A Parameter is a key that a user may set, in the metadata of a trigger or in a connection of
// the configuration.
type Parameter struct {
	Name string
	Kind Kind
	// Doc is one sentence.
	Doc string
	// Default is the value as a user would write it; empty means the zero value.
	Default  string
	Required bool
	// Allowed are the values of a KindChoice.
	Allowed []string
	// NamesKey reports whether the value names a key of the engine, so that a limit on the
	// names of queues applies to it too. "{queue}" in it stands for the queue.
	NamesKey bool
	// Min and Max bound a KindInteger, inclusive. They apply if Max > Min.
	Min, Max int64
}

// A Kind is how the text of a Parameter is parsed.
type Kind uint8

// The kinds and the Go type each parses to.
const (
	KindText      Kind = iota // string
	KindChoice                // string, one of Allowed
	KindList                  // []string, comma separated
	KindInteger               // int64
	KindNumber                // float64, finite
	KindBool                  // bool
	KindDuration              // time.Duration, positive or zero
	KindSecret                // Secret; in the configuration only
	KindFile                  // File; in the configuration only
	KindAddresses             // []string, each "host:port", comma separated
)

func (k Kind) String() string {
	return [...]string{
		"text", "choice", "list", "whole number", "number", "true or false",
		"duration", "secret", "file", "addresses",
	}[k]
}

// Expects describes the allowed values for users, such as "a whole number from 0 to 15".
func (p Parameter) Expects() string {
	switch p.Kind {
	case KindChoice:
		return "one of " + strings.Join(p.Allowed, ", ")
	case KindList:
		return "names separated by commas"
	case KindAddresses:
		return wantAddress + ", several separated by commas"
	case KindInteger:
		if p.Max > p.Min {
			return fmt.Sprintf("a whole number from %d to %d", p.Min, p.Max)
		}
		return "a whole number"
	case KindNumber:
		return "a number"
	case KindBool:
		return "true or false"
	case KindDuration:
		return `a duration such as "30s" or "5m"`
	case KindSecret:
		return "a mapping {file: PATH} or {env: NAME}"
	case KindFile:
		return "the path of a file"
	default:
		return "a text"
	}
}

// Parse returns the Go value of text, of the parameter's kind. The error says what is allowed.
// The caller adds the key and the value.
func (p Parameter) Parse(text string) (any, error) {
	switch p.Kind {
	case KindChoice:
		return p.parseChoice(text)
	case KindList:
		return splitList(text), nil
	case KindAddresses:
		return parseAddresses(text)
	case KindInteger:
		n, err := strconv.ParseInt(text, 10, 64)
		return p.accept(n, err == nil && (p.Max <= p.Min || n >= p.Min && n <= p.Max))
	case KindNumber:
		return p.parseNumber(text)
	case KindBool:
		b, err := strconv.ParseBool(text)
		return p.accept(b, err == nil)
	case KindDuration:
		d, err := time.ParseDuration(text)
		return p.accept(d, err == nil && d >= 0)
	case KindText:
		return text, nil
	default:
		return nil, fmt.Errorf("a %s cannot be written as plain text, want %s", p.Kind, p.Expects())
	}
}

// parseNumber accepts decimal numbers only.
func (p Parameter) parseNumber(text string) (any, error) {
	f, err := strconv.ParseFloat(text, 64)
	return p.accept(f, err == nil && !math.IsNaN(f) && !math.IsInf(f, 0) && !strings.ContainsAny(text, "xX_pP"))
}

// accept returns value, or the error that says what is allowed.
func (p Parameter) accept(value any, ok bool) (any, error) {
	if !ok {
		return nil, fmt.Errorf("want %s", p.Expects())
	}
	return value, nil
}

func (p Parameter) parseChoice(text string) (any, error) {
	if slices.Contains(p.Allowed, text) {
		return text, nil
	}
	if near := spelling.Nearest(text, p.Allowed); near != "" {
		return nil, fmt.Errorf("want %s; did you mean %q", p.Expects(), near)
	}
	return nil, fmt.Errorf("want %s", p.Expects())
}

func parseAddresses(text string) (any, error) {
	addresses := splitList(text)
	for _, address := range addresses {
		if err := CheckAddress(address); err != nil {
			return nil, err
		}
	}
	return addresses, nil
}

// splitList splits at commas. It drops empty elements and the blanks around the others.
func splitList(text string) []string {
	var names []string
	for name := range strings.SplitSeq(text, ",") {
		if name = strings.TrimSpace(name); name != "" {
			names = append(names, name)
		}
	}
	return names
}
