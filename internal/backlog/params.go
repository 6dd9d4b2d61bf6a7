package backlog

import (
	"net/url"
	"slices"
	"strings"
)

// Params are the parameters of a Query in one canonical, comparable text:
// percent-encoded "name=value" pairs joined by "&", sorted by name. The zero
// value has none.
type Params string

// NewParams returns the canonical Params of values. Empty values are left out.
func NewParams(values map[string]string) Params {
	pairs := make([]string, 0, len(values))
	for name, value := range values {
		if value != "" {
			pairs = append(pairs, url.QueryEscape(name)+"="+url.QueryEscape(value))
		}
	}
	slices.Sort(pairs)
	return Params(strings.Join(pairs, "&"))
}

// Get returns the value of name, or "" if it is not set.
func (p Params) Get(name string) string {
	for pair := range strings.SplitSeq(string(p), "&") {
		key, value, found := strings.Cut(pair, "=")
		if !found || unescape(key) != name {
			continue
		}
		return unescape(value)
	}
	return ""
}

// unescape undoes QueryEscape. NewParams wrote the text, so it is well formed.
func unescape(s string) string {
	if !strings.ContainsAny(s, "%+") {
		return s
	}
	text, err := url.QueryUnescape(s)
	if err != nil {
		return s
	}
	return text
}
