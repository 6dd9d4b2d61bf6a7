package schema

import (
	"fmt"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// text checks a text. A scalar of another type counts as the text that it is written as.
func (c *checker) text(n *node, y *yaml.Node, path string) (any, bool) {
	switch {
	case y.Kind != yaml.ScalarNode:
		c.firm(path, y.Line, shown(y), "want text")
		return nil, false
	case !isText(y):
		c.firm(path, y.Line, shown(y), fmt.Sprintf("want text; write it in quotes: %q", y.Value))
	case n.Format == "date-time" && !isMoment(y.Value):
		c.firm(path, y.Line, shown(y), "want a time such as 2026-11-27T00:00:00+01:00")
		return nil, false
	case len(n.Enum) > 0 && !slices.Contains(n.Enum, y.Value):
		c.firm(path, y.Line, shown(y), "want one of "+strings.Join(n.Enum, ", ")+maybe(y.Value, n.Enum))
	case n.Format == "duration" && !isLength(n, y.Value):
		c.firm(path, y.Line, shown(y), "want a length of time such as 30s, 5m or 1h30m"+inHours(y.Value))
	case n.pattern != nil && !n.pattern.MatchString(y.Value):
		c.soft(path, y.Line, shown(y), "want text that matches "+n.Pattern+": "+n.about())
	default:
		c.textLength(n, y, path)
	}
	return y.Value, true
}

func (c *checker) textLength(n *node, y *yaml.Node, path string) {
	switch length := int64(utf8.RuneCountInString(y.Value)); {
	case n.MaxLength != nil && length > *n.MaxLength:
		c.soft(path, y.Line, "", fmt.Sprintf("%d characters, want at most %d", length, *n.MaxLength))
	case n.MinLength != nil && length < *n.MinLength:
		c.soft(path, y.Line, shown(y), "empty; "+n.about())
	}
}

// integer checks a whole number. One in quotes counts as the number.
func (c *checker) integer(n *node, y *yaml.Node, path string) (any, bool) {
	var number int64
	least, most := int64(math.MinInt64), int64(math.MaxInt64)
	if n.Format == "int32" {
		least, most = math.MinInt32, math.MaxInt32
	}
	if y.Kind != yaml.ScalarNode || y.ShortTag() != "!!int" || y.Decode(&number) != nil || number < least || number > most {
		c.firm(path, y.Line, shown(y), "want a whole number"+inBounds(n)+unquoted(y))
		number, err := strconv.ParseInt(y.Value, 10, 32)
		return number, err == nil
	}
	if n.Minimum != nil && number < *n.Minimum || n.Maximum != nil && number > *n.Maximum {
		c.soft(path, y.Line, shown(y), "want"+inBounds(n))
	}
	return number, true
}

// inBounds says which numbers are allowed.
func inBounds(n *node) string {
	switch {
	case n.Minimum != nil && n.Maximum != nil:
		return fmt.Sprintf(" %d to %d", *n.Minimum, *n.Maximum)
	case n.Minimum != nil:
		return fmt.Sprintf(" %d or more", *n.Minimum)
	default:
		return ""
	}
}

// unquoted says that a number stands in quotes.
func unquoted(y *yaml.Node) string {
	if _, err := strconv.Atoi(y.Value); err == nil && y.Kind == yaml.ScalarNode && y.ShortTag() == "!!str" {
		return ", without quotes"
	}
	return ""
}

// isText reports whether kubectl would send a scalar as text. It reads YAML 1.1, in which words
// such as yes and off without quotes are true and false.
func isText(y *yaml.Node) bool {
	switch y.ShortTag() {
	case "!!str":
		return y.Style&(yaml.SingleQuotedStyle|yaml.DoubleQuotedStyle|yaml.LiteralStyle|yaml.FoldedStyle|yaml.TaggedStyle) != 0 ||
			!slices.Contains([]string{"yes", "no", "on", "off"}, strings.ToLower(y.Value))
	case "!!timestamp":
		return true
	default:
		return false
	}
}

func isMoment(text string) bool {
	_, err := time.Parse(time.RFC3339, text)
	return err == nil
}

// isLength reports whether a text is a length of time, as the pattern has it.
func isLength(n *node, text string) bool {
	_, err := time.ParseDuration(text)
	return err == nil && (n.pattern == nil || n.pattern.MatchString(text)) && (n.MaxLength == nil || int64(len(text)) <= *n.MaxLength)
}

// inHours translates days and weeks, which Kubernetes does not know.
func inHours(text string) string {
	parts := regexp.MustCompile(`^(\d{1,4})([dw])$`).FindStringSubmatch(text)
	if parts == nil {
		return ""
	}
	hours, _ := strconv.Atoi(parts[1])
	hours *= 24
	if parts[2] == "w" {
		hours *= 7
	}
	return fmt.Sprintf("; write %dh", hours)
}

// maybe asks whether a nearest value was meant.
func maybe(text string, known []string) string {
	if near := meant(text, known); strings.HasPrefix(near, ";") {
		return near
	}
	return ""
}

// maxShown is the length up to which a value is shown, in bytes.
const maxShown = 80

// shown returns a value for a mistake: text in quotes, other values as they are written.
func shown(y *yaml.Node) string {
	text := y.Value
	switch {
	case y.Kind == yaml.MappingNode:
		return "{...}"
	case y.Kind == yaml.SequenceNode:
		return "[...]"
	case len(text) > maxShown:
		text = strings.ToValidUTF8(text[:maxShown], "") + "..."
	}
	if y.ShortTag() == "!!str" {
		return strconv.Quote(text)
	}
	return text
}

// A pair is a key of an object with its value.
type pair struct{ key, value *yaml.Node }

// pairs are the keys of an object, with those that it merges. A key that is written hides a merged
// one.
func pairs(y *yaml.Node) []pair {
	var written, merged []pair
	for i := 0; i+1 < len(y.Content); i += 2 {
		key, value := y.Content[i], resolved(y.Content[i+1])
		if key.Tag != "!!merge" {
			written = append(written, pair{key, value})
			continue
		}
		sources := []*yaml.Node{value}
		if value.Kind == yaml.SequenceNode {
			sources = value.Content
		}
		for _, source := range sources {
			source = resolved(source)
			for j := 0; j+1 < len(source.Content) && source.Kind == yaml.MappingNode; j += 2 {
				merged = append(merged, pair{source.Content[j], resolved(source.Content[j+1])})
			}
		}
	}
	for _, m := range merged {
		if !slices.ContainsFunc(written, func(p pair) bool { return p.key.Value == m.key.Value }) {
			written = append(written, m)
		}
	}
	return written
}

// resolved returns what an alias stands for.
func resolved(y *yaml.Node) *yaml.Node {
	if y.Kind == yaml.DocumentNode && len(y.Content) == 1 {
		y = y.Content[0]
	}
	if y.Kind == yaml.AliasNode {
		return y.Alias
	}
	return y
}
