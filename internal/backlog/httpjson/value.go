package httpjson

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/theory/jsonpath"
	"github.com/theory/jsonpath/spec"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
)

// The bounds of a JSONPath. With them it selects in a time that grows linearly with the document,
// whatever a tenant writes and a server answers.
const (
	maxValue    = 512
	maxSegments = 16
)

// A value is where a number is in a document.
type value struct {
	path *jsonpath.Path
	text string
}

// parseValue parses a JSONPath. The error says what is allowed.
func parseValue(text string) (value, error) {
	if len(text) > maxValue {
		return value{}, fmt.Errorf("has %d bytes, want at most %d", len(text), maxValue)
	}
	path, err := jsonpath.Parse(text)
	if err != nil {
		return value{}, fmt.Errorf("%q is not a JSONPath: %s", backlog.Line(text), backlog.Line(strings.TrimPrefix(err.Error(), "jsonpath: ")))
	}
	segments := path.Query().Segments()
	if len(segments) > maxSegments {
		return value{}, fmt.Errorf("has %d steps, want at most %d", len(segments), maxSegments)
	}
	for _, segment := range segments {
		if err := checkSegment(segment); err != nil {
			return value{}, err
		}
	}
	return value{path: path, text: text}, nil
}

// checkSegment refuses what may select a node more than once, or takes a time that grows faster
// than the document.
func checkSegment(segment *spec.Segment) error {
	switch {
	case segment.IsDescendant():
		return errors.New("has descendants (..), want each step to be named")
	case len(segment.Selectors()) != 1:
		return errors.New("has several selectors in one bracket, want one")
	}
	filter, isFilter := segment.Selectors()[0].(*spec.FilterSelector)
	if isFilter && !isPlainFilter(filter.String()) {
		return errors.New("has a filter that is more than comparisons of plain paths from the element, want such as ?@.name == 'mail'")
	}
	return nil
}

// isPlainFilter reports whether the queries of a filter begin at the element and have only names
// and numbers. A regular expression is refused, because it may come from the document and is compiled
// for each element. The text is the canonical one, in which names are in brackets and quotes.
func isPlainFilter(text string) bool {
	text = strings.TrimPrefix(text, "?")
	quote := byte(0)
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case quote != 0 && c == '\\':
			i++
		case quote != 0:
			if c == quote {
				quote = 0
			}
		case c == '"' || c == '\'':
			quote = c
		case c == '$', c == '*', c == '?', c == ':', hasAnyPrefix(text[i:], "..", "match(", "search("):
			return false
		}
	}
	return true
}

func hasAnyPrefix(text string, prefixes ...string) bool {
	return slices.ContainsFunc(prefixes, func(prefix string) bool { return strings.HasPrefix(text, prefix) })
}

// find returns the number in a document. Nothing, several values and everything that is no number
// are errors that wrap ErrMismatch.
func (v value) find(document any) (backlog.Measurement, error) {
	found := v.path.Select(document)
	switch len(found) {
	case 0:
		return backlog.Measurement{}, fmt.Errorf("%w: the answer has nothing at %s, so the number is unknown", backlog.ErrMismatch, backlog.Line(v.text))
	case 1:
	default:
		return backlog.Measurement{}, fmt.Errorf("%w: the answer has %d values at %s, want one", backlog.ErrMismatch, len(found), backlog.Line(v.text))
	}
	number, err := toNumber(found[0])
	if err != nil {
		return backlog.Measurement{}, fmt.Errorf("%w: at %s the answer has %w", backlog.ErrMismatch, backlog.Line(v.text), err)
	}
	return backlog.Measured(number)
}

// toNumber returns a JSON value as a number. The error names the kind of the value, and nothing of
// its content.
func toNumber(found any) (float64, error) {
	switch found := found.(type) {
	case float64:
		return found, nil
	case string:
		number, err := strconv.ParseFloat(strings.TrimSpace(found), 64)
		if err != nil || strings.ContainsAny(found, "xX_pPnN") {
			return 0, errors.New("a text that is not a number")
		}
		return number, nil
	case bool:
		return 0, errors.New("true or false, want a number")
	case nil:
		return 0, errors.New("null, so the number is unknown")
	case []any:
		return 0, errors.New("an array, want a number")
	default:
		return 0, errors.New("an object, want a number")
	}
}
